"""The maintenance agent."""

from temporalio import workflow

from activities.maintenance import (
    Look,
    Road,
    Window,
    book_window,
    by_van,
    deliver,
    plan_work,
    road,
    suspects,
    watch,
    windows,
)
from activities.routes import Changed
from activities.stores import SpareNeeded
from handrail import AgentWorkflow, NotWritten, Outcome


@workflow.defn
class MaintenanceAgent(AgentWorkflow):
    """Plans work on machines two days and more before they fail, with the spare for it."""

    @workflow.run
    async def run(self, look: Look) -> Outcome:
        """Look at one machine, or at all: each that is near a failure is a case of its own."""
        if look.machine is None:
            near = await self.read(suspects)
            for machine in near:
                await self.hand_on("maintenance", Look(at=look.at, machine=machine))
            return self.done(f"{len(near)} machines are near a failure")
        seen = await self.read(watch, look.machine)
        decision = await self.decide(plan_work, look, seen, await self.read(windows))
        if decision.action is None:
            return self.done(f"no work: {decision.rationale}")
        window = await self.write(book_window, decision)
        when = f"at {window.start:%Y-%m-%d %H:%M}"
        if window.part == "inspection":
            return self.done(f"inspection {when}: {decision.rationale}")
        spare = SpareNeeded(
            window=window.uid, part=window.part, machine=window.machine, start=window.start
        )
        came = await self.hand_off("stores", spare)
        said = f"new {window.part} {when}; {came.why or came.status}"
        if (on := await self.read(road)) is not None:
            said += await self._brought(window, on)
        return self.done(said)

    async def _brought(self, window: Window, on: Road) -> str:
        """Have the spare brought: the vans have an order more, so that their day changes."""
        decision = await self.decide(by_van, window, on)
        if decision.action is None:
            return f"; {decision.rationale}"
        try:
            order = await self.write(deliver, decision)
        except NotWritten as error:
            return f"; {error}"
        changed = Changed(day=on.day, minute=on.now, what="order", about=order)
        await self.hand_on("routes", changed)
        return f"; {order} brings it"
