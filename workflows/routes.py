"""The routes agent."""

from temporalio import workflow

from activities.routes import Changed, dispatch, replan, situation, tell
from handrail import AgentWorkflow, Failed, Outcome, Refused

TRIES = 6
"""How often it plans: vans drive on while it thinks, and other plans come in."""


@workflow.defn
class RoutesAgent(AgentWorkflow):
    """Plans the vans' routes again when something changes, and tells whom it concerns."""

    @workflow.run
    async def run(self, changed: Changed) -> Outcome:
        """Handle one change."""
        for tries_left in reversed(range(TRIES)):
            known = await self.read(situation, changed.day)
            if known is None:
                return self.done(f"{changed.day} is not on the road")
            decision = await self.decide(replan, known)
            if decision.action is None:
                return self.done(decision.rationale)
            try:
                version = await self.write(dispatch, decision)
            except (Refused, Failed):
                if not tries_left:
                    raise
                continue
            was = {van.id: van.stops for van in known.vans}
            planned = self.written(decision).routes
            drivers = [van for van, stops in planned.items() if was[van] != stops]
            await self.notify(tell, version, drivers, list(decision.evidence.told))
            return self.done(f"plan {version}: {decision.rationale}")
        raise AssertionError("the last try returns or raises")
