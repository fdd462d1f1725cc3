"""Who is worth a call, what is mended alone, what the policy holds, and what CDNOW comes to."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from activities.leads import code_of, qualify, repair
from activities.leads_facts import Entry, MendRecord, OpenLead, RetireDouble, Visit, Worth
from activities.leads_quality import Record, Repair, clean_mail, faults, fits, likeliest, normal
from activities.leads_score import QUALIFIED, Order, score
from benchmarks.agents.leads import run, share
from guardrails.leads import mail_is_an_address, record_gets_better
from handrail.actions import Action, Basis
from handrail.policy import Facts, Policy
from tests.agents.policies import holds, refusals
from workers.fleets.leads import fleet
from world.leads import cdnow, market
from world.leads.score import records

AGENT = fleet.agent("leads")
ON = date(1997, 9, 30)
OFTEN = [
    Order(day=date(1997, 1 + n, 1 + n), items=2, amount=Decimal("30.00")) for n in range(8)
] + [Order(day=date(1997, 9, 20 + n), items=2, amount=Decimal("30.00")) for n in range(5)]
VISIT = Visit(on=ON, customer="1")
ANA = Record(code="P-1", name="Green, Ana", mail="ana.green@example.com", city="Graz")
ENTRY = Entry(name=ANA.name, mail=ANA.mail, city=ANA.city)


def like(**other: str) -> Record:
    return ANA.model_copy(update=other)


def test_cdnow_the_top_tenth_of_those_not_learnt_from_buys_in_four_of_five() -> None:
    shop = cdnow.read([cdnow.packaged()])
    found = run({c: o for c, o in shop.items() if cdnow.held_out(c)}, cdnow.middle(shop))
    assert cdnow.middle(shop) == ON
    assert share(found, 0.1) >= 0.8
    assert 0.29 < share(found) < 0.32
    assert share([each for each in found if each.score >= QUALIFIED]) >= 0.8


def test_what_comes_after_the_day_and_who_never_bought_count_for_nothing() -> None:
    later = Order(day=date(1998, 1, 1), items=9, amount=Decimal(900))
    assert score([*OFTEN, later], ON) == score(OFTEN, ON) >= QUALIFIED
    assert score([later], ON) == 0


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Ana.Green at Example.com ", "ana.green@example.com"),
        ("ana.green@@example,com", "ana.green@example.com"),
        ("ana.green@", None),
        ("Graz", None),
        ("", None),
    ],
)
def test_slips_of_a_mail_address(said: str, meant: str | None) -> None:
    assert clean_mail(said) == meant


def test_whose_mail_address_it_may_be() -> None:
    assert fits("O'Hara, Ana", "a.ohara@example.com")
    assert not fits("Green, Ana", "ben.darton@green.com")
    assert not fits("", "a@example.com")


def test_what_is_wrong_with_a_record_and_what_it_should_be() -> None:
    assert faults(ANA) == ()
    swapped = like(mail=ANA.city, city=ANA.mail)
    assert faults(swapped) == ("mail and city are swapped",)
    assert normal(swapped) == ANA
    assert [len(faults(like(mail=m))) for m in ("", "ana@", "ana.green@@example.com")] == [1, 1, 1]


def test_the_same_person_is_found_whatever_is_wrong_with_the_record() -> None:
    swapped = like(code="P-2", mail=ANA.city, city=ANA.mail)
    assert likeliest(swapped, [like(code="P-9", mail=""), ANA]) == ("sure", "P-1")
    assert likeliest(like(mail=""), [ANA]) == ("maybe", "P-1")
    assert likeliest(like(mail="ana.green@example.org"), [ANA]) == ("no", "")


@pytest.mark.parametrize(
    ("orders", "entry", "on_file", "opened", "same"),
    [
        (OFTEN, ENTRY, [], "new", "no"),
        (OFTEN[:1], ENTRY, [], "", "no"),
        (OFTEN, ENTRY, [ANA], "", "sure"),
        (OFTEN, ENTRY, [like(mail="")], "new", "maybe"),
        (OFTEN, ENTRY.model_copy(update={"mail": ""}), [], "", "no"),
    ],
)
async def test_who_becomes_a_lead(
    orders: list[Order], entry: Entry, on_file: list[Record], opened: str, same: str
) -> None:
    found = await qualify(VISIT, orders, entry, on_file)
    assert (bool(found.action), found.evidence.same) == (bool(opened), same)


async def test_how_a_record_is_repaired() -> None:
    cut = like(mail="ana@")
    by_directory = await repair(cut, [cut], ENTRY)
    assert by_directory.action == MendRecord(was=cut, now=ANA)
    assert (by_directory.evidence.source, by_directory.evidence.fits) == ("directory", True)
    other = await repair(cut, [cut], ENTRY.model_copy(update={"mail": "bo@example.com"}))
    assert not other.evidence.fits
    assert (await repair(cut, [cut], ENTRY.model_copy(update={"mail": ""}))).action is None
    double = like(code="P-2", mail="ANA.GREEN@EXAMPLE.COM")
    assert (await repair(double, [ANA, double], None)).action == RetireDouble(
        code="P-2", kept="P-1"
    )
    assert (await repair(ANA, [ANA, double], None)).action is None


async def test_checks_of_what_is_written() -> None:
    lead = OpenLead(customer="1", name=ANA.name, mail="ana@", city="")
    assert await mail_is_an_address(lead)
    assert await record_gets_better(MendRecord(was=ANA, now=like(mail="")))
    assert await record_gets_better(MendRecord(was=ANA, now=like(name="Green, Bo")))
    assert not await record_gets_better(MendRecord(was=like(mail="ana@"), now=ANA))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return AGENT.policy_file.current()


def opening(**evidence: Any) -> Facts:
    lead = OpenLead(customer="1", name=ANA.name, mail=ANA.mail, city=ANA.city)
    seen = Worth.model_validate({"score": 0.9, "fits": True} | evidence)
    return given("open_lead", lead, seen)


def mending(**evidence: Any) -> Facts:
    return given("mend_record", MendRecord(was=like(mail=""), now=ANA), Repair(**evidence))


def retiring(**evidence: Any) -> Facts:
    return given("retire_double", RetireDouble(code="P-2", kept="P-1"), Repair(**evidence))


def given(step: str, action: Action, evidence: Worth | Repair) -> Facts:
    basis = Basis(confidence=0.9)
    return Facts(
        step=step, action=action, basis=basis, evidence=evidence, case="leads:1", requester=None
    )


@pytest.mark.parametrize(
    ("facts", "refused", "asked"),
    [
        (opening(), 0, 0),
        (opening(score=0.5), 1, 0),
        (opening(same="sure", on_file="P-1"), 1, 0),
        (opening(same="maybe", on_file="P-1"), 0, 1),
        (opening(fits=False), 0, 1),
        (mending(), 0, 0),
        (mending(fits=False), 0, 1),
        (mending(source="nobody"), 1, 0),
        (retiring(same="sure"), 0, 0),
        (retiring(same="maybe"), 0, 1),
        (retiring(), 1, 0),
    ],
)
def test_what_the_policy_refuses_and_holds(
    policy: Policy, facts: Facts, refused: int, asked: int
) -> None:
    assert (len(refusals(policy, facts)), len(holds(policy, facts))) == (refused, asked)


def test_one_mail_address_is_one_lead_and_the_fleet_has_no_fault_but_its_missing_key() -> None:
    assert code_of("a@example.com") == code_of("a@example.com") != code_of("b@example.com")
    assert not [fault for fault in AGENT.faults() if "TRYTON_KEY" not in str(fault)]


def test_the_crm_that_is_made_is_dirty_and_the_same_each_time() -> None:
    made = market.made(customers=40)
    assert made == market.made(customers=40)
    assert {each.fault for each in made.crm} >= {"", "slip", "missing", "swapped", "double"}
    dirty = records(made, {each.code: each.has for each in made.crm})
    assert dirty.right < 0.75 * dirty.in_use
    assert dirty.twice > 0
