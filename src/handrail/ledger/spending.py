"""Spending: what the agents' own thinking used up, in tokens and in money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Context, Decimal

import sqlalchemy as sa

from handrail.ledger import counters
from handrail.ledger.counters import Counted
from handrail.ledger.database import Database, Insert
from handrail.ledger.tables import keepable
from handrail.ledger.tables import spending as _spending

_STEP = "$spending"
_TOKENS = "tokens"
_CURRENCY = 10
"""Characters of a currency."""

_KEPT = Context(prec=28)
"""Of one cost: `Decimal(0.1)` has 55 digits, and its column 40 characters."""


@dataclass(frozen=True)
class SpendRow:
    """What one decision used up. `id` is the same when the same decision is reported again."""

    id: str
    agent: str
    case: str
    step: str
    at: datetime
    tokens: int
    cost: Decimal = Decimal(0)
    currency: str = "EUR"
    model: str = ""


@dataclass(frozen=True)
class Spent:
    """What was used up: tokens, and money by its currency."""

    tokens: int = 0
    cost: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])


class Spending(Database):
    """The spending of a ledger."""

    async def spend(self, row: SpendRow) -> bool:
        """Keep what was used up, once. False if it is known already."""
        currency = keepable(row.currency, _CURRENCY)
        row = replace(row, currency=currency, cost=_KEPT.plus(row.cost))

        def transaction(connection: sa.Connection) -> bool:
            counters.lock(connection, row.agent)
            if not _insert(connection, _values(row)):
                return False
            for name, amount in ((_TOKENS, Decimal(row.tokens)), (row.currency, row.cost)):
                if amount:
                    counter = counters.counter_of(connection, row.agent, _STEP, name).id
                    now = row.at.timestamp()
                    counters.add(connection, counter, Counted("", row.id, amount, now))
            return True

        return await self._run(transaction)

    async def spent(self, agent: str, since: datetime) -> Spent:
        """What an agent used up after `since`."""
        return await self._run(lambda connection: spent(connection, agent, since))


def spent(connection: sa.Connection, agent: str, since: datetime) -> Spent:
    """What an agent used up after `since`, in the transaction of whoever calls."""
    found = {
        each.name: counters.total(connection, each.id, "", since.timestamp())
        for each in counters.counters_of(connection, agent, _STEP)
    }
    tokens = int(found.pop(_TOKENS, Decimal(0)))
    return Spent(tokens, {name: cost for name, cost in sorted(found.items()) if cost})


def _values(row: SpendRow) -> dict[str, object]:
    return {
        "id": row.id,
        "agent": row.agent,
        "case_id": row.case,
        "step": row.step,
        "at": row.at.astimezone(UTC).timestamp(),
        "tokens": row.tokens,
        "cost": str(row.cost),
        "currency": row.currency,
        "model": row.model,
    }


_insert = Insert(_spending)
