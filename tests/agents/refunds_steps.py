"""Steps of an agent that gives money back: an action with a field of each kind."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import Field
from typing_extensions import override

from handrail import Action, Decision, Effect, Event, decide, write
from handrail.actions import Wire
from handrail.testing import Outside

Reason = Literal["damaged", "late", "goodwill"]


class Complaint(Event):
    """What a customer wrote. `text` is theirs, and may say anything."""

    number: str
    text: str = "The box was wet, and two of six glasses are broken."
    amount: Decimal = Decimal("84.00")

    @property
    @override
    def key(self) -> str:
        return self.number


class Account(Wire):
    """Where money goes."""

    holder: str
    iban: str


class Refund(Action):
    """Give a customer money back."""

    order: str
    amount: Decimal = Field(gt=0, le=500, json_schema_extra={"unit": "EUR"})
    reason: Reason
    due: date
    parcels: int = Field(ge=1, le=9)
    send_mail: bool
    note: str | None = None
    account: Account
    articles: tuple[str, ...] = ()


class Facts(Wire):
    """What a decision about a complaint rests on."""

    complaint: str
    paid: Decimal = Field(json_schema_extra={"unit": "EUR"})
    amount: Decimal = Field(json_schema_extra={"unit": "EUR"})
    open_for_days: int
    due: date


@decide
async def judge(complaint: Complaint) -> Decision[Refund, Facts]:
    """What to give back."""
    due = date(2026, 12, 1)
    return Decision(
        action=Refund(
            order=complaint.number,
            amount=complaint.amount,
            reason="damaged",
            due=due,
            parcels=2,
            send_mail=True,
            account=Account(holder="Ida Berg", iban="DE02120300000000202051"),
            articles=("GLASS-6", "BOX-S"),
        ),
        rationale=f"Photos show the damage. The customer writes: {complaint.text}",
        confidence=0.83,
        evidence=Facts(
            complaint=complaint.text,
            paid=Decimal("249.90"),
            amount=Decimal("0.00"),
            open_for_days=3,
            due=due,
        ),
    )


@write(idempotent=True)
async def take_back(action: Refund, effect: Effect) -> str:
    """Book the money back."""
    return await Outside.current().put("back", effect.key, action.model_dump(mode="json"))


@write(idempotent=True, undo=take_back)
async def refund(action: Refund, effect: Effect) -> str:
    """Give the money back."""
    return await Outside.current().put("refund", effect.key, action.model_dump(mode="json"))
