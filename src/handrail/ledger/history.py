"""What an agent did so far, as far as it may teach what is normal; and what went wrong, counted.

A write teaches when it happened and nobody said afterwards that it was wrong: it was not taken
back, no review called it wrong, and reading it back found nothing else. What people rejected
never happened, so it is not among them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from handrail.actions import WHOLE, Kind, Level
from handrail.ledger.database import Database
from handrail.ledger.entries import FAILED, IN_DOUBT, STUCK, UNREAD, OrderRow
from handrail.ledger.orders import give, order_in
from handrail.ledger.reviews import IncidentRow, keep_incident
from handrail.ledger.rows import Rows
from handrail.ledger.tables import (
    EffectState,
    Json,
    effects,
    incidents,
    orders,
    reviews,
    verdicts,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pydantic import JsonValue

LATEST = 2_000
"""At most so many writes, of each step, teach: the latest."""

DAYS = timedelta(days=28)
"""How far back the writes of each hour are counted."""

BREAKER = "breaker"
"""Who gives an order that no person gave, and the kind of the incident that says so."""

_OTHERS = incidents.c.kind.not_in((FAILED, IN_DOUBT, BREAKER, STUCK, UNREAD))
_HOUR = 3_600
_UNDO = "/undo"


@dataclass(frozen=True, slots=True)
class PastWrite:
    """One write that teaches what is normal."""

    key: str
    at: datetime
    action: Mapping[str, JsonValue]
    evidence: JsonValue
    confidence: float | None


@dataclass(frozen=True, slots=True)
class PastVerdict:
    """One verdict, as shares are taken of them. `whys`: the checks that held or refused."""

    number: int
    case: str
    digest: str
    step: str
    kind: Kind
    whys: tuple[str, ...]


@dataclass(frozen=True)
class WriteRates:
    """How many writes began: in the last hour and day, and in each hour of the last 28 days.

    `hours`: by hours since 1970; the one that is not over, and the first, are left out.
    """

    last_hour: int
    last_day: int
    hours: Mapping[int, int]


@dataclass(frozen=True)
class BreakerRule:
    """When a breaker trips, and how low it then puts the agent's level.

    `what`: one of `COUNTED`. `text`: the breaker as the policy has it; of it one order is given
    until people reset it.
    """

    what: str
    count: int
    window: timedelta
    then: Level
    text: str


@dataclass(frozen=True)
class TripResult:
    """What came of looking at a breaker: how many were counted, and the order if it tripped.

    `before`: it had tripped already, by that order, and nobody has reset it since.
    """

    count: int
    order: OrderRow | None = None
    before: OrderRow | None = None


class History(Database):
    """The past of the agents of a ledger."""

    async def past_writes(
        self, agent: str, step: str, known: Collection[str] = (), limit: int = LATEST
    ) -> tuple[tuple[str, ...], list[PastWrite]]:
        """The keys of the latest writes that teach, oldest first, and those not `known` in full."""

        def transaction(connection: sa.Connection) -> tuple[tuple[str, ...], list[PastWrite]]:
            keys = _teaching(connection, agent, step, limit)
            fresh = [key for key in keys if key not in known]
            query = _past_writes.select.where(effects.c.key.in_(fresh))
            return keys, _past_writes.all(connection, query) if fresh else []

        return await self._read(transaction)

    async def rates(self, agent: str, step: str, now: datetime) -> WriteRates:
        """How many writes of a step began, up to now."""

        def transaction(connection: sa.Connection) -> WriteRates:
            begun = (effects.c.agent == agent, effects.c.step == step)
            number = sa.select(sa.func.count()).where(*begun)
            windows = (timedelta(hours=1), timedelta(days=1))
            queries = [number.where(effects.c.begun > now - window) for window in windows]
            counted = [connection.execute(query).scalar_one() for query in queries]
            hours = _hours(connection, begun, now)
            return WriteRates(counted[0], counted[1], hours)

        return await self._read(transaction)

    async def past_verdicts(
        self, agent: str, after: int = 0, limit: int = 2 * LATEST
    ) -> list[PastVerdict]:
        """The latest verdicts on writes that are no pilot's, numbered higher than `after`."""
        query = (
            _past_verdicts.select.where(verdicts.c.agent == agent, verdicts.c.id > after)
            .where(verdicts.c.pilot.is_(False))
            .order_by(verdicts.c.at.desc(), verdicts.c.id.desc())
            .limit(limit)
        )
        return (await self._all(_past_verdicts, query))[::-1]

    async def trip(self, agent: str, step: str, fuse: BreakerRule, now: datetime) -> TripResult:
        """Count for a breaker, and when there are enough, lower the agent's level: both at once.

        It counts from its window's beginning, or from when people last put an end to what a
        breaker did, if that is later. Two workers that count at once give one order.
        """

        def transaction(connection: sa.Connection) -> TripResult:
            if not self._sqlite:
                lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"breaker {agent}"))
                connection.execute(sa.select(lock))
            reset = _reset(connection, agent)
            name = order_id(agent, fuse, reset)
            before = order_in(connection, name)
            if before is not None:
                return TripResult(0, before=before)
            since = max(now - fuse.window, datetime.fromtimestamp(reset, UTC))
            count = int(connection.execute(COUNTED[fuse.what](agent, since)).scalar_one())
            if count < fuse.count:
                return TripResult(count)
            stop = fuse.then is Level.STOP
            order = OrderRow(
                id=name,
                kind="stop" if stop else "level",
                agent=agent,
                level=None if stop else fuse.then,
                by=BREAKER,
                at=now,
                why=_why(fuse, count),
            )
            _give_order(connection, agent, step, order)
            return TripResult(count, order)

        return await self._run(transaction)


def order_id(agent: str, fuse: BreakerRule, reset: float) -> str:
    """The id of the order that a breaker gives, until people reset it: always the same one."""
    named = f"{agent}\n{fuse.what} {fuse.window} {fuse.then}\n{reset!r}"
    return f"breaker-{hashlib.sha256(named.encode()).hexdigest()[:40]}"


# What teaches


def _teaching(connection: sa.Connection, agent: str, step: str, limit: int) -> tuple[str, ...]:
    undo = effects.alias()
    taken_back = sa.exists().where(
        undo.c.key == effects.c.key + _UNDO, undo.c.state != EffectState.NOT_DONE
    )
    wrong = sa.exists().where(
        reviews.c.key == effects.c.key, reviews.c.answer.in_(("wrong", "harmless"))
    )
    query = (
        sa.select(effects.c.key)
        .where(effects.c.agent == agent, effects.c.step == step)
        .where(effects.c.state == EffectState.DONE, ~taken_back, ~wrong)
        .order_by(effects.c.begun.desc())
        .limit(limit)
    )
    found = connection.execute(query).scalars().all()
    bad = _amiss(connection, agent, step)
    return tuple(key for key in reversed(found) if key not in bad)


def _amiss(connection: sa.Connection, agent: str, step: str) -> set[str]:
    """The writes with an incident that is no matter of whether they happened."""
    query = (
        sa.select(incidents.c.key)
        .where(incidents.c.agent == agent, incidents.c.step == step)
        .where(_OTHERS)
        .order_by(incidents.c.at.desc())
        .limit(LATEST)
    )
    return set(connection.execute(query).scalars())


def _whys(found: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(each["check"] for each in found if each["kind"] != Kind.PASS)


_past_writes: Rows[PastWrite] = Rows(PastWrite, effects, at=effects.c.begun)
_past_verdicts: Rows[PastVerdict] = Rows(
    PastVerdict,
    verdicts,
    number=verdicts.c.id,
    whys=sa.type_coerce(verdicts.c.findings, Json(_whys)),
)


def _hours(
    connection: sa.Connection, begun: tuple[sa.ColumnElement[bool], ...], now: datetime
) -> dict[int, int]:
    hour = sa.type_coerce(effects.c.begun, sa.Float) / _HOUR
    # SQLite cuts off when it casts, PostgreSQL rounds.
    whole = hour if connection.dialect.name == "sqlite" else sa.func.floor(hour)
    number = sa.cast(whole, sa.Integer).label("hour")
    this = int(now.timestamp() // _HOUR)
    first = this - DAYS // timedelta(hours=1)
    since, until = (datetime.fromtimestamp(each * _HOUR, UTC) for each in (first, this))
    query = (
        sa.select(number, sa.func.count())
        .where(*begun, effects.c.begun >= since, effects.c.begun < until)
        .group_by(number)
    )
    counts = {int(at): int(count) for at, count in connection.execute(query)}
    if counts and min(counts) > first:
        counts.pop(min(counts))
    return counts


# Breakers


def _reset(connection: sa.Connection, agent: str) -> float:
    """When people last put an end to what a breaker did: seconds since 1970; 0 if never.

    They lifted or replaced its order, or raised a level above its own. That takes those who may.
    What anybody may do, such as to lower a level, or to say again what it is, resets nothing.
    """
    o = orders.c
    # As they are kept, to the last bit: the breaker's order is named by them.
    times: list[Any] = [sa.type_coerce(c, sa.Float).label(c.name) for c in (o.at, o.ended)]
    query = (
        sa.select(o.by, o.step, o.level, o.rollout, o.ended_by, *times)
        .where(orders.c.agent == agent)
        .where(sa.or_(orders.c.by == BREAKER, orders.c.kind == "level"))
        .order_by(orders.c.at)
    )
    # One whose time cannot be read hides no other; the door does not let it pass either.
    rows = [r for r in connection.execute(query) if isinstance(r.at, float) and _moment(r.ended)]
    ends = [row.ended for row in rows if row.by == BREAKER and row.ended_by not in {None, BREAKER}]
    levels = [row for row in rows if isinstance(row.level, Level)]
    raised = [row.at for number, row in enumerate(levels) if _overtakes(row, levels[:number])]
    return max((*ends, *raised), default=0.0)


def _moment(value: object) -> bool:
    return value is None or isinstance(value, float)


def _overtakes(row: Any, earlier: Sequence[Any]) -> bool:
    """Whether a level of people is above all that was in force, and that was a breaker's too."""
    live = [
        each
        for each in earlier
        if (each.ended is None or each.ended > row.at)
        and (row.step is None or each.step in {None, row.step})
    ]
    if row.by == BREAKER or not any(each.by == BREAKER for each in live):
        return False
    each_last = {each.step: each for each in live}.values()
    before = each_last if row.step is None else live[-1:]
    return all(_much(row) > _much(each) for each in before)


def _much(row: Any) -> tuple[int, int]:
    """How much a level lets an agent do: of `full`, the share of its cases."""
    return list(Level).index(Level(row.level)), WHOLE if row.rollout is None else row.rollout


def _refusals(agent: str, since: datetime) -> sa.Select[Any]:
    """A write that is tried again is refused again: it is one."""
    each = (
        sa.select(verdicts.c.case_id, verdicts.c.digest)
        .where(verdicts.c.agent == agent, verdicts.c.at > since)
        .where(verdicts.c.kind == Kind.REFUSE, verdicts.c.pilot.is_(False))
        .distinct()
        .subquery()
    )
    return sa.select(sa.func.count()).select_from(each)


def _roll_backs(agent: str, since: datetime) -> sa.Select[Any]:
    return sa.select(sa.func.count()).where(
        effects.c.agent == agent,
        # An index has it; an undo that takes longer to be done is seen by people meanwhile.
        effects.c.begun > since - DAYS,
        effects.c.key.like(f"%{_UNDO}"),
        effects.c.state == EffectState.DONE,
        effects.c.ended > since,
    )


def _of_kind(condition: sa.ColumnElement[bool], agent: str, since: datetime) -> sa.Select[Any]:
    """Incidents of one write are one, of whatever kind they are."""
    number = sa.func.count(sa.distinct(incidents.c.key))
    return sa.select(number).where(incidents.c.agent == agent, incidents.c.at > since, condition)


COUNTED = {
    "refusals": _refusals,
    "failures": partial(_of_kind, incidents.c.kind == FAILED),
    "in doubt": partial(_of_kind, incidents.c.kind == IN_DOUBT),
    "roll-backs": _roll_backs,
    "incidents": partial(_of_kind, _OTHERS),
}
"""What a breaker counts, by the words of the policy file."""


def _give_order(connection: sa.Connection, agent: str, step: str, order: OrderRow) -> None:
    give(connection, order)
    incident = IncidentRow(
        id=order.id,
        agent=agent,
        step=step,
        case="",
        key=order.id,
        kind=BREAKER,
        what=order.why,
        at=order.at,
    )
    keep_incident(connection, incident)


def _why(fuse: BreakerRule, count: int) -> str:
    return f"{count} {fuse.what} in {_span(fuse.window)}; its breaker trips at {fuse.text}"


def _span(window: timedelta) -> str:
    names = {timedelta(minutes=1): "a minute", timedelta(hours=1): "an hour"}
    names |= {timedelta(days=1): "a day", timedelta(weeks=1): "a week"}
    return names.get(window, str(window))
