"""The list of open gates: what a filter finds, in which order, and what it comes to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from handrail.client import GateFilter, counted, totals
from handrail.exceptions import InvalidRequest
from handrail.oversight import GateView

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def gate(number: int, **more: Any) -> GateView:
    given: dict[str, Any] = {
        "gate": f"{number:016x}",
        "case": f"orders:{number}",
        "kind": "write",
        "step": "pay",
        "title": "Pay for an order.",
        "action": {"order": str(number), "amount": f"{100 * number}.50", "currency": "EUR"},
        "digest": "ab" * 32,
        "why": "costs more than 200 EUR",
        "waiting_for": ("lead",),
        "people": ("ana@example.com",),
        "opened": NOON - timedelta(minutes=number),
        "deadline": NOON + timedelta(hours=number),
        "then": (),
        "risk": "irreversible" if number % 2 else "reversible",
        "confidence": number / 10,
    }
    return GateView.model_validate(given | more)


GATES = [gate(1), gate(2), gate(3, case="trips:3", waiting_for=("boss",))]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [1, 2, 3]),
        ({"agent": "orders"}, [1, 2]),
        ({"agent": "order"}, []),
        ({"case": "trips:3"}, [3]),
        ({"role": "boss"}, [3]),
        ({"risk": "reversible"}, [2]),
        ({"kind": "question"}, []),
        ({"person": "ANA@example.com"}, [1, 2, 3]),
        ({"person": "bo@example.com"}, []),
        ({"text": "PAY 200.50"}, [2]),
        ({"text": "nobody pays"}, []),
        ({"sort": "newest"}, [1, 2, 3]),
        ({"sort": "oldest"}, [3, 2, 1]),
        ({"sort": "unsure"}, [1, 2, 3]),
        ({"sort": "amount"}, [3, 2, 1]),
        ({"sort": "nothing_of_it"}, [1, 2, 3]),
    ],
)
def test_a_filter_finds_what_it_says(wanted: dict[str, Any], found: list[int]) -> None:
    chosen = GateFilter(**wanted).select(GATES)
    assert [int(each.gate, 16) for each in chosen] == found


def test_an_order_is_a_word() -> None:
    with pytest.raises(InvalidRequest, match="deadline, newest"):
        GateFilter(sort="amount desc; drop")


def test_what_cannot_be_compared_comes_last() -> None:
    odd = [gate(4, action={"amount": True}), gate(5, action={"amount": "NaN"}), *GATES]
    chosen = GateFilter(sort="amount").select([*odd, gate(6, confidence=None)])
    assert [int(each.gate, 16) for each in chosen] == [6, 3, 2, 1, 4, 5]


def test_counts_and_totals_are_exact() -> None:
    said = counted([*GATES, gate(9, action={"order": "77", "amount": "0.10"})])
    assert said["total"] == 4
    assert said["counts"]["agent"] == {"orders": 3, "trips": 1}
    assert said["counts"]["role"] == {"lead": 3, "boss": 1}
    # The number of an order is no amount, and nothing is added to what has another currency.
    assert [(t.field, t.currency, t.total, t.gates) for t in said["totals"]] == [
        ("amount", "", Decimal("0.10"), 1),
        ("amount", "EUR", Decimal("601.50"), 3),
    ]
    assert totals([gate(1, kind="in_doubt")]) == ()
