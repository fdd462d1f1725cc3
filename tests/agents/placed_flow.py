"""An agent that says where its case runs."""

from __future__ import annotations

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.careless_steps import Ask


@workflow.defn
class PlacedAgent(AgentWorkflow):
    """Ends with where it is."""

    @workflow.run
    async def run(self, ask: Ask) -> Outcome:
        place = "in" if workflow.unsafe.in_sandbox() else "outside of"
        return self.done(f"{ask.what} {place} the sandbox")
