"""A workflow that goes wrong ways, which no type says."""

# pyright: reportUnknownVariableType=false, reportUnusedVariable=false, reportArgumentType=false, reportReturnType=false
# pyright: reportUnknownMemberType=false, reportCallIssue=false
# ruff: noqa: DTZ005, E722, F841, PLC0415, PLW0603, SIM105, S110

from __future__ import annotations

import os

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.mistaken_steps import Claim, judge_claim, pay_out

count = 0
SEEN: list[str] = []


@workflow.defn
class WanderingAgent(AgentWorkflow):
    """Ends nowhere."""

    @workflow.run
    async def run(self, claim: Claim) -> Outcome:
        """Wander."""
        import datetime as dt

        global count
        count += 1
        now = dt.datetime.now()
        judged = await self.decide(judge_claim, claim, 1)
        named = await self.read("find_claim", claim.number)
        paid = self.write(pay_out, judged)
        try:
            count += 1
        except:
            pass
        for each in {claim.number, os.environ["HOME"]}:
            SEEN.append(each)  # noqa: PERF402
        if count > 2:
            return "2"
        if count > 1:
            return self.done(f"paid {paid}")
        while True:
            count += 1
