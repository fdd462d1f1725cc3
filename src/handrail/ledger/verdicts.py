"""Verdicts: what the door said of every action, by which policy, and what decisions cost.

A write that is tried again is judged again: each time is a row of its own. Of a policy file every
version that was loaded is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from handrail.actions import Basis, Finding, Kind
from handrail.exceptions import HandrailError
from handrail.ledger import counters
from handrail.ledger.counters import CounterEntry
from handrail.ledger.database import Database
from handrail.ledger.entries import PolicyRow, ProposedAction
from handrail.ledger.marking import mark
from handrail.ledger.rows import InsertNew, Rows, narrowed
from handrail.ledger.tables import keepable
from handrail.ledger.tables import policies as _policies
from handrail.ledger.tables import spending as _spending
from handrail.ledger.tables import verdicts as _verdicts

if TYPE_CHECKING:
    from pydantic import JsonValue

_STEP = "$spending"
_TOKENS = "tokens"
_CURRENCY = 10
"""Characters of a currency."""

_KEPT = Context(prec=28)
"""Of one cost: `Decimal(0.1)` has 55 digits, and its column 40 characters."""


@dataclass(frozen=True)
class VerdictRow:
    """One verdict on one action, with all that it was judged by.

    `autonomy`: the level in force, with its share of the cases. `pilot`: it was only recorded
    what the agent would do. `basis` is None of a bare action. `key`: of the write; empty where
    the door only said in advance what it would say. `units`: what its fields are in, by the
    names that rules have for them.
    """

    case: str
    agent: str
    step: str
    key: str
    digest: str
    at: datetime
    kind: Kind
    findings: tuple[Finding, ...]
    policy: str
    autonomy: str
    pilot: bool
    action: dict[str, JsonValue]
    basis: Basis | None
    requester: str | None
    units: dict[str, str] = field(default_factory=dict[str, str])


class Verdicts(Database):
    """The verdicts of a ledger."""

    async def record_verdict(self, row: VerdictRow) -> None:
        """Keep a verdict."""
        await self._run(lambda connection: keep(connection, row))

    async def piloted(self, case: str) -> bool:
        """Whether a write of a case was only recorded."""
        return await self._read(lambda c: bool(c.execute(_PILOTED, {"b_case": case}).scalar()))

    async def units(self, agent: str, step: str) -> dict[str, str]:
        """What the fields of a write were in when it was judged last."""
        return await self._read(lambda connection: latest_units(connection, agent, step))

    async def verdicts(
        self,
        agent: str | None = None,
        *,
        since: datetime | None = None,
        case: str | None = None,
        pilot: bool | None = None,
        limit: int | None = None,
    ) -> list[VerdictRow]:
        """Verdicts, oldest first; with `limit` the latest of them."""
        v = _verdicts.c
        query = narrowed(_rows.select, {v.agent: agent, v.case_id: case, v.pilot: pilot})
        if since is not None:
            query = query.where(v.at >= since)
        rows = await self._all(_rows, query.order_by(v.id.desc()).limit(limit))
        return rows[::-1]


def latest_units(connection: sa.Connection, agent: str, step: str) -> dict[str, str]:
    """What the fields of a write were in when it was judged last."""
    v = _verdicts.c
    query = sa.select(v.units).where(v.agent == agent, v.step == step, v.units.is_not(None))
    found: Any = connection.execute(query.order_by(v.at.desc()).limit(1)).scalar()
    return cast("dict[str, str]", found) if isinstance(found, dict) else {}


def keep(connection: sa.Connection, row: VerdictRow) -> None:
    """Keep a verdict, in the transaction of whoever calls."""
    connection.execute(_INSERT, _rows.values(row))
    if row.pilot and row.key:
        mark(connection, [(row.agent, row.case, row.step)])


# Policies


class CutShort(HandrailError):
    """A policy file is but the beginning of the one in force: it was not written to its end."""

    def __init__(self, label: str, in_force: str) -> None:
        """Name what was loaded, and what is `in_force`."""
        super().__init__(
            f"the policy {label} breaks off: it is only the beginning of {in_force}, which is in "
            "force; nothing is written; fix: write the file to its end, or, if it shall end "
            "there, give it a higher version"
        )


class Policies(Database):
    """The policies of a ledger."""

    async def loaded(self, agent: str, version: int, sha: str, label: str, text: str) -> PolicyRow:
        """Say that a policy file was loaded. Returns the one that is in force then.

        Raises:
            CutShort: if it is but the beginning of the one in force; that stays in force. What
                breaks off between two lines may be a sound policy, with fewer rules.
        """
        now = datetime.now(UTC)
        row = PolicyRow(agent, version, sha, label, text, first=now, loaded=now)

        def transaction(connection: sa.Connection) -> PolicyRow:
            before = in_force(connection, agent)
            if before is not None and before.version == version and _begins(text, before.text):
                raise CutShort(label, before.label)
            if not _policy_rows.insert(connection, row):
                this = (_policies.c.agent == agent, _policies.c.sha == sha)
                connection.execute(sa.update(_policies).where(*this).values(loaded=now))
            found = in_force(connection, agent)
            assert found is not None  # noqa: S101  # it was just inserted
            return found

        return await self._run(transaction)

    async def policies(self, agent: str) -> list[PolicyRow]:
        """Every version that was ever loaded, the one in force first."""
        return await self._read(lambda c: _policy_rows.all(c, _POLICIES, b_agent=agent))


def in_force(connection: sa.Connection, agent: str) -> PolicyRow | None:
    """The policy in force: of the highest version, and of equal ones the last loaded.

    A file that changed without another version is in force when a worker has loaded it; a
    worker with an older version can never bring that back.
    """
    return _policy_rows.one(connection, latest, b_agent=agent)


def _begins(text: str, whole: str) -> bool:
    text, whole = text.rstrip(), whole.rstrip()
    return len(text) < len(whole) and whole.startswith(text)


# Spending


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
class SpendTotal:
    """What was used up: tokens, and money by its currency."""

    tokens: int = 0
    cost: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])

    def of(self, kind: str, unit: str | None) -> Decimal:
        """What a budget of a kind, `tokens` or `cost` in a currency, is held against."""
        return Decimal(self.tokens) if kind == "tokens" else self.cost.get(unit or "", Decimal(0))


class Spending(Database):
    """The spending of a ledger."""

    async def spend(self, row: SpendRow) -> bool:
        """Keep what was used up, once. False if it is known already."""
        currency = keepable(row.currency, _CURRENCY)
        row = replace(row, currency=currency, cost=_KEPT.plus(row.cost))

        def transaction(connection: sa.Connection) -> bool:
            counters.lock(connection, row.agent)
            if not _insert_spend(connection, _spend.values(row) | {"cost": str(row.cost)}):
                return False
            for name, amount in ((_TOKENS, Decimal(row.tokens)), (row.currency, row.cost)):
                if amount:
                    counter = counters.counter_of(connection, row.agent, _STEP, name).id
                    now = row.at.timestamp()
                    counters.add(connection, counter, CounterEntry("", row.id, amount, now))
            return True

        return await self._run(transaction)

    async def spent(self, agent: str, since: datetime) -> SpendTotal:
        """What an agent used up after `since`."""
        return await self._read(lambda connection: spent(connection, agent, since))


def spent(connection: sa.Connection, agent: str, since: datetime) -> SpendTotal:
    """What an agent used up after `since`, in the transaction of whoever calls."""
    found = {
        each.name: counters.total(connection, each.id, "", since.timestamp())
        for each in counters.counters_of(connection, agent, _STEP)
    }
    tokens = int(found.pop(_TOKENS, Decimal(0)))
    return SpendTotal(tokens, {name: cost for name, cost in sorted(found.items()) if cost})


_rows: Rows[VerdictRow] = Rows(VerdictRow, _verdicts)
PROPOSALS: Rows[ProposedAction] = Rows(ProposedAction, _verdicts)
_policy_rows: Rows[PolicyRow] = Rows(PolicyRow, _policies)
_spend: Rows[SpendRow] = Rows(SpendRow, _spending)
_insert_spend = InsertNew(_spending)
_pilot = sa.text("handrail_verdicts.pilot")  # as the index has it, of the few that were
piloted = sa.exists().where(_verdicts.c.case_id == sa.bindparam("b_case"), _pilot)
"""Whether a write of the case `b_case` was only recorded."""
any_piloted = sa.exists().where(
    # Every case: so the index of the few is taken.
    *(_verdicts.c.agent == sa.bindparam("b_agent"), _verdicts.c.case_id > "", _pilot)
)
"""Whether a write of any case of the agent `b_agent` was only recorded."""
_PILOTED = sa.select(piloted)
_INSERT = sa.insert(_verdicts)
_POLICIES = _policy_rows.select.where(_policies.c.agent == sa.bindparam("b_agent")).order_by(
    _policies.c.version.desc(), _policies.c.loaded.desc(), _policies.c.sha
)
latest = _POLICIES.limit(1)
"""The policy in force of the agent `b_agent`."""
