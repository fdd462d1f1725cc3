"""The agent under test."""

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.chaos.steps import (
    Findable,
    Keyed,
    Order,
    choose,
    do_findable,
    do_keyed,
    do_plain,
    look,
    tell,
)


@workflow.defn
class ChaosAgent(AgentWorkflow):
    """Does one thing, and says so."""

    @workflow.run
    async def run(self, order: Order) -> Outcome:
        """Look, choose, do, tell; and fail where the order says so."""
        if order.hands_to:
            there = order.model_copy(update={"hands_to": ""})
            return self.done((await self.hand_off(order.hands_to, there)).why)
        level = await self.read(look, order)
        decision = await self.decide(choose, order, level)
        action = decision.action
        assert action is not None
        if isinstance(action, Keyed):
            number = await self.write(do_keyed, action)
        elif isinstance(action, Findable):
            number = await self.write(do_findable, action)
        else:
            number = await self.write(do_plain, action)
        await self.notify(tell, number)
        if order.spoil:
            raise ValueError("spoiled by order")
        return self.done()
