"""Texts of others in the ledger: what a database cannot keep is spelt out, and keeps nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from handrail import Ledger
from handrail.exceptions import NotKept
from handrail.ledger import IncidentRow, Intent, OrderRow, SpendRow

NOW = datetime(2026, 1, 1, 12, 30, 15, tzinfo=UTC)
BAD = "a\x00b\ud83dc"
SPELT = "a\\x00b\\ud83dc"


@pytest.fixture(params=["sqlite", "postgresql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Ledger]:
    on_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/l.db" if on_sqlite else request.getfixturevalue("postgres_url")
    async with Ledger(url) as opened:
        yield opened


async def test_a_stop_is_in_force_whatever_its_reason_holds(ledger: Ledger) -> None:
    order = OrderRow("o" * 32, "stop", "a", "ana@example.com", NOW, why=BAD)
    assert await ledger.order(order)
    [kept] = await ledger.orders("a", live=True)
    assert kept.why == SPELT
    assert await ledger.end_order(order.id, "ana@example.com", NOW, BAD)
    assert await ledger.orders("a", live=True) == []


async def test_an_attempt_is_over_whatever_its_error_says(ledger: Ledger) -> None:
    intent = Intent("a:1/pay/1", "a:1", "a", "pay", "d" * 64, {"x": BAD[:3]}, "a v1", "one", NOW)
    await ledger.begin(intent)
    await ledger.abandon(intent.key, "one", BAD)
    row = await ledger.effect(intent.key)
    assert row is not None
    assert (row.state, row.error) == ("not_done", SPELT)


async def test_an_incident_is_kept_whatever_was_read_back(ledger: Ledger) -> None:
    row = IncidentRow("i", "a", "pay", "a:1", "a:1/pay/1", "mismatch", BAD, NOW)
    await ledger.incident(row)
    assert [each.what for each in await ledger.incidents("a")] == [SPELT]


async def test_what_a_decision_cost_is_kept_once_however_it_is_written(ledger: Ledger) -> None:
    """A decision whose cost cannot be kept would be made again, and paid for again."""
    row = SpendRow(
        id="s",
        agent="a",
        case="a:1",
        step="think",
        at=NOW,
        tokens=10,
        cost=Decimal(0.1),  # noqa: RUF032  # as it is often written by mistake
        currency="EUR" + BAD * 5,
        model=BAD + "m" * 500,
    )
    assert await ledger.spend(row)
    assert not await ledger.spend(row)
    spent = await ledger.spent("a", NOW.replace(year=2025))
    assert spent.tokens == 10
    assert list(spent.cost.values()) == [Decimal("0.1000000000000000055511151231")]


async def test_a_number_that_no_database_keeps_is_refused_for_good(ledger: Ledger) -> None:
    row = SpendRow("s", "a", "a:1", "think", NOW, tokens=10**30)
    with pytest.raises(NotKept, match="the ledger cannot keep a value"):
        await ledger.spend(row)
    assert (await ledger.spent("a", NOW.replace(year=2025))).tokens == 0
