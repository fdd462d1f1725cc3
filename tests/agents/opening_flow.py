"""An agent whose module does what Temporal's sandbox forbids."""

from __future__ import annotations

import urllib.request

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.careless_steps import Ask


class Opener(urllib.request.Request):
    """What a client of HTTP does when it is imported."""


@workflow.defn
class OpeningAgent(AgentWorkflow):
    """Does nothing."""

    @workflow.run
    async def run(self, ask: Ask) -> Outcome:
        return self.done(ask.what)
