# ruff: noqa: INP001  # a contender's program
"""Handrail's contender: an agent of four steps."""

from freight_steps import Alert, choose, look, rebook, tell
from temporalio import workflow

from handrail import AgentWorkflow, Outcome


@workflow.defn
class GuardedFreight(AgentWorkflow):
    """Rebooks freight that runs late, and tells the shipper."""

    @workflow.run
    async def run(self, alert: Alert) -> Outcome:
        """Carry one alert to its end."""
        consignment = await self.read(look, alert.consignment)
        decision = await self.decide(choose, alert, consignment)
        if decision.action is None:
            return self.done("nothing to do")
        booking = await self.write(rebook, decision)
        await self.notify(tell, consignment, booking)
        return self.done()
