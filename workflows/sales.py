"""The sales agent."""

from typing import cast

from temporalio import workflow

from activities.sales import (
    assign,
    close,
    follow_up,
    move,
    next_step,
    remind,
    situation,
    survey,
)
from activities.sales_choice import Anything
from activities.sales_facts import Assign, Close, FollowUp, Move, Remind, Standing, Visit
from handrail import AgentWorkflow, Decision, Outcome, Refused

TRIES = 6
"""How often it decides in one case: an owner, a stage, an end or a word, a mail, and twice anew."""


@workflow.defn
class SalesAgent(AgentWorkflow):
    """Keeps a pipeline right: each deal has an owner, its stage, and a word in time."""

    @workflow.run
    async def run(self, visit: Visit) -> Outcome:
        """See to what is due of one deal; by schedule to all of a pipeline, a case for each."""
        if visit.due is not None:
            return await self._deal(visit, visit.due.deal)
        seen = await self.read(survey, visit.pipeline or "", visit.on)
        for due in seen.due:
            await self.hand_on("sales", Visit(on=visit.on, due=due))
        unread = f", {seen.unread} notes unread" if seen.unread else ""
        return self.done(f"{len(seen.due)} due of {seen.looked_at} open deals{unread}")

    async def _deal(self, visit: Visit, code: str) -> Outcome:
        done, after = list[str](), None
        for tries_left in reversed(range(TRIES)):
            seen = await self.read(situation, code, visit.on)
            decision = await self.decide(next_step, visit, seen, after)
            if decision.action is None:
                return self.done("; ".join(done) or decision.rationale)
            try:
                done.append(await self._do(decision))
            except Refused:
                # Another case was quicker: its owner has a deal more, or it is where it should be.
                if not tries_left or not isinstance(decision.action, Assign):
                    raise
            if isinstance(decision.action, Close):
                break
            after = decision.evidence.what
        return self.done("; ".join(done))

    async def _do(self, decision: Decision[Anything, Standing]) -> str:
        """Do what was decided, and say it."""
        match decision.action:
            case Assign():
                given = await self.write(assign, cast("Decision[Assign, Standing]", decision))
                return f"given to {given}"
            case Move():
                moved = await self.write(move, cast("Decision[Move, Standing]", decision))
                return f"moved to {moved}"
            case Remind():
                reminder = cast("Decision[Remind, Standing]", decision)
                await self.write(remind, reminder)
                return f"{self.written(reminder).calendar} reminded"
            case FollowUp():
                await self.write(follow_up, cast("Decision[FollowUp, Standing]", decision))
                return "customer written to"
            case _:
                end = cast("Decision[Close, Standing]", decision)
                return f"closed: {await self.write(close, end)}"
