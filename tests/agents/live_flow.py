"""An agent that has the tools of a server which lists them to each case."""

from __future__ import annotations

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.live_steps import Errand, run_errand


@workflow.defn
class ErrandAgent(AgentWorkflow):
    """Does errands."""

    @workflow.run
    async def run(self, errand: Errand) -> Outcome:
        decision = await self.converse(run_errand, errand)
        return self.done(decision.rationale)
