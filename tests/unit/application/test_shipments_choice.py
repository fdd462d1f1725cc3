"""How the shipments agent decides: arithmetic on what it has read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.shipments import choose_flight
from activities.shipments_choice import AT_STAKE, chance
from activities.shipments_facts import Consignment, DelayAlert, Offer, Rebook

PROMISED = datetime(2013, 3, 8, 20, 0, tzinfo=UTC)


def consignment(**known: Any) -> Consignment:
    usual = {
        "id": "AWB-1",
        "customer": "Harbor Tools",
        "email": "harbor.tools@example.com",
        "goods": "standard",
        "kg": 100,
        "value": Decimal(5000),
        "origin": "JFK",
        "promised": PROMISED,
        "now": PROMISED - timedelta(hours=8),
        "current_flight": "OLD",
        "status": "cancelled",
        "estimated_arrival": None,
    }
    return Consignment.model_validate(usual | known)


def offer(
    flight: str = "NEW", *, slack: int = 120, cost: str = "100", origin: str = "JFK"
) -> Offer:
    """An offer that arrives so many minutes before the promise."""
    arrival = PROMISED - timedelta(minutes=slack)
    return Offer(
        flight=flight,
        origin=origin,
        planned_arrival=arrival,
        cut_off=arrival - timedelta(hours=4),
        free_kg=500,
        extra_cost=Decimal(cost),
    )


@pytest.mark.parametrize(
    ("minutes", "likely"), [(0, 0.16), (60, 0.50), (120, 0.68), (180, 0.77), (480, 0.88)]
)
def test_more_slack_more_chance(minutes: int, likely: float) -> None:
    assert chance(timedelta(minutes=minutes)) == likely


async def test_it_takes_the_offer_that_gains_most() -> None:
    # 500 EUR at stake: 0.50 x 500 - 60 = 190, 0.68 x 500 - 100 = 240, 0.77 x 500 - 180 = 205.
    offers = [
        offer("SOON", slack=60, cost="60"),
        offer("GOOD", slack=120, cost="100"),
        offer("SAFE", slack=180, cost="180"),
    ]
    decision = await choose_flight(consignment(), offers)
    assert decision.action == Rebook(consignment="AWB-1", flight="GOOD", extra_cost=Decimal(100))
    assert decision.confidence == 0.68
    assert decision.evidence.model_dump() == {
        "customer": "Harbor Tools",
        "origin": "JFK",
        "goods": "standard",
        "kg": 100,
        "value": Decimal(5000),
        "at_stake": Decimal("500.00"),
        "status": "cancelled",
        "minutes_late": None,
        "promised": PROMISED,
        "options": 3,
        "cheapest": Decimal(60),
        "arrives": PROMISED - timedelta(minutes=120),
        "slack_minutes": 120,
        "cut_off": PROMISED - timedelta(hours=6),
        "by_truck": False,
    }
    assert "gains 240.00 EUR" in decision.rationale


async def test_the_more_is_at_stake_the_more_slack_it_pays_for() -> None:
    offers = [offer("GOOD", slack=120, cost="100"), offer("SAFE", slack=180, cost="180")]
    decision = await choose_flight(consignment(goods="pharma"), offers)
    assert decision.action is not None
    assert decision.action.flight == "SAFE"


async def test_a_flight_that_costs_more_than_it_saves_is_left() -> None:
    decision = await choose_flight(consignment(value=Decimal(500)), [offer(cost="34.01")])
    assert decision.action is None
    assert "not worth it" in decision.rationale
    assert (decision.evidence.options, decision.evidence.cheapest) == (1, Decimal("34.01"))
    assert decision.evidence.slack_minutes is None
    bought = await choose_flight(consignment(value=Decimal(500)), [offer(cost="33.99")])
    assert bought.action is not None


async def test_without_an_offer_there_is_nothing_to_do() -> None:
    decision = await choose_flight(consignment(), [])
    assert (decision.action, decision.evidence.options) == (None, 0)
    assert "No later flight with room for 100 kg" in decision.rationale


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ({"status": "departed", "estimated_arrival": PROMISED + timedelta(hours=2)}, "has left"),
        ({"status": "landed", "estimated_arrival": PROMISED + timedelta(hours=2)}, "has left"),
        ({"status": "scheduled", "estimated_arrival": PROMISED}, "in time after all"),
    ],
)
async def test_what_cannot_or_need_not_be_moved_stays(known: dict[str, Any], why: str) -> None:
    decision = await choose_flight(consignment(**known), [offer()])
    assert decision.action is None
    assert why in decision.rationale


async def test_the_evidence_says_how_late_and_by_truck() -> None:
    late = consignment(status="scheduled", estimated_arrival=PROMISED + timedelta(minutes=95))
    evidence = (await choose_flight(late, [offer(origin="EWR")])).evidence
    assert (evidence.minutes_late, evidence.by_truck) == (95, True)


OFFERS = st.lists(
    st.builds(
        offer,
        st.sampled_from(["A", "B", "C", "D", "E"]),
        slack=st.integers(0, 900),
        cost=st.decimals(0, 2000, places=2).map(str),
    ),
    max_size=6,
    unique_by=lambda o: o.flight,
)


@given(OFFERS, st.randoms(use_true_random=False), st.sampled_from(sorted(AT_STAKE)))
async def test_the_order_of_the_offers_decides_nothing(
    offers: list[Offer], random: Any, goods: str
) -> None:
    known = consignment(goods=goods)
    first = await choose_flight(known, offers)
    random.shuffle(offers)
    assert await choose_flight(known, offers) == first


@given(OFFERS)
async def test_what_it_orders_was_offered_at_that_price_and_pays(offers: list[Offer]) -> None:
    decision = await choose_flight(consignment(), offers)
    if decision.action is None:
        return
    [chosen] = [o for o in offers if o.flight == decision.action.flight]
    assert decision.action.extra_cost == chosen.extra_cost
    assert chosen.extra_cost < Decimal(500) * Decimal(str(decision.confidence))


def test_the_same_consignment_is_the_same_case() -> None:
    alert = DelayAlert(
        consignment="AWB-1",
        flight="OLD",
        known_at=PROMISED,
        status="cancelled",
        promised=PROMISED,
    )
    later = alert.model_copy(update={"known_at": PROMISED + timedelta(hours=1)})
    assert alert.key == later.key == "AWB-1"
