"""Workflows as people write them who forget an `await`, or call a step itself."""

# pyright: reportUnusedCoroutine=false, reportUnusedExpression=false, reportUnusedVariable=false, reportArgumentType=false
# ruff: noqa: C901, F841, PLR0912, PLW0131, RUF006

from __future__ import annotations

import asyncio
import sys
from typing import Any

from temporalio import workflow

from handrail import Action, AgentWorkflow, Outcome
from tests.agents.careless_steps import (
    STEPS,
    Ask,
    Base,
    Note,
    Pay,
    PayMore,
    choose,
    look,
    pay,
    pay_later,
    sneak,
    tell,
)

OTHERS: dict[str, Any] = {
    "subclass": PayMore(account="1"),
    "base": Base(account="1"),
    "look-alike": Note(account="1"),
    "dict": {"account": "1"},
    "bare": Action(),
    "text": "pay",
}
"""What is handed to a step that takes a `Pay`."""


@workflow.defn
class CarelessAgent(AgentWorkflow):
    """Does nothing of what it says, or something else."""

    @workflow.run
    async def run(self, ask: Ask) -> Outcome:
        decision = await self.decide(choose, ask.number)
        match ask.what:
            case "exits":
                sys.exit(1)
            case "not awaited":
                self.write(pay, decision)
            case "assigned":
                forgotten = self.write(pay, decision)
            case "gathered":
                asyncio.gather(self.decide(choose, "x"), self.write(pay, decision))
            case "task":
                asyncio.create_task(self.write(pay, decision))
            case "refused unseen":
                task = asyncio.create_task(self.write(pay, PayMore(account="1")))
                await workflow.wait([task])
            case "refused deep":
                nested = asyncio.create_task(self.pay_aside())
                await workflow.sleep(1)
            case "refused in a group":
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.write(pay, PayMore(account="1")))
                    group.create_task(self.read(look, "1"))
            case "refused and seen":
                task = asyncio.create_task(self.write(pay, PayMore(account="1")))
                await asyncio.gather(task, return_exceptions=True)
            case "own coroutine":
                self.again(ask.number)
            case "called":
                await self.again(ask.number)
            case "wrong argument":
                await self.read(look, ask)
            case "sneaked":
                await self.write(pay, await self.decide(sneak, ask.number))
            case "in place":
                action = PayMore(account="1")
                await self.write(pay, decision.model_copy(update={"action": action}))
            case other if other in OTHERS:
                await self.write(pay, OTHERS[other])
            case _:
                await self.write(pay, decision)
        await self.notify(tell, "it is paid")
        return self.done("paid")

    async def again(self, number: str) -> None:
        """Look, past the case."""
        await look(number)

    async def pay_aside(self) -> None:
        """Pay, in a task of its own."""
        await self.write(pay, PayMore(account="1"))

    async def once_more(self, number: str) -> None:
        """Look, still past the case."""
        await look.fn(number)


@workflow.defn
class ForgetfulAgent(AgentWorkflow):
    """Awaits nothing, in as many ways."""

    @workflow.run
    async def run(self, ask: Ask) -> Outcome:
        def within() -> None:
            self.write(pay, Pay(account="within"))

        self.write(pay, Pay(account="either")) if ask.what else None
        ask.what and self.write(pay, Pay(account="and"))
        (walrus := self.write(pay, Pay(account="walrus")))
        noted: Any = self.write(pay, Pay(account="noted"))
        self.write(pay, Pay(account="pair")), self.read(look, "pair")
        [self.write(pay, Pay(account=each)) for each in ask.what]
        asyncio.gather(*[self.write(pay, Pay(account=each)) for each in ask.what])
        asyncio.wait_for(asyncio.shield(self.write(pay, Pay(account="shield"))), 1)
        try:
            within()
        finally:
            self.write(pay, Pay(account="finally"))
        return self.done("paid")


@workflow.defn
class DispatchingAgent(AgentWorkflow):
    """Writes by steps that nobody gave it."""

    @workflow.run
    async def run(self, ask: Ask) -> Outcome:
        await self.write(STEPS[ask.number], Pay(account="1"))
        await self.write(pay_later, Pay(account="2"))
        return self.done()


@workflow.defn
class SoundAgent(AgentWorkflow):
    """Does all as it should be done."""

    @workflow.run
    async def run(self, ask: Ask) -> Outcome:
        number = await self.read(look, ask.number)
        later = [self.read(look, number) for _ in range(2)]
        task = asyncio.create_task(self.read(look, number))
        await asyncio.gather(*later, task)
        writing = self.write(pay, await self.decide(choose, number))
        await writing
        await self.again(number)
        return self.done()

    async def again(self, number: str) -> None:
        """Look once more."""
        await asyncio.gather(self.read(look, number))
