"""The steps of the refunds agent, which gives back what another agent found to be due.

It talks to the payables service (`INVOICES_PAYABLES_URL`), as the invoices agent does.
"""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, Field

from activities.invoices import answered, payables
from activities.support_facts import RefundDue
from handrail import Action, Decision, Effect, Final, NoEvidence, decide, write


class PayBack(Action):
    """Give a customer back what an order was overpaid by, or was not worth (EUR)."""

    order: str
    customer: str
    amount: Decimal = Field(gt=0, max_digits=12, decimal_places=2)


class PaidBack(BaseModel, frozen=True):
    """A refund of the payables service."""

    id: int
    key: str
    status: str


@decide
async def as_handed(due: RefundDue) -> Decision[PayBack, NoEvidence]:
    """Give back what was handed over: whether it is due, the other agent has decided."""
    back = PayBack(order=due.order, customer=due.customer, amount=due.amount)
    why = f"{due.amount} EUR of {due.order} are due to {due.customer}."
    return Decision(action=back, rationale=why, confidence=1.0, evidence=NoEvidence())


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
