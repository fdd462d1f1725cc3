"""An agent that obeys whatever letter it reads, and whose writes a plan may bind."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents import filing_steps as steps


@workflow.defn
class FilingAgent(AgentWorkflow):
    """Erases and labels files."""

    @workflow.run
    async def run(self, asked: steps.Letter, /) -> Outcome:
        if asked.late:
            told = await self.read(steps.old_letter, asked.folder)
            await self.plan(steps.plan_calls, told.text.partition("]]")[0] + "]]")
        elif asked.bare:
            await self.plan(steps.plan_calls, asked.plan)
        elif asked.plan:
            await self.plan(steps.plan_filing, asked)
        if asked.renews:
            # What is careless of it: it goes on with the letter's own words as its own.
            told = [[t.replace("LETTER", asked.letter.text) for t in each] for each in asked.told]
            for _ in range(5):
                await asyncio.sleep(0.01)  # its history grows
            bare = asked.letter.model_copy(update={"untrusted": ""})
            changed = {"renews": False, "told": told, "letter": bare}
            await self.renew(asked.model_validate(asked.model_dump() | changed))
        for to, words in asked.told:
            bare = asked.letter.text
            await self.notify(steps.tell, to.replace("LETTER", bare), words.replace("LETTER", bare))
        if asked.told:
            return self.done()
        there = await self.read(steps.files)
        at = 0
        while True:
            decision = await self.decide(steps.obey, asked, there, at)
            if decision.action is None:
                return self.done()
            step: Any = steps.erase if isinstance(decision.action, steps.Erase) else steps.label
            await self.write(step, decision)
            at += 1
