"""How far the budgets of a policy are used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from handrail import Ledger
from handrail.client.agents import _budgets  # pyright: ignore[reportPrivateUsage]
from handrail.ledger import SpendRow

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = """\
agent: a
version: 1
owner: boss@example.com
actions: {pay: full}
budgets: {tokens: 1000 per hour, cost: [50 EUR per day, 0 USD per day]}
roles: {lead: {people: [ana@example.com], deadline: {after: 8h, then: refuse}}}
"""


async def test_each_budget_is_held_against_its_own_window(ledger: Ledger) -> None:
    for hours, cost in ((30, "99"), (20, "2.5"), (0.5, "10")):
        at = NOW - timedelta(hours=hours)
        await ledger.spend(SpendRow(f"a:{hours}", "a", "a:1", "choose", at, 250, Decimal(cost)))
    found = await _budgets(ledger, "a", POLICY, NOW)
    assert [(each.kind, each.budget, each.used) for each in found] == [
        ("tokens", "1000 per hour", Decimal("0.25")),
        ("cost", "50 EUR per day", Decimal("0.25")),
        ("cost", "0 USD per day", Decimal(1)),
    ]


@pytest.mark.parametrize("text", ["", "[", "agent: a\nbudgets: 7\n"])
async def test_a_policy_that_cannot_be_read_has_no_budgets(ledger: Ledger, text: str) -> None:
    assert await _budgets(ledger, "a", text, NOW) == []
