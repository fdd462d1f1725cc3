# ruff: noqa: INP001  # a module of a user's project: its directory is on the path
"""An agent that does as many steps as it is told."""

from counting_steps import Task, decided, look, put
from temporalio import workflow

from handrail import AgentWorkflow, Outcome


@workflow.defn
class Counter(AgentWorkflow):
    """Does as many steps as it is told."""

    @workflow.run
    async def run(self, task: Task) -> Outcome:
        """Do them."""
        for number in range(task.steps):
            if task.writes or task.held:
                await self.write(put, decided(number, held=task.held))
            else:
                await self.read(look, number)
        return self.done()
