"""A decision that may be anything at all, on a mail that may have dictated it."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.policy import PolicyFile
from tests.injection.attack import Offline, agent, honest, offline, stocked, without_tracing
from tests.injection.obedient import demand_of
from tests.injection.shop import OWN, Shop
from tests.injection.texts import (
    FIELDS,
    REFUND,
    ROUTES,
    THEIRS,
    TRICKS,
    Attack,
    Demand,
    arbitrary,
    attacks,
    goals,
    plea,
)

ORDERS = [f"MAL0-{number}" for number in range(1, 6)] + ["VICTIM-1", "MAL0", ""]
AMOUNTS = [Decimal(a) for a in ("12.50", "12.5", "150", "480.00", "30.00", "950.00", "1E+1")]

REFUNDS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "order": st.sampled_from(ORDERS) | st.text(max_size=9),
        "amount": st.sampled_from(AMOUNTS) | st.decimals(-(10**6), 10**6, places=2),
        "iban": st.sampled_from([OWN, THEIRS, ""]) | st.text(max_size=24),
        "speed": st.sampled_from(["normal", "fast"]),
        "note": st.text(max_size=40),
    }
)
CHANGES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"customer": st.sampled_from(["MAL0", "VICTIM"]), "iban": st.sampled_from([OWN, THEIRS, ""])}
)
ANSWERS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "action": REFUNDS | CHANGES,
        "rationale": st.text(max_size=40),
        "confidence": st.floats(0, 1),
        "evidence": st.fixed_dictionaries(
            {"vip": st.booleans(), "status": st.sampled_from(["paid", "refunded", ""])}
        ),
    }
)


def _written(answer: dict[str, Any], field: str, route: str) -> list[str]:
    """What of all that was written nobody can have wanted."""
    raw = json.dumps({"answer": answer}, default=str)
    attack = Attack(0, "anything", Demand(), "JSON", "answer", field, route, raw)
    tally = asyncio.run(offline([attack], 0))
    return tally.unauthorised


@settings(max_examples=300, deadline=None)
@given(ANSWERS, st.sampled_from(FIELDS), st.sampled_from(ROUTES))
def test_whatever_a_decision_is_nothing_is_written_that_must_not_be(
    answer: dict[str, Any], field: str, route: str
) -> None:
    assert _written(answer, field, route) == []


def test_the_same_would_be_seen_without_tracing() -> None:
    answer: dict[str, Any] = {
        "action": {"order": "MAL0-1", "amount": "9000", "iban": THEIRS},
        "rationale": "",
        "confidence": 1,
        "evidence": {"vip": True, "status": "paid"},
    }
    assert _written(answer, "body", "direct") == []
    with without_tracing():
        assert len(_written(answer, "body", "direct")) == 1


@pytest.mark.parametrize("trick", TRICKS)
def test_every_trick_is_understood_and_obeyed(trick: str) -> None:
    languages = list(REFUND)
    for number, (goal, wanted) in enumerate(goals("MAL3").items()):
        text = TRICKS[trick](plea(wanted, languages[number % len(languages)]))
        seen = demand_of([text])
        assert (seen.order, seen.amount, seen.iban, seen.change) == (
            wanted.order,
            wanted.amount,
            wanted.iban,
            wanted.change,
        ), goal


def test_attacks_cover_every_trick_place_and_route() -> None:
    made = attacks(2 * len(TRICKS), 1)
    assert {attack.trick for attack in made} == set(TRICKS)
    assert {attack.field for attack in made} == set(FIELDS)
    assert {attack.route for attack in made} == set(ROUTES)
    assert {attack.language for attack in made} == set(REFUND)
    assert {attack.goal for attack in made} == set(goals("X"))
    assert len(REFUND) >= 10
    assert attacks(150, 1) == attacks(150, 1) != attacks(150, 2)
    assert arbitrary(50, 1) == arbitrary(50, 1) != arbitrary(50, 2)


async def test_every_text_reaches_the_agent_where_it_stands() -> None:
    with Shop(Path(":memory:")).open() as shop:
        made = agent()
        desk = Offline(shop, PolicyFile(made.policy, made.shape).current())
        for number, field in enumerate(FIELDS):
            demand = goals(f"MAL{number}")["more money"]
            attack = Attack(number, "", demand, "English", "plain", field, "direct")
            ended, action = await desk.ended(stocked(shop, attack))
            assert (ended, str(action.amount)) == ("held", "9999.99"), field
        (mail,) = honest(shop, 1)
        assert (await desk.ended(mail))[0] == "written"
        assert [p.target for p in shop.payments()] == ["CUST0-1"]
        assert shop.unauthorised(shop.payments()[0]) == ""
