# ruff: noqa: INP001  # a module of a user's project: its directory is on the path
"""What the hand-written workflows that wait for a human have in common.

A signal, a query and a timer for the deadline, and the four steps with the wait between
them. It stands in a module of its own, which is not imported again for every case: so
does Handrail's.
"""

from datetime import timedelta

from freight import HELD_ABOVE, Alert
from plain_steps import Approval, Keyed, Result, choose, look, rebook, tell
from temporalio import workflow
from temporalio.common import RetryPolicy

TIMEOUT = timedelta(seconds=10)
HEARTBEAT = timedelta(seconds=3)
DEADLINE = timedelta(hours=8)
LOCAL = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=3)
RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)
)


class Held:
    """A case that waits for an approval between decision and write."""

    def __init__(self) -> None:
        self._approval: Approval | None = None
        self._waiting = False

    @workflow.signal
    def approve(self, approval: Approval) -> None:
        """Take an approval."""
        self._approval = approval

    @workflow.query
    def waiting(self) -> bool:
        """Whether it waits for an approval."""
        return self._waiting

    def begins_to_wait(self) -> None:
        """Tell it to others, where the variant does."""

    def ceases_to_wait(self) -> None:
        """Tell it to others, where the variant does."""

    async def approved(self) -> bool:
        """Wait for an approval until the deadline."""
        self._waiting = True
        self.begins_to_wait()
        in_time = True
        try:
            await workflow.wait_condition(lambda: self._approval is not None, timeout=DEADLINE)
        except TimeoutError:
            in_time = False
        self._waiting = False
        self.ceases_to_wait()
        return in_time

    async def carry(self, alert: Alert) -> Result:
        """Carry one alert to its end."""
        consignment = await workflow.execute_local_activity(
            look, alert.consignment, start_to_close_timeout=TIMEOUT, retry_policy=LOCAL
        )
        decision = await workflow.execute_local_activity(
            choose,
            args=[alert, consignment],
            start_to_close_timeout=TIMEOUT,
            retry_policy=LOCAL,
        )
        if decision.action is None:
            return Result(status="nothing to do")
        if decision.action.extra_cost > HELD_ABOVE and not await self.approved():
            return Result(status="expired")
        booking = await workflow.execute_activity(
            rebook,
            Keyed(action=decision.action, key=f"{workflow.info().workflow_id}/rebook"),
            start_to_close_timeout=TIMEOUT,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=RETRY,
        )
        await workflow.execute_local_activity(
            tell,
            args=[consignment, booking],
            start_to_close_timeout=TIMEOUT,
            retry_policy=LOCAL,
        )
        return Result(status="done", booking=booking)
