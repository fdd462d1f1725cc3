"""Budgets: what is used of them, and when people are warned."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail import Ledger
from handrail.guardrails.breakers import budget_spendings, budgets_nearly_used, budgets_used
from handrail.ledger import SpendRow, SpendTotal
from handrail.policy import Budget

NOW = datetime.now(UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TOKENS = Budget("tokens", Decimal(1000), DAY, None, "1000 per day")
EUROS = Budget("cost", Decimal(2), DAY, "EUR", "2 EUR per day")


@pytest.fixture(params=["sqlite", "postgresql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Ledger]:
    on_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/l.db" if on_sqlite else request.getfixturevalue("postgres_url")
    async with Ledger(url) as opened:
        yield opened


def spent(number: int, **more: Any) -> SpendRow:
    known: dict[str, Any] = {"at": NOW, "tokens": 100, "cost": Decimal("0.1")}
    return SpendRow(f"d{number}", "a", "a:1", "decide", **(known | more))


async def test_what_is_spent_is_summed_exactly_once_in_each_window(ledger: Ledger) -> None:
    await ledger.spend(spent(0, at=NOW - timedelta(days=2)))
    await ledger.spend(spent(1, at=NOW - timedelta(hours=3)))
    for number in (2, 3, 4, 4):  # the last is reported twice
        await ledger.spend(spent(number, currency="EUR" if number < 4 else "USD"))
    await ledger.spend(SpendRow("o", "other", "o:1", "decide", NOW, 5_000, Decimal(9)))
    found = await ledger.spent("a", NOW - DAY)
    assert found == SpendTotal(400, {"EUR": Decimal("0.3"), "USD": Decimal("0.1")})
    assert (await ledger.spent("a", NOW - HOUR)).tokens == 300
    assert await ledger.spent("nobody", NOW - DAY) == SpendTotal()
    hourly = Budget("tokens", Decimal(1000), HOUR, None, "1000 per hour")
    windows = await budget_spendings(ledger, "a", [TOKENS, hourly, EUROS], NOW)
    assert {window: each.tokens for window, each in windows.items()} == {DAY: 400, HOUR: 300}


@pytest.mark.parametrize(
    ("tokens", "warned", "stopped"), [(799, False, False), (800, True, False), (1000, False, True)]
)
def test_people_are_warned_at_four_fifths_and_stopped_at_the_end(
    tokens: int,
    warned: bool,  # noqa: FBT001  # a table
    stopped: bool,  # noqa: FBT001  # the same
) -> None:
    used = {DAY: SpendTotal(tokens)}
    assert bool(budgets_nearly_used([TOKENS], used)) is warned
    assert bool(budgets_used([TOKENS], used)) is stopped


def test_it_says_what_is_used_in_which_currency() -> None:
    used = {DAY: SpendTotal(900, {"EUR": Decimal("2.5"), "USD": Decimal(99)})}
    assert (
        budgets_used([TOKENS, EUROS], used) == "budget of cost: 2.5 of 2 EUR per day is used (125%)"
    )
    assert budgets_nearly_used([TOKENS, EUROS], used) == (
        "budget of tokens: 900 of 1000 per day is used (90%)"
    )
    assert budgets_used([EUROS], {}) is None


@given(st.integers(0, 3_000))
def test_a_budget_is_free_or_nearly_used_or_over(tokens: int) -> None:
    used = {DAY: SpendTotal(tokens)}
    assert not (budgets_used([TOKENS], used) and budgets_nearly_used([TOKENS], used))
    assert bool(budgets_used([TOKENS], used)) is (tokens >= 1000)


def test_a_budget_of_nothing_is_over() -> None:
    none = Budget("tokens", Decimal(0), DAY, None, "0 per day")
    assert budgets_used([none], {}) == "budget of tokens: 0 of 0 per day is used (100%)"
