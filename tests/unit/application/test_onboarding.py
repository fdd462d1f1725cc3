"""Who is taken for whom, what the policy lets pass, and what FEBRL's persons come to."""

from __future__ import annotations

from typing import Any

import pytest

from activities.onboarding import AttachApplication, OpenCustomer, judge
from activities.onboarding_match import Customer, Match, Person, clues, compare, likeness
from benchmarks.agents.onboarding import run
from handrail.actions import Basis
from handrail.policy import Facts, Policy
from tests.agents.policies import holds, refusals
from workers.fleets.onboarding import fleet
from world.onboarding import febrl

AGENT = fleet.agent("onboarding")

ANA = Person(
    given_name="Ana",
    surname="Green",
    street_number="8",
    address_1="lethbridge street",
    suburb="Toowoomba",
    postcode="2767",
    date_of_birth="19720428",
    soc_sec_id="2108881",
)
ON_FILE = Customer(code="C-1", person=ANA)


def like(**other: str) -> Person:
    return ANA.model_copy(update=other)


@pytest.mark.parametrize(
    ("person", "verdict"),
    [
        (ANA, "known"),
        (like(given_name="green", surname="ana"), "known"),
        (like(address_1="lethbrigde str", postcode="2776", soc_sec_id="2108818"), "known"),
        # All of a household but who it is, and neither number: a person looks.
        (like(date_of_birth="", soc_sec_id=""), "unsure"),
        # Of one household is not yet one person.
        (like(given_name="Bo", date_of_birth="20010909", soc_sec_id="9551940"), "new"),
        (Person(given_name="Ana", surname="Green", date_of_birth="19910101"), "unsure"),
        (Person(given_name="Ana", suburb="Toowoomba"), "thin"),
    ],
)
def test_who_is_taken_for_whom(person: Person, verdict: str) -> None:
    found = compare(person, [ON_FILE])
    assert found.verdict == verdict, found


def test_one_of_two_that_are_nearly_the_same_is_for_people_to_say() -> None:
    twin = Customer(code="C-2", person=like(given_name="Ann"))
    assert compare(ANA, [ON_FILE, twin]).verdict == "unsure"


def test_nobody_on_file_is_a_new_one() -> None:
    assert compare(ANA, []).verdict == "new"


def test_likeness_is_of_what_both_have() -> None:
    assert likeness(ANA, ANA) == 1
    assert likeness(Person(surname="green"), ANA) == -1
    assert clues(ANA) & clues(like(surname="ANA", given_name="GREEN"))
    assert clues(Person()) == set()


async def test_what_was_said_to_be_somebody_else_is_not_proposed_again() -> None:
    first = await judge("A-1", ANA, [ON_FILE], [])
    assert first.action == AttachApplication(application="A-1", customer="C-1")
    again = await judge("A-1", ANA, [ON_FILE], ["C-1"])
    assert again.action == OpenCustomer(application="A-1", person=ANA, apart_from=("C-1",))


def test_a_part_with_a_comma_is_no_part() -> None:
    with pytest.raises(ValueError, match="pattern"):
        Person(surname="Green, Ana")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return AGENT.policy_file.current()


def attaching(**evidence: Any) -> Facts:
    seen = {"verdict": "known", "likeness": 0.9, "second": 0.2, "proven": True}
    return Facts(
        step="attach_application",
        action=AttachApplication(application="A-1", customer="C-1"),
        basis=Basis(confidence=0.99),
        evidence=Match.model_validate(seen | evidence),
        case="onboarding:A-1",
        requester=None,
    )


def test_it_has_no_faults_but_its_missing_key(policy: Policy) -> None:
    assert not [fault for fault in AGENT.faults() if "TRYTON_KEY" not in str(fault)]
    assert policy.agent == AGENT.name


@pytest.mark.parametrize(
    ("evidence", "asked"),
    [
        ({}, 0),
        ({"verdict": "unsure"}, 1),
        ({"proven": False}, 1),
        ({"likeness": 0.59}, 1),
    ],
)
def test_who_may_be_merged_alone(policy: Policy, evidence: dict[str, Any], asked: int) -> None:
    given = attaching(**evidence)
    assert refusals(policy, given) == []
    assert len(holds(policy, given)) == asked


def test_nobody_is_attached_to_nobody(policy: Policy) -> None:
    assert refusals(policy, attaching(verdict="new"))


def test_febrl_4_is_settled_alone_with_no_two_taken_for_one() -> None:
    cast = febrl.read(febrl.packaged())
    result = run(febrl.drawn(cast, applications=1500, others=1000, seed=1))
    assert result.score.settled / result.score.applications >= 0.98
    assert (result.score.merged_wrong, result.lost) == (0, 0)
    assert result.score.let_in <= 2
    assert result.before.let_in > 300
