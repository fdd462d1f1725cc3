"""The steps of the refunds agent, which gives back what another agent found to be due.

It asks the shop (`SUPPORT_SHOP_URL`) what was paid, for whoever hands work over may have read what
strangers wrote, and gives back through the payables service (`INVOICES_PAYABLES_URL`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from urllib.parse import quote

from pydantic import BaseModel, Field

from activities.invoices import answered, payables
from activities.support_facts import Order, RefundDue
from activities.support_systems import get_shop
from handrail import Action, Decision, Effect, Final, decide, read, write

EUR = Field(json_schema_extra={"unit": "EUR"})


class PayBack(Action):
    """Give a customer back what an order was overpaid by, or was not worth (EUR)."""

    order: str
    customer: str
    amount: Annotated[Decimal, EUR] = Field(gt=0, max_digits=12, decimal_places=2)

    @property
    def summary(self) -> str:
        """One line for approvers."""
        return f"{self.amount} EUR back to {self.customer} for order {self.order}"


class PaidBack(BaseModel, frozen=True):
    """A refund of the payables service."""

    id: int
    key: str
    status: str


class Owed(BaseModel, frozen=True):
    """What the shop knows of an order that a refund is due for. EUR."""

    order: str
    customer: str
    amount: Decimal
    """What was paid."""
    differs: bool
    """Whether another amount, or customer, was handed over than the shop knows."""
    given_before: bool


class RefundFacts(BaseModel, frozen=True, extra="forbid"):
    """The evidence."""

    paid: Annotated[Decimal, EUR]
    differs: bool
    given_before: bool


@read
async def owed(due: RefundDue) -> Owed:
    """Look up at the shop what was paid for the order."""
    order = Order.model_validate(await get_shop(f"/orders/{quote(due.order, safe='')}"))
    return Owed(
        order=order.id,
        customer=order.customer,
        amount=order.total,
        differs=(due.amount, due.customer) != (order.total, order.customer),
        given_before=order.refunded,
    )


@decide
async def as_paid(owed: Owed) -> Decision[PayBack, RefundFacts]:
    """Give back what was paid: whether it is due, the other agent has decided."""
    back = PayBack(order=owed.order, customer=owed.customer, amount=owed.amount)
    facts = RefundFacts(paid=owed.amount, differs=owed.differs, given_before=owed.given_before)
    why = f"{owed.amount} EUR were paid for {owed.order} by {owed.customer}."
    return Decision(action=back, rationale=why, confidence=1.0, evidence=facts)


@write(idempotent=True)
async def cancel_refund(action: PayBack, effect: Effect) -> bool:
    """Cancel the refund that was scheduled, if it was."""
    del action
    if effect.undoes is None:
        raise Final("cancel_refund only ever takes a refund of this agent back")
    gone = await payables().delete("/refunds", params={"key": effect.undoes.key})
    return bool(answered(gone))


@write(undo=cancel_refund, idempotent=True)
async def pay_back(action: PayBack, effect: Effect) -> PaidBack:
    """Schedule a refund under the effect's key, so that a retry gives nothing more back."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": effect.key}
    given = await payables().post("/refunds", content=action.model_dump_json(), headers=headers)
    return PaidBack.model_validate(answered(given))
