# ruff: noqa: INP001  # a module of a user's project: its directory is on the path
"""The same work as a Temporal workflow is usually written: four ordinary activities."""

from datetime import timedelta

from freight import Alert
from plain_steps import Keyed, Result, choose, look, rebook, tell
from temporalio import workflow
from temporalio.common import RetryPolicy

TIMEOUT = timedelta(seconds=10)
RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)
)


@workflow.defn
class OrdinaryFreight:
    """Rebooks freight that runs late, and tells the shipper."""

    @workflow.run
    async def run(self, alert: Alert) -> Result:
        """Carry one alert to its end."""
        consignment = await workflow.execute_activity(
            look, alert.consignment, start_to_close_timeout=TIMEOUT, retry_policy=RETRY
        )
        decision = await workflow.execute_activity(
            choose,
            args=[alert, consignment],
            start_to_close_timeout=TIMEOUT,
            retry_policy=RETRY,
        )
        if decision.action is None:
            return Result(status="nothing to do")
        booking = await workflow.execute_activity(
            rebook,
            Keyed(action=decision.action, key=f"{workflow.info().workflow_id}/rebook"),
            start_to_close_timeout=TIMEOUT,
            retry_policy=RETRY,
        )
        await workflow.execute_activity(
            tell,
            args=[consignment, booking],
            start_to_close_timeout=TIMEOUT,
            retry_policy=RETRY,
        )
        return Result(status="done", booking=booking)
