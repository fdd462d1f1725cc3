"""An agent that gives money back, and answers what approvers ask it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from temporalio import workflow
from typing_extensions import override

from handrail import AgentWorkflow, Outcome
from handrail.actions import Wire
from handrail.oversight import GateView
from tests.agents.refunds_steps import Complaint, judge, refund


class Advice(Wire):
    """What a person says of a complaint."""

    deserved: bool
    share: int = Field(default=50, ge=0, le=100)
    tone: Literal["kind", "plain"] = "plain"


@workflow.defn
class RefundAgent(AgentWorkflow):
    """Gives customers money back."""

    @workflow.run
    async def run(self, complaint: Complaint) -> Outcome:
        if complaint.number.startswith("ASK"):
            advice = await self.ask("Does this customer deserve it?", Advice, to="lead")
            return self.done(f"{advice.share} % {advice.tone} {advice.deserved}")
        decision = await self.decide(judge, complaint)
        await self.write(refund, decision)
        return self.done("given back")

    @override
    async def explain(self, question: str, gate: GateView, /) -> str:
        return f"You asked: {question} The order {gate.action['order']} has two photos."
