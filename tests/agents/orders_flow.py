"""Agents that fulfil orders, written as users write theirs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from typing_extensions import override

from handrail import AgentWorkflow, Outcome
from tests.agents.orders_steps import (
    Call,
    Order,
    Part,
    Pay,
    Post,
    Ship,
    call,
    choose,
    look_up,
    pay,
    post,
    ship,
    tell,
)


class _Fulfils(AgentWorkflow):
    async def fulfil(self, order: Order) -> Outcome:
        await self.read(look_up, order.number)
        decision = await self.decide(choose, order)
        done = "fulfilled"
        for part in order.parts:
            if part == "pay":
                await self.write(pay, decision)
                if (paid := self.written(decision)) != decision.action:
                    done = f"fulfilled, {paid.amount} paid"
            else:
                await self._do(part, order)
        return self.done(done, value=order.worth)

    async def _do(self, part: Part, order: Order) -> None:
        number = order.number
        if part == "ship":
            await self.write(ship, Ship(order=number))
        elif part == "post":
            await self.write(post, Post(order=number))
        elif part == "call":
            await self.write(call, Call(order=number))
        elif part == "tell":
            await self.notify(tell, number)
        elif part == "wait":
            await workflow.sleep(timedelta(hours=1))
        elif part == "break":
            raise RuntimeError("something broke")


@workflow.defn
class OrderAgent(_Fulfils):
    """Fulfils orders."""

    @workflow.run
    async def run(self, order: Order) -> Outcome:
        return await self.fulfil(order)


@workflow.defn
class PatientAgent(_Fulfils):
    """Fulfils orders, and lets a day pass in which they can be taken back."""

    undo_window = timedelta(days=1)

    @workflow.run
    async def run(self, order: Order) -> Outcome:
        return await self.fulfil(order)


@workflow.defn
class PlantedAgent(_Fulfils):
    """Fulfils orders, under a policy that plants bad ones among its questions."""

    @workflow.run
    async def run(self, order: Order) -> Outcome:
        return await self.fulfil(order)


@workflow.defn
class ChangingAgent(_Fulfils):
    """Fulfils an order as it was changed last, when it was."""

    latest: Order | None = None

    @override
    def event_changed(self, event: Order) -> None:
        if event.amount < 0:
            raise ValueError("nobody pays less than nothing")
        self.latest = event

    @workflow.run
    async def run(self, order: Order) -> Outcome:
        await workflow.wait_condition(lambda: self.latest is not None)
        return await self.fulfil(self.latest or order)


@workflow.defn
class Handing:
    """A workflow of somebody else's that starts a case as its child."""

    @workflow.run
    async def run(self, order: Order, case: str) -> Any:
        return await workflow.execute_child_workflow(
            "OrderAgent", order, id=case, task_queue="orders"
        )


@workflow.defn
class StandingAgent(AgentWorkflow):
    """Pays a standing order again and again, and renews its run on the way."""

    @workflow.run
    async def run(self, order: Order) -> Outcome:
        while order.paid < order.times:
            instalment = Pay(order=f"{order.number}, {order.paid + 1}", amount=order.amount)
            await self.write(pay, instalment)
            await self.notify(tell, order.number)
            order = order.model_copy(update={"paid": order.paid + 1})
            if order.paid < order.times:
                await self.renew(order)
        if "break" in order.parts:
            raise RuntimeError("something broke")
        return self.done(f"paid {order.paid} times")
