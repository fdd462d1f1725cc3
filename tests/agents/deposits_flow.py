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
        await self.write(pay_back, await self.decide(settle, tenancy))
        return self.done("paid back")
