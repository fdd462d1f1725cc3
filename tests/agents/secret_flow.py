"""An agent whose steps give their secret away."""

from __future__ import annotations

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.secret_steps import (
    Leak,
    book,
    choose,
    look,
    look_openly,
    plainly,
    pry,
    tell,
)


@workflow.defn
class SecretAgent(AgentWorkflow):
    """Goes through one step."""

    @workflow.run
    async def run(self, leak: Leak) -> Outcome:
        match leak.step:
            case "look":
                return self.done(await self.read(look, leak.how))
            case "look_openly":
                return self.done(await self.read(look_openly, leak.how))
            case "pry":
                return self.done(await self.read(pry))
            case "choose":
                return self.done((await self.decide(choose, leak.how)).rationale)
            case "tell":
                return self.done(await self.notify(tell, leak.how) or "not told")
            case _:
                decision = await self.decide(plainly, None)
                return self.done(await self.write(book, decision))
