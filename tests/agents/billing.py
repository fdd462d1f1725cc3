"""The steps of an agent that pays invoices through a billing service that describes itself."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel
from typing_extensions import override

from handrail import Action, Decision, Event, From, NoEvidence, Untrusted, decide
from handrail.integrations.connectors import OpenAPI

DIGEST = "4256ee29a67b863b8a6b61ac75a81efcd4a615acfb6c98738b529bc404d5c8d4"

billing = OpenAPI(
    Path(__file__).with_name("billing.json"),
    digest=DIGEST,
    base_url=os.environ.get("BILLING_URL", "http://127.0.0.1:1"),
    auth="BILLING_TOKEN",
    live="/openapi.json",
)


class Invoice(BaseModel, frozen=True):
    """What of an invoice the agent looks at."""

    id: str
    total: float
    note: Untrusted


class Pay(Action):
    """Pay an invoice."""

    invoice: str
    amount: Annotated[float, From(Invoice, "total")]


class Transfer(Action):
    """Send money."""

    amount: Annotated[float, From(Invoice, "total")]


class Bill(Event):
    """An invoice that is to be paid, in one of two ways."""

    number: str
    transferred: bool = False

    @property
    @override
    def key(self) -> str:
        return self.number


get_invoice = billing.read("getInvoice", returns=Invoice)
pay = billing.write(
    "createPayment",
    action=Pay,
    idempotency_header="Idempotency-Key",
    undo="cancelPayment",
    undo_by={"id": "result.id"},
)
transfer = billing.write(
    "createTransfer",
    action=Transfer,
    key_field="reference",
    find="listPayments",
    find_by={"reference": "key"},
    settles=timedelta(0),
)


@decide
async def choose(bill: Bill, invoice: Invoice) -> Decision[Pay | Transfer, NoEvidence]:
    """Pay what the invoice says, in the way that was asked for."""
    action = (
        Transfer(amount=invoice.total)
        if bill.transferred
        else Pay(invoice=invoice.id, amount=invoice.total)
    )
    return Decision(action=action, rationale="it is due", confidence=1, evidence=NoEvidence())
