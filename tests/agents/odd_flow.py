"""An agent whose steps misbehave."""

from __future__ import annotations

from typing import cast

from temporalio import workflow
from typing_extensions import override

from handrail import AgentWorkflow, GateView, Outcome
from tests.agents.odd_steps import (
    Odd,
    announce,
    burst,
    choose,
    heavy,
    make,
    mistaken,
    ponder,
    scrawl,
    scribble,
    shaky,
    slow,
)


@workflow.defn
class OddAgent(AgentWorkflow):
    """Lives through whatever its steps do."""

    @workflow.run
    async def run(self, odd: Odd) -> Outcome:
        reads = {"burst": burst, "slow": slow, "shaky": shaky}
        if odd.step in reads:
            await self.read(reads[odd.step], odd.what)
        if odd.step == "heavy":
            return self.done(f"heavy: {len(await self.read(heavy, odd.what))}")
        if odd.step == "mistaken":
            call = self.read(heavy, "0")
            try:
                await self.read(mistaken, cast("str", call) if odd.what == "a call" else odd.what)
            finally:
                call.close()
        if odd.step in {"choose", "make"}:
            decision = await self.decide(choose, odd.what)
            await self.write(make, decision)
        if odd.step == "wedge":
            # What the SDK raises where code does not fit a history: the task fails, not the case.
            raise workflow.NondeterminismError(odd.what)
        if odd.step == "ponder":
            await self.write(make, await self.decide(ponder, odd.what))
        if odd.step == "unfit":
            await self.read(scribble, odd.what)
            await self.write(make, await self.decide(scrawl, odd.what))
            await self.notify(announce, "\ud83d\x00")
            if odd.what == "raised":
                raise RuntimeError("half \ud83d of it")
            return self.done("all of it \ud83d")
        if odd.step == "announce":
            await self.notify(announce, odd.what)
        return self.done()

    @override
    async def explain(self, question: str, gate: GateView, /) -> str:
        return (await self.decide(ponder, question)).rationale
