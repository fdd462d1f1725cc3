"""The agent that retrains the others."""

from temporalio import workflow

from activities.retraining import (
    decline,
    declined,
    judge,
    learn,
    look,
    put_into_use,
    whether_to_learn,
    whether_to_use,
)
from activities.retraining_facts import Retraining
from handrail import AgentWorkflow, Outcome, Rejected


@workflow.defn
class RetrainingAgent(AgentWorkflow):
    """Learns an agent's model anew when its inputs have moved, and asks whether to use it."""

    @workflow.run
    async def run(self, due: Retraining) -> Outcome:
        """Look after one agent's model on one day."""
        moved = await self.read(look, due)
        learning = await self.decide(whether_to_learn, due, moved)
        if learning.action is None:
            return self.done(learning.rationale)
        version = await self.write(learn, learning)
        judged = await self.read(judge, due, version, moved.in_use)
        using = await self.decide(whether_to_use, due, version, moved.in_use, judged)
        if using.action is None:
            return self.done(using.rationale)
        try:
            await self.write(put_into_use, using)
        except Rejected:
            if workflow.patched("declined-is-kept"):
                await self.write(decline, declined(using.action, using.evidence))
            raise
        return self.done(f"{version} is in use: {using.rationale}")
