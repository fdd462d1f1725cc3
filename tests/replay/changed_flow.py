"""What a careless change of an agent looks like to the cases that are open."""

from __future__ import annotations

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.orders_steps import Order, choose, look_up, pay, tell


@workflow.defn(name="OrderAgent")
class TellsFirst(AgentWorkflow):
    """Fulfils orders, and tells the customer before it has paid."""

    @workflow.run
    async def run(self, order: Order) -> Outcome:
        await self.read(look_up, order.number)
        decision = await self.decide(choose, order)
        await self.notify(tell, order.number)
        await self.write(pay, decision)
        return self.done("fulfilled")


@workflow.defn(name="OrderAgent")
class LooksTwice(AgentWorkflow):
    """Fulfils orders, and looks once more at what is in stock."""

    @workflow.run
    async def run(self, order: Order) -> Outcome:
        await self.read(look_up, order.number)
        await self.read(look_up, order.number)
        decision = await self.decide(choose, order)
        await self.write(pay, decision)
        await self.notify(tell, order.number)
        return self.done("fulfilled")


@workflow.defn(name="OrderAgent")
class LooksTwiceIfNew(AgentWorkflow):
    """The same, for cases that begin with it; those that are open go the old way."""

    @workflow.run
    async def run(self, order: Order) -> Outcome:
        await self.read(look_up, order.number)
        if workflow.patched("look-twice"):
            await self.read(look_up, order.number)
        decision = await self.decide(choose, order)
        await self.write(pay, decision)
        await self.notify(tell, order.number)
        return self.done("fulfilled")
