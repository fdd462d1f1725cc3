"""The stores agent."""

from temporalio import workflow

from activities.stores import SpareNeeded, purchase, reserve, restock, shelf, which_spare
from handrail import AgentWorkflow, NotWritten, Outcome


@workflow.defn
class StoresAgent(AgentWorkflow):
    """Sees to the spare that planned work needs, and to what is left of it."""

    @workflow.run
    async def run(self, needed: SpareNeeded) -> Outcome:
        """See to one window's spare. It stands without one: crews have other ways to get it."""
        said: list[str] = []
        spare = await self.decide(which_spare, needed, await self.read(shelf, needed.part))
        try:
            if spare.action is not None:
                said.append(f"spare reserved ({await self.write(reserve, spare)})")
            more = await self.decide(restock, await self.read(shelf, needed.part))
            if more.action is not None:
                order = await self.write(purchase, more)
                said.append(f"{self.written(more).quantity} ordered ({order})")
        except NotWritten as error:
            said.append(str(error))
        return self.done(", ".join(said) or "no spare is free, some are on their way")
