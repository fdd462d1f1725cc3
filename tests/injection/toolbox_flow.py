"""The assistant: does what people ask, with every tool there is."""

from __future__ import annotations

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.injection.toolbox_listed import assist_listed
from tests.injection.toolbox_model import Asked, assist


@workflow.defn
class AssistantAgent(AgentWorkflow):
    """Does what people ask of it."""

    @workflow.run
    async def run(self, asked: Asked) -> Outcome:
        decision = await self.converse(assist, asked)
        return self.done(decision.rationale)


@workflow.defn
class ListedAssistantAgent(AgentWorkflow):
    """Does what people ask of it, with tools that a server lists to each case."""

    @workflow.run
    async def run(self, asked: Asked) -> Outcome:
        decision = await self.converse(assist_listed, asked)
        return self.done(decision.rationale)
