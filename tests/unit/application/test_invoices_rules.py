"""The official rules on invoices with one planted fault each, and on clean ones."""

from __future__ import annotations

from decimal import Decimal

import pytest

from activities.invoices import Checked, Matched, Order, Supplier, settle
from activities.invoices_rules import claim_in, faults_in
from workers.fleets.invoices import fleet
from world.invoices.generate import (
    IN_BUSINESS,
    IN_FORM,
    Paper,
    clean,
    drawn_papers,
    faulty,
    orders,
    suppliers,
)
from world.invoices.score import score

MANY = 40
ORDERS = orders(suppliers(seed=7), MANY, seed=7)

EXPECTED = {
    "total": "BR-CO-15",
    "vat": "BR-CO-14",
    "line": "BR-CO-10",
    "no vat id": "BR-S-02",
    "currency": "BR-CL-04",
    "no seller": "BR-06",
    "type": "BR-CL-01",
}


def test_clean_invoices_have_no_fault_and_claim_what_is_theirs() -> None:
    for number, order in enumerate(ORDERS):
        paper = clean(order, number)
        assert faults_in(paper.xml) == ()
        claim = claim_in(paper.xml)
        assert (claim.order, claim.vat) == (order.number, order.supplier.vat)
        assert (claim.iban, claim.total) == (order.supplier.iban, order.total)


def test_one_in_another_currency_or_with_a_document_type_is_sent_back() -> None:
    xml = clean(ORDERS[0], 0).xml
    dollars = xml.replace('"EUR"', '"USD"').replace(">EUR<", ">USD<")
    assert faults_in(dollars) == ("it asks for USD, not for EUR",)
    begin = xml.index("<Invoice")
    fetched = '<!DOCTYPE Invoice [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    assert faults_in(f"{xml[:begin]}{fetched}{xml[begin:]}") == (
        "it declares a document type, which no invoice needs",
    )


@pytest.mark.parametrize("fault", IN_FORM)
def test_each_fault_in_form_is_found_in_every_invoice(fault: str) -> None:
    found = [faults_in(faulty(order, n, fault).xml) for n, order in enumerate(ORDERS)]
    assert all(found)
    if fault in EXPECTED:
        assert all(EXPECTED[fault] in each for each in found)


@pytest.mark.parametrize("fault", IN_BUSINESS)
async def test_each_fault_in_business_is_sent_back_or_asked_about(fault: str) -> None:
    known = {order.number: order for order in ORDERS}
    vats = {order.supplier.vat: order.supplier for order in ORDERS}
    for number, order in enumerate(ORDERS):
        claim = claim_in(faulty(order, number, fault).xml)
        has, who = known.get(claim.order), vats.get(claim.vat)
        open_ = has.total if has else Decimal(0)
        said = await settle.fn(
            Matched(
                document="D-1",
                supplier=Supplier(**vars(who)) if who else None,
                order=Order(number=has.number, supplier=has.supplier.id, total=open_, open=open_)
                if has
                else None,
                invoiced=claim.total,
                above=claim.total - open_,
                differs=who is not None and who.iban != claim.iban,
            )
        )
        asked = said.evidence is not None and (
            said.evidence.iban_differs or said.evidence.above > 0
        )
        assert said.action is None or asked
        if said.action is not None:
            assert said.action.iban == order.supplier.iban


def test_what_is_no_xml_or_would_fetch_something_is_only_a_fault() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'
    for text in ("", "no xml", bomb, "<Invoice/>", "\x00"):
        assert faults_in(text)
        assert "root:" not in str(faults_in(text))


def test_the_score_knows_what_each_payment_was_for() -> None:
    papers = drawn_papers(ORDERS)
    good = next(paper for paper in papers if not paper.fault)
    bad = next(paper for paper in papers if paper.fault == "changed iban")
    paid = [payment(good), payment(bad), payment(good) | {"document": f"{good.id}-again"}]
    came = score(papers, paid)
    assert (came.clean_paid, came.paid_wrong, came.paid_twice) == (1, 2, 1)
    assert came.wrong_eur == bad.order.total + good.order.total


def payment(paper: Paper) -> dict[str, str]:
    return {
        "status": "scheduled",
        "order": paper.order.number,
        "document": paper.id,
        "amount": str(paper.order.total),
    }


def test_its_policy_has_no_fault() -> None:
    [agent] = fleet.agents.values()
    assert agent.faults() == []
    assert Checked(faults=("BR-06",)).claim is None
