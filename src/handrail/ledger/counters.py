"""Running totals: what was used of a limit in any window, without adding up the window.

Each row of a group carries the total up to and with itself, so that what a window holds is one
total less another, whatever its length. What is given back is a row of its own that takes the
amount off again; a window that holds the giving back, but not what is given back, does not
count it. Amounts are decimals in text, added here and never by the database: exact.

Whoever adds holds the lock of the agent, so rows of a group are in one order for all.
"""

from __future__ import annotations

import decimal
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

import sqlalchemy as sa

from handrail.exceptions import LedgerUnavailable
from handrail.ledger.rows import InsertNew, insert_into
from handrail.ledger.tables import counted as _counted
from handrail.ledger.tables import counters as _counters
from handrail.ledger.tables import heights

EXACT = decimal.Context(prec=200, traps=[decimal.InvalidOperation])
"""Of sums: more digits than a sum of amounts that any limit allows."""

_SKEW = 60.0
"""Seconds by which the clocks of workers may differ."""


@dataclass(frozen=True)
class CounterEntry:
    """Entry of a counter: an amount of one effect, in a group, at a time (seconds since 1970)."""

    group: str
    effect: str
    amount: Decimal
    at: float


@dataclass(frozen=True)
class RunningTotal:
    """Running total of a group: the number and time of its last row, and the total with it."""

    seq: int
    at: float
    total: Decimal


@dataclass(frozen=True)
class LimitCounter:
    """Counter of a step. `name`: what it counts. `since`: from when on it is complete."""

    id: int
    step: str
    name: str
    since: float


def lock(connection: sa.Connection, agent: str) -> None:
    """Let nobody else count for this agent until the transaction ends.

    SQLite has one writer at a time anyway.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(_LOCK, {"b_agent": agent})


def rise(connection: sa.Connection, agent: str) -> None:
    """Lock, and raise the agent's height by one: the row that is raised is the lock."""
    statement = _rise(connection.dialect.name)
    connection.execute(statement, {"b_agent": agent})


def counter_of(connection: sa.Connection, agent: str, step: str, name: str) -> LimitCounter:
    """A counter by its name. A new one counts nothing from before: nobody has filled it yet."""
    known = [each for each in counters_of(connection, agent, step) if each.name == name]
    if known:
        return known[0]
    _insert_counter(connection, {"agent": agent, "step": step, "name": name, "since": _NEVER})
    return next(c for c in counters_of(connection, agent, step) if c.name == name)


def counters_of(connection: sa.Connection, agent: str, *steps: str) -> list[LimitCounter]:
    """All that is counted of these steps."""
    found = connection.execute(_COUNTERS, {"b_agent": agent, "b_steps": steps})
    return [LimitCounter(*row) for row in found]


def look(
    connection: sa.Connection, counter: int, group: str, since: float
) -> tuple[RunningTotal | None, Decimal]:
    """The last row of a group, and what was counted after `since` without what was given back."""
    which = {"b_counter": counter, "b_grp": group, "b_since": since}
    dialect = connection.dialect.name
    found = connection.execute(LOOK[dialect], which).one_or_none()
    if found is None:
        return None, Decimal(0)
    last = RunningTotal(found.seq, found.at, _amount(counter, found.total))
    used = EXACT.subtract(last.total, _amount(counter, found.base or "0"))
    if found.given_back:
        for amount in connection.execute(GIVEN_BACK[dialect], which).scalars():
            used = EXACT.subtract(used, _amount(counter, amount))
    return last, used


def _amount(counter: int, text: str) -> Decimal:
    """An amount as it is kept.

    Raises:
        LedgerUnavailable: if it is none: who does not know what was used lets nothing pass.
    """
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise LedgerUnavailable(
            f"the ledger's counter {counter} holds {text[:80]!r}, which is no amount; nothing was "
            f"written; fix: delete the rows of counter {counter} from handrail_counted, and row "
            f"{counter} from handrail_counters: it is counted anew, from the effects"
        )
    return found


def total(connection: sa.Connection, counter: int, group: str, since: float) -> Decimal:
    """What was counted in a group after `since`, without what was given back."""
    return look(connection, counter, group, since)[1]


def add(connection: sa.Connection, counter: int, row: CounterEntry) -> None:
    """Count an amount. The lock of the agent must be held."""
    _append(connection, counter, row, None)


def add_all(
    connection: sa.Connection,
    rows: Iterable[tuple[int, CounterEntry]],
    known: Mapping[tuple[int, str], RunningTotal | None],
) -> None:
    """Count amounts, each by another counter. `known`: the last rows that were looked at."""
    values: list[dict[str, Any]] = []
    for counter, row in rows:
        which = counter, row.group
        last = known[which] if which in known else _last(connection, *which)
        if last is not None and last.at > row.at + _SKEW:
            _append(connection, counter, row, None)
        else:
            values.append(_behind(counter, row, last, None))
    if values:
        connection.execute(_INSERT, values)


def refill(
    connection: sa.Connection, counter: int, since: float, rows: Iterable[CounterEntry]
) -> None:
    """Count everything anew: `rows`, in the order of their time, are all since `since`."""
    connection.execute(sa.delete(_counted).where(_counted.c.counter == counter))
    seqs: dict[str, int] = defaultdict(int)
    totals: dict[str, Decimal] = defaultdict(Decimal)
    values: list[dict[str, Any]] = []
    for row in rows:
        seqs[row.group] += 1
        totals[row.group] = EXACT.add(totals[row.group], row.amount)
        values.append(_values(counter, row, seqs[row.group], totals[row.group], None))
    if values:
        connection.execute(_INSERT, values)
    connection.execute(_SINCE, {"b_counter": counter, "b_since": since})


def give_back(connection: sa.Connection, effect: str, now: float) -> None:
    """Take off what was counted of an effect that did not happen. The lock must be held."""
    for counter, row in _live(connection, effect):
        negative = CounterEntry(row.group, effect, -row.amount, now)
        _append(connection, counter, negative, row.at)


def is_counted(connection: sa.Connection, effect: str) -> bool:
    """Whether an effect is counted anywhere now."""
    return bool(_live(connection, effect))


def latest(
    connection: sa.Connection, counter: int, group: str, since: float, besides: str
) -> tuple[str, float] | None:
    """The last effect in a group after `since` that was not given back, and when it began."""
    which = {"b_counter": counter, "b_grp": group, "b_since": since}
    given_back: dict[tuple[str, float], int] = defaultdict(int)
    with connection.execute(_NEWEST, which) as rows:
        for effect, at, of_at in rows:
            if of_at is not None:
                given_back[effect, of_at] += 1
            elif given_back[effect, at]:
                given_back[effect, at] -= 1
            elif effect != besides:
                return effect, at
    return None


def _live(connection: sa.Connection, effect: str) -> list[tuple[int, CounterEntry]]:
    """What is counted of an effect, and was not given back."""
    rows = connection.execute(_OF_EFFECT, {"b_effect": effect}).all()
    given_back = [(row.counter, row.grp, row.of_at) for row in rows if row.of_at is not None]
    found: list[tuple[int, CounterEntry]] = []
    for row in rows:
        if row.of_at is not None:
            continue
        if (row.counter, row.grp, row.at) in given_back:
            given_back.remove((row.counter, row.grp, row.at))
        else:
            amount = _amount(row.counter, row.amount)
            found.append((row.counter, CounterEntry(row.grp, effect, amount, row.at)))
    return found


def _last(connection: sa.Connection, counter: int, group: str) -> RunningTotal | None:
    found = connection.execute(_LAST, {"b_counter": counter, "b_grp": group}).one_or_none()
    if found is None:
        return None
    return RunningTotal(found.seq, found.at, _amount(counter, found.total))


def _append(
    connection: sa.Connection, counter: int, row: CounterEntry, of_at: float | None
) -> None:
    """Add a row behind the last one of its group, at no earlier time than that."""
    last = _last(connection, counter, row.group)
    if last is not None and last.at > row.at + _SKEW:
        # A clock was ahead, and no more: what was counted by it was counted by now at the latest.
        which = {"b_counter": counter, "b_grp": row.group, "b_now": row.at}
        for statement in _SET_BACK:
            connection.execute(statement, which)
        last = replace(last, at=row.at)
    connection.execute(_INSERT, _behind(counter, row, last, of_at))


def _behind(
    counter: int, row: CounterEntry, last: RunningTotal | None, of_at: float | None
) -> dict[str, Any]:
    """A row behind the last one of its group, at no earlier time than that."""
    if last is None:
        return _values(counter, row, 1, row.amount, of_at)
    placed = replace(row, at=max(last.at, row.at))
    of_at = None if of_at is None else min(of_at, placed.at)
    return _values(counter, placed, last.seq + 1, EXACT.add(last.total, row.amount), of_at)


def _values(
    counter: int, row: CounterEntry, seq: int, after: Decimal, of_at: float | None
) -> dict[str, Any]:
    return {
        "counter": counter,
        "grp": row.group,
        "seq": seq,
        "at": row.at,
        "effect": row.effect,
        "amount": str(row.amount),
        "total": str(after),
        "of_at": of_at,
    }


_NEVER = 1e18
_insert_counter = InsertNew(_counters)
_INSERT = sa.insert(_counted)
_LOCK = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(sa.bindparam("b_agent"))))
# A height begins at one. On PostgreSQL with the lock that others take who only count.
_AGENT = sa.bindparam("b_agent", type_=sa.String)
_LOCKED = sa.select(_LOCK.subquery().c[0].is_(None)).scalar_subquery()
_FIRST = sa.select(_AGENT, sa.literal(1)).where(_LOCKED.is_not(None))
_HIGHER = {"height": heights.c.height + 1}


@cache
def _rise(dialect: str) -> sa.Insert:
    new = insert_into(heights, dialect)
    first = {"agent": _AGENT, "height": 1}
    begun = new.values(**first) if dialect == "sqlite" else new.from_select([*first], _FIRST)
    return begun.on_conflict_do_update(index_elements=["agent"], set_=_HIGHER)


_COUNTERS = sa.select(_counters.c.id, _counters.c.step, _counters.c.name, _counters.c.since).where(
    _counters.c.agent == sa.bindparam("b_agent"),
    _counters.c.step.in_(sa.bindparam("b_steps", expanding=True)),
)
_SINCE = (
    sa.update(_counters)
    .where(_counters.c.id == sa.bindparam("b_counter"))
    .values(since=sa.bindparam("b_since"))
)
_HERE = (
    _counted.c.counter == sa.bindparam("b_counter"),
    _counted.c.grp == sa.bindparam("b_grp"),
)
_AFTER = _counted.c.at > sa.bindparam("b_since", type_=sa.Float)
_LAST = (
    sa.select(_counted.c.seq, _counted.c.at, _counted.c.total)
    .where(*_HERE)
    .order_by(_counted.c.seq.desc())
    .limit(1)
)
# SQLite would take the longer index, and read the whole window.
_HINTS = {"sqlite": "INDEXED BY handrail_counted_given_back", "postgresql": ""}
LOOK = {
    dialect: sa.text(f"""
        SELECT c.seq, c.at, c.total,
            (SELECT b.total FROM handrail_counted b
             WHERE b.counter = :b_counter AND b.grp = :b_grp AND b.at <= :b_since
             ORDER BY b.at DESC, b.seq DESC LIMIT 1) AS base,
            (SELECT g.seq FROM handrail_counted g {hint}
             WHERE g.counter = :b_counter AND g.grp = :b_grp AND g.at > :b_since
             AND g.of_at IS NOT NULL LIMIT 1) AS given_back
        FROM handrail_counted c WHERE c.counter = :b_counter AND c.grp = :b_grp
        ORDER BY c.seq DESC LIMIT 1""")  # noqa: S608  # of constants
    for dialect, hint in _HINTS.items()
}
"""The last row of a group, and the total before a window: three seeks, whatever its length."""
GIVEN_BACK = {
    dialect: sa.text(f"""
        SELECT amount FROM handrail_counted {hint}
        WHERE counter = :b_counter AND grp = :b_grp AND at > :b_since
        AND of_at IS NOT NULL AND of_at <= :b_since""")  # noqa: S608  # of constants
    for dialect, hint in _HINTS.items()
}
"""What a window holds of giving back what it does not hold."""
_NEWEST = (
    sa.select(_counted.c.effect, _counted.c.at, _counted.c.of_at)
    .where(*_HERE, _AFTER)
    # No row is earlier than the one before it.
    .order_by(_counted.c.at.desc(), _counted.c.seq.desc())
)
_OF_EFFECT = (
    sa.select(_counted)
    .where(_counted.c.effect == sa.bindparam("b_effect"))
    .order_by(_counted.c.counter, _counted.c.grp, _counted.c.seq)
)
_NOW = sa.bindparam("b_now", type_=sa.Float)
_SET_BACK = (
    sa.update(_counted).where(*_HERE, _counted.c.at > _NOW).values(at=_NOW),
    sa.update(_counted).where(*_HERE, _counted.c.of_at > _NOW).values(of_at=_NOW),
)
