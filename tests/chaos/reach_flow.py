"""The workflow of an agent that a model leads, that hands on, and that waits to be called back."""

from datetime import timedelta

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.chaos.reach_steps import (
    Ask,
    Chat,
    Close,
    Note,
    Pass,
    Post,
    Told,
    ask_out,
    do_chat,
    do_close,
    do_mail,
    do_pass,
    do_post,
    look,
    tell,
    think,
)
from tests.chaos.steps import Order

_WITHIN = timedelta(seconds=60)


@workflow.defn
class ReachAgent(AgentWorkflow):
    """Does what an order takes: by a model, by another agent, by a system that calls back."""

    @workflow.run
    async def run(self, order: Order) -> Outcome:
        """Converse, hand on, ask, wait, close, say so; the other agent passes it on, and tells."""
        if not order.hands_to:
            await self.read(look, order)
            number = await self.write(do_pass, Pass(amount=order.amount))
            await self.notify(tell, number)
            return self.done()
        await self.converse(think, order)
        await self.hand_off(order.hands_to, order.model_copy(update={"hands_to": ""}))
        due = await self.write(ask_out, Ask(amount=order.amount))
        told = await self.called_back(due, Told, within=_WITHIN)
        await self.write(do_close, Close(number=told.number))
        await self.write(do_post, Post(amount=order.amount))
        await self.write(do_chat, Chat(channel="C01", text="It is done."))
        case = workflow.info().workflow_id
        await self.write(do_mail, Note(to="ann@example.com", subject=case, text="It is done."))
        return self.done()
