"""The refunds agent."""

from temporalio import workflow

from activities.refunds import as_paid, owed, pay_back
from activities.support_facts import RefundDue
from handrail import AgentWorkflow, Outcome


@workflow.defn
class RefundsAgent(AgentWorkflow):
    """Gives customers back what another agent found to be due, each order once."""

    @workflow.run
    async def run(self, due: RefundDue) -> Outcome:
        """Give back one refund."""
        known = await self.read(owed, due)
        await self.write(pay_back, await self.decide(as_paid, known))
        return self.done(f"{known.amount} EUR given back for {known.order}")
