"""The assistant with somebody's files."""

from __future__ import annotations

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.injection.files_tools import assist_files
from tests.injection.toolbox_model import Asked


@workflow.defn
class FilesAgent(AgentWorkflow):
    """Does what people ask with their files."""

    @workflow.run
    async def run(self, asked: Asked) -> Outcome:
        decision = await self.converse(assist_files, asked)
        return self.done(decision.rationale)
