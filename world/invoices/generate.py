"""Suppliers, orders and invoices (UBL 2.1, EN 16931), made from a seed, with planted faults.

An invoice is clean, or has exactly one fault: in its form, which the official rules find, or in
the business, which only whoever knows suppliers and orders can find.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape

SEED: Final = 16931
_CENT = Decimal("0.01")
_RATE = Decimal(19)
_ITEMS = (
    "Bearing 6204",
    "Seal NBR 40",
    "Hydraulic oil 20 l",
    "Filter G4",
    "Freight",
    "Service hour",
)
_OTHER_IBAN = "DE89370400440532013000"
_NAMES = ("Adler", "Birke", "Cramer", "Dorn", "Esch", "Falk", "Gerber", "Hahn", "Iske", "Jost")


@dataclass(frozen=True)
class Supplier:
    """Somebody who sends invoices, as the payables department has them on file."""

    id: str
    name: str
    vat: str
    iban: str


@dataclass(frozen=True)
class Line:
    """One line of an order and its invoice. `price`: EUR for one."""

    item: str
    quantity: int
    price: Decimal

    @property
    def amount(self) -> Decimal:
        """EUR, without tax."""
        return self.quantity * self.price


@dataclass(frozen=True)
class Order:
    """What was ordered of a supplier."""

    number: str
    supplier: Supplier
    lines: tuple[Line, ...]

    @property
    def net(self) -> Decimal:
        """EUR, without tax."""
        return sum((line.amount for line in self.lines), Decimal(0))

    @property
    def total(self) -> Decimal:
        """EUR, with tax."""
        return self.net + _tax(self.net)


@dataclass(frozen=True)
class Paper:
    """An invoice as it arrives. `fault`: what is wrong with it, which is the truth, or nothing."""

    id: str
    order: Order
    number: str
    iban: str
    day: date
    fault: str = ""
    xml: str = ""


def suppliers(count: int = 10, seed: int = SEED) -> list[Supplier]:
    """So many suppliers."""
    drawn = random.Random(seed)  # noqa: S311
    return [
        Supplier(
            f"S-{n + 1:03}",
            f"{_NAMES[n % 10]} {n // 10 or ''}GmbH".replace("  ", " "),
            f"DE{drawn.randrange(10**8, 10**9)}",
            _iban(drawn),
        )
        for n in range(count)
    ]


def orders(known: list[Supplier], count: int, seed: int = SEED) -> list[Order]:
    """So many orders of these suppliers."""
    drawn = random.Random(seed + 1)  # noqa: S311
    return [
        Order(f"PO-{4000 + n}", drawn.choice(known), tuple(_lines(drawn))) for n in range(count)
    ]


def _lines(drawn: random.Random) -> Iterator[Line]:
    for item in drawn.sample(_ITEMS, drawn.randrange(1, 4)):
        yield Line(item, drawn.randrange(1, 30), Decimal(drawn.randrange(150, 20_000)) / 100)


def clean(order: Order, number: int) -> Paper:
    """The invoice that is right for an order."""
    day = date(2026, 11, 2) + timedelta(days=number % 25)
    made = Paper(f"DOC-{number:05}", order, f"R{26000 + number}", order.supplier.iban, day)
    return replace(made, xml=_ubl(made))


def drawn_papers(known: list[Order], seed: int = SEED) -> list[Paper]:
    """One paper of each order, two of each fault, the rest clean, and a few of these twice."""
    faults = [fault for fault in (*IN_FORM, *IN_BUSINESS) for _ in range(2)]
    papers = [
        faulty(order, n, faults[n]) if n < len(faults) else clean(order, n)
        for n, order in enumerate(known)
    ]
    whole = [paper for paper in papers if not paper.fault]
    again = [replace(paper, id=f"{paper.id}-again", fault="duplicate") for paper in whole[:4]]
    random.Random(seed + 2).shuffle(papers)  # noqa: S311
    return [*papers, *again]


def faulty(order: Order, number: int, fault: str) -> Paper:
    """An invoice of an order with one fault.

    Raises:
        KeyError: if there is no such fault.
    """
    return {**IN_FORM, **IN_BUSINESS}[fault](clean(order, number))


def _ubl(paper: Paper, currency: str = "EUR") -> str:
    order, net = paper.order, paper.order.net
    tax, who = _tax(net), order.supplier
    lines = "".join(_line(n, line, currency) for n, line in enumerate(order.lines, 1))
    money = f'currencyID="{currency}"'
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"
 xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
 xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
<cbc:CustomizationID>urn:cen.eu:en16931:2017</cbc:CustomizationID>
<cbc:ID>{paper.number}</cbc:ID>
<cbc:IssueDate>{paper.day.isoformat()}</cbc:IssueDate>
<cbc:DueDate>{(paper.day + timedelta(days=30)).isoformat()}</cbc:DueDate>
<cbc:InvoiceTypeCode>380</cbc:InvoiceTypeCode>
<cbc:DocumentCurrencyCode>{currency}</cbc:DocumentCurrencyCode>
<cac:OrderReference><cbc:ID>{order.number}</cbc:ID></cac:OrderReference>
<cac:AccountingSupplierParty><cac:Party>
{_COUNTRY}<cac:PartyTaxScheme><cbc:CompanyID>{who.vat}</cbc:CompanyID>{_VAT}</cac:PartyTaxScheme>
<cac:PartyLegalEntity><cbc:RegistrationName>{escape(who.name)}</cbc:RegistrationName>
</cac:PartyLegalEntity></cac:Party></cac:AccountingSupplierParty>
<cac:AccountingCustomerParty><cac:Party>
{_COUNTRY}<cac:PartyLegalEntity><cbc:RegistrationName>Example Works AG</cbc:RegistrationName>
</cac:PartyLegalEntity></cac:Party></cac:AccountingCustomerParty>
<cac:PaymentMeans><cbc:PaymentMeansCode>58</cbc:PaymentMeansCode>
<cac:PayeeFinancialAccount><cbc:ID>{paper.iban}</cbc:ID></cac:PayeeFinancialAccount>
</cac:PaymentMeans>
<cac:TaxTotal><cbc:TaxAmount {money}>{tax}</cbc:TaxAmount>
<cac:TaxSubtotal><cbc:TaxableAmount {money}>{net}</cbc:TaxableAmount>
<cbc:TaxAmount {money}>{tax}</cbc:TaxAmount>
<cac:TaxCategory><cbc:ID>S</cbc:ID><cbc:Percent>{_RATE}</cbc:Percent>{_VAT}</cac:TaxCategory>
</cac:TaxSubtotal></cac:TaxTotal>
<cac:LegalMonetaryTotal><cbc:LineExtensionAmount {money}>{net}</cbc:LineExtensionAmount>
<cbc:TaxExclusiveAmount {money}>{net}</cbc:TaxExclusiveAmount>
<cbc:TaxInclusiveAmount {money}>{net + tax}</cbc:TaxInclusiveAmount>
<cbc:PayableAmount {money}>{net + tax}</cbc:PayableAmount></cac:LegalMonetaryTotal>
{lines}</Invoice>
"""


def _line(number: int, line: Line, currency: str) -> str:
    money = f'currencyID="{currency}"'
    return f"""<cac:InvoiceLine><cbc:ID>{number}</cbc:ID>
<cbc:InvoicedQuantity unitCode="C62">{line.quantity}</cbc:InvoicedQuantity>
<cbc:LineExtensionAmount {money}>{line.amount}</cbc:LineExtensionAmount>
<cac:Item><cbc:Name>{escape(line.item)}</cbc:Name>
<cac:ClassifiedTaxCategory><cbc:ID>S</cbc:ID><cbc:Percent>{_RATE}</cbc:Percent>
{_VAT}</cac:ClassifiedTaxCategory></cac:Item>
<cac:Price><cbc:PriceAmount {money}>{line.price}</cbc:PriceAmount></cac:Price></cac:InvoiceLine>
"""


_VAT = "<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme>"
_COUNTRY = (
    "<cac:PostalAddress><cac:Country><cbc:IdentificationCode>DE</cbc:IdentificationCode>"
    "</cac:Country></cac:PostalAddress>"
)


def _tax(net: Decimal) -> Decimal:
    return (net * _RATE / 100).quantize(_CENT)


def _iban(drawn: random.Random) -> str:
    bank = f"{drawn.randrange(10**17, 10**18)}"
    check = 98 - int(f"{bank}131400") % 97
    return f"DE{check:02}{bank}"


# What can be wrong


def _cut(paper: Paper, tag: str, new: Callable[[str], str], fault: str) -> Paper:
    """With the first such element of the XML made another text."""
    start = paper.xml.index(f"<{tag}")
    end = paper.xml.index(f"</{tag}>", start) + len(tag) + 3
    xml = paper.xml[:start] + new(paper.xml[start:end]) + paper.xml[end:]
    return replace(paper, xml=xml, fault=fault)


def _more(element: str) -> str:
    head, _, rest = element.rpartition("</")
    before, _, number = head.rpartition(">")
    return f"{before}>{Decimal(number) + 1}</{rest}"


def _vat(paper: Paper) -> Paper:
    head, mark, tail = paper.xml.partition("<cac:TaxSubtotal>")
    tax = _tax(paper.order.net)
    return replace(
        paper, xml=head + mark + tail.replace(f">{tax}<", f">{tax + 1}<", 1), fault="vat"
    )


def _anew(paper: Paper) -> Paper:
    return replace(paper, xml=_ubl(paper))


def _stranger(paper: Paper) -> Paper:
    other = replace(paper.order.supplier, vat="DE999999990", name="Nobody Ltd")
    changed = replace(paper, order=replace(paper.order, supplier=other))
    return replace(_anew(changed), order=paper.order, fault="unknown supplier")


def _elsewhere(paper: Paper) -> Paper:
    changed = replace(paper, order=replace(paper.order, number="PO-99"))
    return replace(_anew(changed), order=paper.order, fault="unknown order")


def _dearer(paper: Paper) -> Paper:
    first, *rest = paper.order.lines
    more = (replace(first, quantity=first.quantity + 3), *rest)
    changed = replace(paper, order=replace(paper.order, lines=more))
    return replace(_anew(changed), order=paper.order, fault="over the order")


IN_FORM: dict[str, Callable[[Paper], Paper]] = {
    "total": lambda p: _cut(p, "cbc:TaxInclusiveAmount", _more, "total"),
    "vat": _vat,
    "line": lambda p: _cut(p, "cbc:LineExtensionAmount", _more, "line"),
    "no vat id": lambda p: _cut(p, "cac:PartyTaxScheme", lambda _: "", "no vat id"),
    "currency": lambda p: replace(p, xml=_ubl(p, "EUX"), fault="currency"),
    "no seller": lambda p: _cut(p, "cbc:RegistrationName", lambda _: "", "no seller"),
    "type": lambda p: replace(p, xml=p.xml.replace(">380<", ">999<"), fault="type"),
    "no date": lambda p: _cut(
        p, "cbc:IssueDate", lambda e: e.replace(p.day.isoformat(), "2026-13-45"), "no date"
    ),
    "cut off": lambda p: replace(p, xml=p.xml[: len(p.xml) * 2 // 3], fault="cut off"),
}
"""Faults in the form of an invoice, by name: the official rules and the schema find them."""

IN_BUSINESS: dict[str, Callable[[Paper], Paper]] = {
    "changed iban": lambda p: replace(_anew(replace(p, iban=_OTHER_IBAN)), fault="changed iban"),
    "unknown supplier": _stranger,
    "unknown order": _elsewhere,
    "over the order": _dearer,
}
"""Faults that only whoever knows suppliers and orders can find. Others come twice."""
