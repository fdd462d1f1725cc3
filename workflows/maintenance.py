"""The maintenance agent."""

from temporalio import workflow

from activities.maintenance import (
    Look,
    Window,
    book_window,
    plan_work,
    purchase,
    reserve,
    restock,
    shelf,
    suspects,
    watch,
    which_spare,
    windows,
)
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
        spare = await self._spare(window)
        return self.done(f"new {window.part} at {window.start:%Y-%m-%d %H:%M}; {spare}")

    async def _spare(self, window: Window) -> str:
        """See to the spare. A window without one stands: crews have other ways to get it."""
        said: list[str] = []
        spare = await self.decide(which_spare, window, await self.read(shelf, window.part))
        try:
            if spare.action is not None:
                said.append(f"spare reserved ({await self.write(reserve, spare)})")
            more = await self.decide(restock, await self.read(shelf, window.part))
            if more.action is not None:
                said.append(f"{more.action.quantity} ordered ({await self.write(purchase, more)})")
        except NotWritten as error:
            said.append(str(error))
        return ", ".join(said) or "no spare is free, some are on their way"
