"""An agent that asks people its own questions, and answers theirs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from temporalio import workflow
from typing_extensions import override

from handrail import AgentWorkflow, Outcome
from handrail.actions import Wire
from handrail.oversight import GateView
from tests.agents.orders_steps import Order, choose, look_up, pay


class Answer(Wire):
    """What a person says of an order."""

    urgent: bool
    carrier: Literal["road", "rail"] = "road"
    parcels: int = Field(default=1, ge=1, le=9)


@workflow.defn
class CuriousAgent(AgentWorkflow):
    """Pays for orders, after it has asked about them."""

    @workflow.run
    async def run(self, order: Order) -> Outcome:
        if "wait" in order.parts:
            answer = await self.ask(f"Is order {order.number} urgent?", Answer, to="lead")
            return self.done(f"{answer.carrier}, {answer.parcels}, {answer.urgent}")
        decision = await self.decide(choose, order)
        await self.write(pay, decision)
        return self.done("paid")

    @override
    async def explain(self, question: str, gate: GateView, /) -> str:
        if question == "break":
            raise RuntimeError("no idea")
        await self.read(look_up, "1")
        return f"about {gate.action['order']}: {question.upper()}"
