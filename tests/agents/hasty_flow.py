"""An agent that hands work on in every wrong way: only its source is looked at."""

from __future__ import annotations

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.handing_steps import Job
from tests.agents.orders_steps import Order


@workflow.defn
class HastyAgent(AgentWorkflow):
    """Hands everything on."""

    @workflow.run
    async def run(self, job: Job) -> Outcome:
        self.hand_on("payer", Job(number="1"))  # pyright: ignore[reportUnusedCoroutine]
        await self.hand_off("clerk", job)
        await self.hand_off("payer", Order(number="1"))
        await self.hand_off("payer", job)
        return self.done()
