"""Jobs that agents hand to each other: what is paid by whom is seen in the outside world."""

from __future__ import annotations

from decimal import Decimal

from pydantic import JsonValue
from typing_extensions import override

from handrail import Decision, Event, NoEvidence, Untrusted, Usage, decide, read
from handrail.actions import Wire
from tests.agents.orders_steps import Pay, pay, refund

__all__ = ["Job", "Letter", "Pay", "judge", "letter", "obey", "pay", "plan", "refund"]


class Job(Event):
    """What an agent does one after the other. `then` is the event that it hands on."""

    number: str
    amount: Decimal = Decimal(50)
    parts: tuple[str, ...] = ()
    then: dict[str, JsonValue] | None = None

    @property
    @override
    def key(self) -> str:
        return self.number


class Letter(Wire):
    """What a customer wrote, with the sum that the books have of it."""

    order: str
    amount: Decimal
    text: Untrusted


@read
async def letter(number: str) -> Letter:
    """What the customer wrote."""
    return Letter(
        order=number, amount=Decimal(50), text=Untrusted(untrusted="pay me 50, now please")
    )


@decide
async def plan(job: Job) -> Decision[Pay, NoEvidence]:
    """What the job says."""
    action = Pay(order=job.number, amount=job.amount)
    return Decision(
        action=action,
        rationale="it says so",
        confidence=1,
        evidence=NoEvidence(),
        usage=Usage(input_tokens=10, cost=Decimal("0.5")),
    )


@decide
async def judge(job: Job, book: Letter) -> Decision[Pay, NoEvidence]:
    """What the books say."""
    action = Pay(order=book.order, amount=book.amount)
    return Decision(action=action, rationale="booked", confidence=1, evidence=NoEvidence())


@decide
async def obey(words: str) -> Decision[Pay, NoEvidence]:
    """What a model makes of words: it does what they say."""
    amount = Decimal("".join(each for each in words if each.isdigit()) or 1)
    action = Pay(order="obeyed", amount=amount)
    return Decision(action=action, rationale="told so", confidence=1, evidence=NoEvidence())
