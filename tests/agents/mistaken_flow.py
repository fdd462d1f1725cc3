"""A workflow as a newcomer writes it: each line of its run is a mistake."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportUnusedCoroutine=false
# pyright: reportGeneralTypeIssues=false, reportUnknownVariableType=false, reportUnusedVariable=false
# ruff: noqa: DTZ005, F841, S311

from __future__ import annotations

import random
import urllib.request
from datetime import datetime
from typing import Any

from temporalio import workflow

from handrail import AgentWorkflow
from tests.agents.mistaken_steps import Claim, find_claim, find_plain, judge_claim, pay_out


class Opener(urllib.request.Request):
    """What a client of HTTP does when it is imported."""


@workflow.defn
class MistakenAgent(AgentWorkflow):
    """Does everything wrong."""

    @workflow.run
    async def run(self, claim: Claim) -> Any:
        now = datetime.now()
        chance = random.random()
        plain = await self.read(find_plain, claim.number)
        verb = await self.read(judge_claim, claim, 1)
        whole = await self.read(find_claim, claim)
        few = await self.read(find_claim)
        wrong = await self.decide(judge_claim, claim, "many")
        return await self.write(pay_out, claim)
