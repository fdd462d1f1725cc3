# ruff: noqa: INP001  # a contender's program
"""The work as plain Python: it keeps nothing. What stands around the work is what others add."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from decimal import Decimal

from drive import main
from work import HELD_ABOVE, Alert, booked, chosen, looked_up, told


class Plain:
    """Cases are tasks of this process."""

    def __init__(self) -> None:
        self._cases: dict[str, asyncio.Task[str]] = {}
        self._yes: dict[str, asyncio.Event] = {}

    async def _run(self, alert: Alert) -> str:
        consignment = await looked_up(alert.consignment)
        decision = chosen(alert, consignment)
        if decision.extra_cost > HELD_ABOVE:
            await self._yes.setdefault(alert.consignment, asyncio.Event()).wait()
        booking = await booked(decision.consignment, decision.flight, alert.consignment)
        await told(consignment.shipper, booking)
        return "done"

    async def start(self, key: str, cost: Decimal) -> None:
        """Begin."""
        self._cases[key] = asyncio.create_task(self._run(Alert(consignment=key, extra_cost=cost)))

    async def result(self, key: str) -> str:
        """Of a case that this process has begun."""
        return await self._cases.pop(key) if key in self._cases else "lost"

    async def approve(self, key: str) -> None:
        """Set what it waits for."""
        self._yes.setdefault(key, asyncio.Event()).set()

    forge = approve

    async def resume(self, key: str) -> None:
        """There is nothing to go on from."""

    async def asked(self, key: str) -> bool:
        """It asks nobody."""
        del key
        return False

    async def history(self, key: str) -> int:
        """Nothing is left."""
        del key
        return 0


@contextlib.asynccontextmanager
async def opened(works: bool) -> AsyncGenerator[Plain]:  # noqa: FBT001  # drive's
    """There is nothing to open."""
    del works
    yield Plain()


if __name__ == "__main__":
    main(opened)
