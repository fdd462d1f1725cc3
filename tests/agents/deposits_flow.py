"""An agent that pays deposits back."""

from __future__ import annotations

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.deposits_steps import Tenancy, pay_back, settle


@workflow.defn
class DepositAgent(AgentWorkflow):
    """Pays deposits back."""

    @workflow.run
    async def run(self, tenancy: Tenancy) -> Outcome:
        decision = await self.decide(settle, tenancy)
        if decision.action is None:
            return self.done("nothing to pay back")
        await self.write(pay_back, decision)
        return self.done("paid back")
