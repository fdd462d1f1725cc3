"""What the shipments agent's own policy file lets pass, holds and refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from activities.shipments_facts import Delay, Rebook
from handrail.actions import Basis, Kind, Level
from handrail.policy import Facts, Policy, parse_policy
from tests.agents.policies import holds, refusals
from workers.fleet import fleet

AGENT = fleet.agent("shipments")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return AGENT.policy_file.current()


def facts(cost: str = "100", confidence: float = 0.7, **evidence: Any) -> Facts:
    usual = {
        "customer": "Harbor Tools",
        "origin": "JFK",
        "goods": "standard",
        "kg": 100,
        "value": Decimal(5000),
        "at_stake": Decimal(500),
        "status": "cancelled",
        "minutes_late": None,
        "promised": datetime(2013, 3, 8, tzinfo=UTC),
        "options": 2,
    }
    seen = Delay.model_validate(usual | evidence)
    return Facts(
        step="rebook",
        action=Rebook(consignment="AWB-1", flight="NEW", extra_cost=Decimal(cost)),
        basis=Basis(confidence=confidence),
        evidence=seen,
        case="shipments:AWB-1",
        requester=None,
    )


def test_it_has_no_faults_and_nothing_that_surprises() -> None:
    assert (AGENT.faults(), AGENT.notes()) == ([], [])


def test_what_is_cheap_and_likely_runs_alone(policy: Policy) -> None:
    assert (refusals(policy, facts()), holds(policy, facts())) == ([], [])


@pytest.mark.parametrize(
    ("given", "roles"),
    [
        (facts("200"), set[str]()),
        (facts("200.01"), {"logistics-lead"}),
        (facts(goods="pharma"), {"quality"}),
        (facts("250", goods="pharma"), {"quality", "logistics-lead"}),
        (facts(confidence=0.3), set[str]()),
        (facts(confidence=0.29), {"logistics-lead"}),
    ],
)
def test_who_is_asked(policy: Policy, given: Facts, roles: set[str]) -> None:
    assert refusals(policy, given) == []
    assert {finding.role for finding in holds(policy, given)} == roles


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (facts("500"), None),
        (facts("500.01"), "a tenth of what the goods are worth"),
        (facts(status="departed"), "under way already"),
        (facts(status="landed"), "under way already"),
        (facts(status="scheduled"), None),
    ],
)
def test_what_is_refused(policy: Policy, given: Facts, why: str | None) -> None:
    found = [finding.why for finding in refusals(policy, given)]
    assert len(found) == (why is not None)
    assert why is None or why in found[0]


def test_every_question_ends_with_operations_and_then_is_refused(policy: Policy) -> None:
    held = facts("250", goods="pharma")
    asks = policy.asks(holds(policy, held), held, datetime.now(UTC))
    assert [[stage.role for stage in ask.stages] for ask in asks] == [
        ["logistics-lead", "operations"],
        ["quality", "operations"],
    ]
    assert {ask.stages[0].remind for ask in asks} == {timedelta(minutes=30)}


@pytest.mark.parametrize(("cost", "first"), [("1000", "logistics-lead"), ("1000.01", "operations")])
def test_what_is_dearer_than_a_lead_may_approve_goes_to_operations_at_once(
    policy: Policy, cost: str, first: str
) -> None:
    held = facts(cost, value=Decimal(50_000))
    (ask,) = policy.asks(holds(policy, held), held, datetime.now(UTC))
    assert ask.stages[0].role == first
    assert (policy.cannot("bo@example.com", held) is None) is (first == "logistics-lead")
    assert policy.deputy("ana@example.com", "fay@example.com") is None


def test_its_limits_bear_all_alerts_of_the_extract_and_not_much_more(policy: Policy) -> None:
    limits = {(limit.field, limit.per): limit for limit in policy.of("rebook").limits}
    assert {key: limit.cap for key, limit in limits.items()} == {
        ("extra_cost", None): 30_000,
        ("extra_cost", "evidence.customer"): 3_000,
        (None, None): 300,
    }
    assert limits["extra_cost", None].window == timedelta(days=1)


@pytest.mark.parametrize("origin", ["EWR", "JFK", "LGA"])
def test_it_moves_freight_of_new_york(policy: Policy, origin: str) -> None:
    assert policy.scope(facts(origin=origin)) == []


def test_it_moves_no_freight_of_elsewhere(policy: Policy) -> None:
    (found,) = policy.scope(facts(origin="BOS"))
    assert (found.kind, found.role) == (Kind.REFUSE, None)
    assert "this desk moves the freight of New York" in found.why


def test_what_decides_has_a_trusted_source_whatever_a_note_says(policy: Policy) -> None:
    """Each is read from the carrier, so that harmless notes hold nothing."""
    assert policy.of("rebook").mentions == {
        "action.consignment",
        "action.extra_cost",
        "confidence",
        "evidence.customer",
        "evidence.goods",
        "evidence.origin",
        "evidence.status",
        "evidence.value",
    }


def test_nobody_alone_turns_it_up_and_nothing_exceeds_its_risk(policy: Policy) -> None:
    assert policy.control.two == {Level.FULL}
    assert len(policy.control.people) == 2
    assert policy.of("rebook").capped(Level.FULL) is Level.FULL
    risky = parse_policy(policy.text.replace("risk: medium", "risk: high"), "risky", AGENT.shape)
    assert risky.of("rebook").capped(Level.FULL) is Level.SUPERVISED


def test_taking_a_booking_back_needs_nobody(policy: Policy) -> None:
    undo = replace(facts(goods="pharma"), step="cancel_booking", evidence=None)
    assert (refusals(policy, undo), holds(policy, undo)) == ([], [])
