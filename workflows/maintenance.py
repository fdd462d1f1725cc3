"""The maintenance agent."""

from temporalio import workflow

from activities.maintenance import Look, book_window, plan_work, suspects, watch, windows
from activities.stores import SpareNeeded
from handrail import AgentWorkflow, Outcome


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
        return self.done(f"new {window.part} {when}; {came.why or came.status}")
