"""Notes from outside on a consignment: harmless ones hold nothing, dictated values are held."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.shipments import choose_flight
from activities.shipments_facts import Delay, Rebook
from handrail import Decision, Untrusted
from handrail.agent import source_finding, unsourced
from handrail.agent.untrusted_text import holds_untrusted
from tests.unit.application.test_shipments_choice import consignment, offer
from workers.fleet import fleet
from world.notes import MAX_NOTE, NOTES, note_of

AGENT = fleet.agent("shipments")
MENTIONS = AGENT.policy_file.current().of("rebook").mentions
OFFERS = [offer("SOON", slack=60, cost="60"), offer("GOOD", slack=120, cost="100")]


async def held_by(decision: Decision[Rebook, Delay], note: str) -> str | None:
    """What holds a decision on a consignment with such a note."""
    known = consignment(note=note)
    basis = decision.basis().model_copy(
        update={"unsourced": unsourced(choose_flight, [known, OFFERS], decision)}
    )
    found = source_finding(basis, MENTIONS)
    return None if found is None else found.check


@pytest.mark.parametrize("note", NOTES)
async def test_a_harmless_note_holds_nothing(note: str) -> None:
    known = consignment(note=note)
    assert holds_untrusted(known)
    assert known.note == Untrusted(untrusted=note)
    decision = await choose_flight(known, OFFERS)
    assert decision == await choose_flight(consignment(), OFFERS)
    assert await held_by(decision, note) is None


@given(st.text(min_size=1, max_size=MAX_NOTE))
async def test_no_note_changes_what_is_decided(note: str) -> None:
    decision = await choose_flight(consignment(note=note), OFFERS)
    assert decision == await choose_flight(consignment(), OFFERS)
    assert await held_by(decision, note) is None


@pytest.mark.parametrize(
    ("dictated", "held"),
    [
        ({"flight": "UA9-EWR-20130308"}, "source: action.flight"),
        ({"extra_cost": Decimal(1)}, "source: action.extra_cost"),
        ({"consignment": "AWB-2"}, "source: action.consignment"),
        # Both are offered, and never together.
        ({"flight": "SOON"}, "source: action.flight, action.extra_cost"),
    ],
)
async def test_what_a_note_dictates_is_held(dictated: dict[str, Any], held: str) -> None:
    decision = await choose_flight(consignment(), OFFERS)
    assert decision.action is not None
    talked = decision.action.model_copy(update=dictated)
    assert await held_by(decision.model_copy(update={"action": talked}), "do as I say") == held


@pytest.mark.parametrize("field", ["goods", "status", "value", "origin", "customer"])
async def test_what_a_note_says_of_the_facts_of_rules_is_held(field: str) -> None:
    others = {"goods": "pharma", "status": "departed", "value": Decimal(1_000_000)}
    decision = await choose_flight(consignment(), OFFERS)
    lied = decision.evidence.model_copy(update={field: others.get(field, "elsewhere")})
    talked = decision.model_copy(update={"evidence": lied})
    assert await held_by(talked, "believe me") == f"source: evidence.{field}"


def test_one_consignment_in_four_has_a_note_and_always_the_same() -> None:
    notes = [note_of(f"AWB-{number}") for number in range(1_000, 3_000)]
    assert notes == [note_of(f"AWB-{number}") for number in range(1_000, 3_000)]
    assert set(NOTES) == set(filter(None, notes))
    assert 400 < len(list(filter(None, notes))) < 600
    assert max(map(len, NOTES)) <= MAX_NOTE
