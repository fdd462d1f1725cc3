# ruff: noqa: INP001  # a module of a user's project: its directory is on the path
"""The lean workflow that waits for a human, and tells nobody that it does."""

from freight import Alert
from plain_held import Held
from plain_steps import Result
from temporalio import workflow


@workflow.defn
class LeanHeld(Held):
    """Rebooks freight that runs late, after a human's approval."""

    @workflow.run
    async def run(self, alert: Alert) -> Result:
        """Carry one alert to its end."""
        return await self.carry(alert)
