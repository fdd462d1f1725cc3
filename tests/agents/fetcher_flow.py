"""An agent that fetches what a text from outside may name."""

from __future__ import annotations

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.fetcher_steps import Notice, choose, fetch


@workflow.defn
class FetcherAgent(AgentWorkflow):
    """Fetches a page that it knows, and then what it is told to."""

    @workflow.run
    async def run(self, notice: Notice) -> Outcome:
        await self.read(fetch, notice.link)
        decision = await self.decide(choose, notice)
        if decision.action is not None:
            await self.read(fetch, decision.action.url)
        return self.done()
