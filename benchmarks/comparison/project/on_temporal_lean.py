# ruff: noqa: INP001  # a contender's program
"""Plain Temporal, as lean as it gets: all but the write are local activities."""

import contextlib
from collections.abc import AsyncGenerator
from datetime import timedelta

from drive import main
from temporalio import workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from on_temporal import TIMEOUT, choose, look, rebook, tell
    from temporal_case import Cases
    from work import DEADLINE, HELD_ABOVE, SERVER, Alert

QUEUE = "temporal-lean"


@workflow.defn
class LeanFreight:
    """Rebooks freight that runs late, and tells the shipper."""

    def __init__(self) -> None:
        self._approved = False

    @workflow.signal
    def approve(self) -> None:
        """Take an approval."""
        self._approved = True

    @workflow.run
    async def run(self, alert: Alert) -> str:
        """Carry one alert to its end."""
        consignment = await workflow.execute_local_activity(
            look, alert.consignment, start_to_close_timeout=TIMEOUT
        )
        decision = await workflow.execute_local_activity(
            choose, args=[alert, consignment], start_to_close_timeout=TIMEOUT
        )
        if decision.extra_cost > HELD_ABOVE:
            try:
                await workflow.wait_condition(
                    lambda: self._approved, timeout=timedelta(seconds=DEADLINE)
                )
            except TimeoutError:
                return "expired"
        booking = await workflow.execute_activity(rebook, decision, start_to_close_timeout=TIMEOUT)
        await workflow.execute_local_activity(
            tell, args=[consignment, booking], start_to_close_timeout=TIMEOUT
        )
        return "done"


@contextlib.asynccontextmanager
async def opened(works: bool) -> AsyncGenerator[Cases]:  # noqa: FBT001  # drive's
    """A client, and a worker if it is asked for."""
    client = await Client.connect(SERVER, data_converter=pydantic_data_converter)
    cases = Cases(client, "LeanFreight", QUEUE)
    if not works:
        yield cases
        return
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[LeanFreight],
        activities=[look, choose, rebook, tell],
        graceful_shutdown_timeout=timedelta(seconds=1),
    ):
        yield cases


if __name__ == "__main__":
    main(opened)
