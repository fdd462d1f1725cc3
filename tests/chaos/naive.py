"""The control: the same write by hand, without a door. It must be seen to double."""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

from handrail.failpoints import reached
from tests.chaos.steps import Order, send

TIMES = "~"
"""What the id of a case goes on with, where nothing keeps it from being started again."""


@activity.defn
async def naive_write(order: Order) -> int:
    """Write as most people would."""
    case = (activity.info().workflow_id or "").partition(TIMES)[0]
    reached("write:before-effect", case)
    number = await send("plain", "do", case, activity.info().activity_id)
    reached("write:after-effect", case)
    return number


@workflow.defn
class NaiveAgent:
    """One write, retried until it works."""

    @workflow.run
    async def run(self, order: Order) -> int:
        """Write."""
        return await workflow.execute_activity(
            naive_write,
            order,
            start_to_close_timeout=timedelta(seconds=4),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200)),
        )
