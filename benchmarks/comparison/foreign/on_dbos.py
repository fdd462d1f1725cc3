# ruff: noqa: INP001  # a contender's program
"""DBOS: a workflow of four steps and a message that it waits for, on SQLite or on PostgreSQL.

The key of the write is the workflow's id and the step's. Who approves sends the message.
"""

import contextlib
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, SetWorkflowID
from drive import main
from work import (
    DEADLINE,
    HELD_ABOVE,
    SERVER,
    Alert,
    Booking,
    Consignment,
    Rebooking,
    booked,
    chosen,
    looked_up,
    told,
)

APPROVAL = "approval"


@DBOS.step()
async def look(consignment: str) -> Consignment:
    """Look up the consignment and the flights that could carry it."""
    return await looked_up(consignment)


@DBOS.step()
async def choose(alert: Alert, consignment: Consignment) -> Rebooking:
    """Choose a flight."""
    return chosen(alert, consignment)


@DBOS.step(retries_allowed=True)
async def rebook(decision: Rebooking) -> Booking:
    """Book the flight."""
    key = f"{DBOS.workflow_id}-{DBOS.step_id}"
    return await booked(decision.consignment, decision.flight, key)


@DBOS.step(retries_allowed=True)
async def tell(consignment: Consignment, booking: Booking) -> None:
    """Tell the shipper."""
    await told(consignment.shipper, booking)


@DBOS.workflow()
async def freight(alert: Alert) -> str:
    """Rebook freight that runs late, and tell the shipper."""
    consignment = await look(alert.consignment)
    decision = await choose(alert, consignment)
    if decision.extra_cost > HELD_ABOVE:
        approval = await DBOS.recv_async(APPROVAL, timeout_seconds=DEADLINE)
        if approval is None:
            return "expired"
    booking = await rebook(decision)
    await tell(consignment, booking)
    return "done"


class Cases:
    """Its workflows: started here, or found in the database."""

    def __init__(self, client: DBOSClient | None) -> None:
        self._client = client
        self._begun: dict[str, Any] = {}

    async def start(self, key: str, cost: Decimal) -> None:
        """Begin."""
        with SetWorkflowID(key):
            self._begun[key] = await DBOS.start_workflow_async(
                freight, Alert(consignment=key, extra_cost=cost)
            )

    async def result(self, key: str) -> str:
        """What it returned."""
        handle = self._begun.pop(key, None) or await DBOS.retrieve_workflow_async(key)
        return await handle.get_result()

    async def approve(self, key: str) -> None:
        """Send the message."""
        said = {"by": "ana@example.com"}
        if self._client is None:
            await DBOS.send_async(key, said, topic=APPROVAL)
        else:
            await self._client.send_async(key, said, topic=APPROVAL)

    forge = approve

    async def resume(self, key: str) -> None:
        """Its start has done it."""

    async def asked(self, key: str) -> bool:
        """It asks nobody."""
        del key
        return False

    async def history(self, key: str) -> int:
        """Steps, by its own list of them."""
        return len(await DBOS.list_workflow_steps_async(key))


@contextlib.asynccontextmanager
async def opened(works: bool) -> AsyncGenerator[Cases]:  # noqa: FBT001  # drive's
    """The application; or only its client."""
    if not works:
        yield Cases(DBOSClient(system_database_url=SERVER))
        return
    config: DBOSConfig = {"name": "freight", "system_database_url": SERVER, "log_level": "WARNING"}
    DBOS(config=config)
    DBOS.launch()
    yield Cases(None)


if __name__ == "__main__":
    main(opened)
