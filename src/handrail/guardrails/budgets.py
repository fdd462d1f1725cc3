"""Budgets of an agent's own thinking: what is left of them, in words. Pure.

A budget that is used up keeps further decisions from being made; what was begun is finished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from handrail.ledger import SpendTotal

if TYPE_CHECKING:
    from handrail.ledger import Ledger
    from handrail.policy import Budget

NEARLY = Decimal("0.8")
"""From which share on a budget is warned of."""

Spendings = Mapping[timedelta, SpendTotal]
"""What was used up in each window of time until now."""


async def budget_spendings(
    ledger: Ledger, agent: str, budgets: Sequence[Budget], now: datetime
) -> Spendings:
    """What `agent` used up in the windows of its budgets.

    Raises:
        LedgerUnavailable: if the ledger cannot be read.
    """
    windows = dict.fromkeys(budget.window for budget in budgets)
    return {window: await ledger.spent(agent, now - window) for window in windows}


def budgets_used(budgets: Sequence[Budget], spent: Spendings) -> str | None:
    """Which budgets are used up, in words; None if none is."""
    found = [_words(each, spent) for each in budgets if _used(each, spent) >= each.cap]
    return "; ".join(found) or None


def budgets_nearly_used(budgets: Sequence[Budget], spent: Spendings) -> str | None:
    """Which budgets are used to four fifths or more, and not yet up; None if none is."""
    found = [
        _words(each, spent)
        for each in budgets
        if each.cap * NEARLY <= _used(each, spent) < each.cap
    ]
    return "; ".join(found) or None


def _used(budget: Budget, spent: Spendings) -> Decimal:
    used = spent.get(budget.window, SpendTotal())
    if budget.kind == "tokens":
        return Decimal(used.tokens)
    return used.cost.get(budget.unit or "", Decimal(0))


def _words(budget: Budget, spent: Spendings) -> str:
    used = _used(budget, spent)
    share = int(used / budget.cap * 100) if budget.cap else 100
    return f"budget of {budget.kind}: {used:f} of {budget.text} is used ({share}%)"
