# ruff: noqa: INP001  # a module of a user's project: its directory is on the path
"""The leanest hand-written workflow of the same shape as Handrail's.

Read, decide and notify inside the workflow task, the write as an ordinary activity, so
that it is retried and seen, under a key of its own. No door, no record, no way to stop it.
"""

from datetime import timedelta

from freight import Alert
from plain_steps import Keyed, Result, choose, look, rebook, tell
from temporalio import workflow
from temporalio.common import RetryPolicy

TIMEOUT = timedelta(seconds=10)
HEARTBEAT = timedelta(seconds=3)
LOCAL = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=3)
RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)
)


@workflow.defn
class LeanFreight:
    """Rebooks freight that runs late, and tells the shipper."""

    @workflow.run
    async def run(self, alert: Alert) -> Result:
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
