"""An agent of which some steps block."""

from __future__ import annotations

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.blocking_steps import Chore, ponder, ponder_plainly, put, put_plain


@workflow.defn
class ChoreAgent(AgentWorkflow):
    """Does chores."""

    @workflow.run
    async def run(self, chore: Chore) -> Outcome:
        if chore.plain:
            await self.write(put_plain, await self.decide(ponder_plainly, chore))
        else:
            await self.write(put, await self.decide(ponder, chore))
        return self.done("put")
