"""The support agent."""

from typing import cast

from temporalio import workflow

from activities.support import (
    answer,
    choose,
    file,
    file_as,
    look_up,
    refund,
    refunds_by,
    replace,
)
from activities.support_facts import Came, Message, Record, Refund, RefundDue, Replace, Seen
from handrail import AgentWorkflow, Decision, NotTaken, NotWritten, Outcome, State

RECORDS: dict[Came, tuple[Record, ...]] = {
    "refunded": ("ticket", "note"),
    "replaced": ("ticket", "note", "follow_up"),
    "answered": ("ticket",),
    "people": ("ticket",),
}
"""What the desk keeps of a message, by what came of it."""


@workflow.defn
class SupportAgent(AgentWorkflow):
    """Answers customers: what is due it does, what is not sure people read."""

    @workflow.run
    async def run(self, message: Message) -> Outcome:
        """Handle one message."""
        known = await self.read(look_up, message)
        decision = await self.decide(choose, message, known)
        seen, came = decision.evidence, await self._carry_out(decision)
        for record in RECORDS[came]:
            kept = await self.decide(file_as, message, known, seen.order, came, record)
            await self.write(file, kept)
        if known.customer is not None:
            told = (message.number, known.customer.id, seen.intent, seen.order, came)
            await self.notify(answer, *told)
        return self.done(f"{came}: {decision.rationale}")

    async def _carry_out(self, decision: Decision[Refund | Replace, Seen]) -> Came:
        """Do what is due; what may not be done is for people."""
        action, seen = decision.action, decision.evidence
        try:
            if isinstance(action, Refund):
                if await self.read(refunds_by) == "refunds":
                    return await self._hand_over(action, seen)
                await self.write(refund, cast("Decision[Refund, Seen]", decision))
                return "refunded"
            if isinstance(action, Replace):
                await self.write(replace, cast("Decision[Replace, Seen]", decision))
                return "replaced"
        except NotWritten:
            return "people"
        return "answered" if seen.handling == "answer" else "people"

    async def _hand_over(self, action: Refund, seen: Seen) -> Came:
        due = RefundDue(order=action.order, customer=seen.customer, amount=action.amount)
        try:
            came = await self.hand_off("refunds", due)
        except NotTaken:
            return "people"
        return "refunded" if came.status is State.DONE else "people"
