"""An agent that asks a hall, and waits until it is called back."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.halls_steps import AskHall, Feast, HallAnswer, ask_hall


@workflow.defn
class HallAgent(AgentWorkflow):
    """Finds a hall for a feast."""

    @workflow.run
    async def run(self, feast: Feast) -> Outcome:
        due = await self.write(ask_hall, AskHall(guests=feast.guests))
        within = timedelta(seconds=feast.patience)
        answer = await self.called_back(due, HallAnswer, within=within)
        if feast.number.startswith("TWICE"):
            await workflow.sleep(timedelta(seconds=2))
        return self.done(f"free: {answer.free}, for {answer.price}")
