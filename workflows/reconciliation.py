"""The reconciliation agent."""

from temporalio import workflow

from activities.reconciliation import Look, assign, compare, judge, post, set_aside, survey
from handrail import AgentWorkflow, Outcome


@workflow.defn
class ReconciliationAgent(AgentWorkflow):
    """Posts the lines of bank statements to what they pay, and asks people about the rest."""

    @workflow.run
    async def run(self, look: Look) -> Outcome:
        """See to one line, or by schedule to all that are not posted: each is a case of its own."""
        if look.statement:
            return await self._line(look)
        seen = await self.read(survey, look.on)
        for each in seen.aside:
            await self.write(set_aside, await self.decide(judge, each))
        for each in seen.lines:
            line = Look(on=look.on, statement=each.statement, line=each.line)
            await self.hand_on("reconciliation", line)
        said = f"{len(seen.lines)} lines handed on, {len(seen.aside)} statements set aside"
        missing = f", one is missing before {', '.join(seen.gaps)}" if seen.gaps else ""
        return self.done(said + missing)

    async def _line(self, look: Look) -> Outcome:
        found = await self.read(compare, look.statement, look.line)
        if found.posted:
            return self.done("it is in the books already")
        decision = await self.decide(assign, found)
        await self.write(post, decision)
        return self.done(decision.rationale)
