"""The inspection agent."""

from temporalio import workflow

from activities.inspection import (
    Part,
    charted,
    closes_point,
    control,
    judge,
    look,
    propose,
    settle,
    sort,
    stop_line,
)
from activities.maintenance import Look
from handrail import AgentWorkflow, NotWritten, Outcome


@workflow.defn
class InspectionAgent(AgentWorkflow):
    """Says of each part whether it passes, and stops a line that has gone off."""

    @workflow.run
    async def run(self, part: Part) -> Outcome:
        """Judge one part; with the last of a point, the line."""
        seen = await self.read(look, part.line, part.serial)
        decision = await self.decide(judge, part, seen)
        verdict = await self.write(sort, decision)
        said = [f"{verdict}: {decision.rationale}"]
        if closes_point(part):
            said.append(await self._line(part))
        if verdict == "hold":
            try:
                said.append(await self.write(settle, await self.decide(propose, part, seen)))
            except NotWritten as error:
                said.append(f"stays held: {error}")
        return self.done("; ".join(said))

    async def _line(self, part: Part) -> str:
        """Look at the line's chart: stop it if it is off, and have its machine seen to."""
        decision = await self.decide(control, part, await self.read(charted, part.line))
        if decision.action is None:
            return decision.rationale
        said, reason = decision.rationale, decision.action.reason
        try:
            await self.write(stop_line, decision)
            reason = self.written(decision).reason
        except NotWritten as error:
            said = str(error)
        machine = decision.evidence.machine
        order = Look(at=part.at, machine=machine, faults=reason)
        return f"{said}; {await self.hand_on('maintenance', order)} sees to machine {machine}"
