"""Figures of an agent's cases, added up by the database: by day, and never by reading all rows.

A task is a case that has ended, was no pilot, and was no round: one that handed cases to its own
agent and wrote and asked nothing. What was tried again, continued or reset is one case and so
counts once. One that ended before it decided anything, as it failed, say, does not say whether it
was a pilot: it counts as the case of its agent that came to a decision last before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from handrail.ledger.database import Database
from handrail.ledger.entries import MetricQuery
from handrail.ledger.evidence_tables import cases, decisions, errors, questions
from handrail.ledger.tables import EffectState, Timestamp, effects, incidents, reviews, verdicts

MILLIONTH = Decimal(1_000_000)
PLANTED = "planted"
"""The kind of a question about a proposal that nobody wants done."""
WRONG = ("mismatch", "twice", "late")
"""Kinds of incidents by which a write is known to have gone wrong."""

_DAY = 86_400
_MINUTE = 60
_UNDO = "%/undo"
_AT_ONCE = 500


@dataclass(frozen=True)
class CaseFigures:
    """Sums over the cases that ended on one day in one state, and were of one kind.

    `day`: since 1970, UTC. `given`: how many brought a value of their own, `value` their sum.
    `written`: how many wrote something, and brought none.
    `metrics`: of each metric how much and of how many.
    """

    day: int
    state: str
    currency: str
    pilot: bool
    round: bool
    wrong: bool
    cases: int
    asked: int
    escalated: int
    erring: int
    late: int
    cost: Decimal
    given: int
    value: Decimal
    minutes: float
    written: int = 0
    metrics: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class ErrorFigures:
    """Errors of one class on one day: in how many cases, and how many attempts in all."""

    day: int
    kind: str
    cases: int
    attempts: int


@dataclass(frozen=True)
class WriteFigures:
    """Writes that began on one day: how many there were that ended, and how many went well."""

    day: int
    writes: int
    good: int


@dataclass(frozen=True)
class QuestionFigures:
    """One question that was asked: when, how long it took and was looked at, in seconds."""

    asked: float
    took: float | None
    looked: float | None
    planted: bool


@dataclass(frozen=True)
class AgentFigures:
    """Everything that was added up of an agent, over one period."""

    cases: tuple[CaseFigures, ...] = ()
    errors: tuple[ErrorFigures, ...] = ()
    writes: tuple[WriteFigures, ...] = ()
    questions: tuple[QuestionFigures, ...] = ()
    verdicts: Mapping[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    open: int = 0
    first: datetime | None = None


@dataclass(frozen=True)
class _Of:
    """Whose figures, from when until when, and after how long a case of theirs is late."""

    agent: str
    since: float
    until: float
    late: float | None

    @classmethod
    def of(cls, agent: str, since: datetime, until: datetime, late: timedelta | None) -> _Of:
        seconds = None if late is None else late.total_seconds()
        return cls(agent, since.timestamp(), until.timestamp(), seconds)

    def during(self, column: sa.Column[Any]) -> tuple[sa.ColumnElement[bool], ...]:
        at = _plain(column)
        return column.table.c.agent == self.agent, at >= self.since, at < self.until

    def which(self, name: str) -> sa.ColumnElement[bool]:
        """Whether a case is one of those; a name that is none of these is a state."""
        known: dict[str, Callable[[], sa.ColumnElement[bool]]] = {
            "all": sa.true,
            "alone": lambda: _c.questions == 0,
            "asked": lambda: _c.questions > 0,
            "escalated": lambda: _c.escalated > 0,
            "erring": lambda: _c.errors > 0,
            "late": lambda: sa.false() if self.late is None else _took > self.late,
            "wrong": self.wrong,
        }
        return known[name]() if name in known else _c.state == name

    def wrong(self) -> sa.ColumnElement[bool]:
        """Found wrong: by whoever looked afterwards, or as what was written was read back."""
        found = sa.select(reviews.c.case_id).where(
            reviews.c.agent == self.agent, reviews.c.answer == "wrong"
        )
        met = sa.select(incidents.c.case_id).where(
            incidents.c.agent == self.agent, incidents.c.kind.in_(WRONG)
        )
        return _c.case_id.in_(sa.union_all(found, met))


def was_round(agent: str) -> sa.ColumnElement[bool]:
    """Whether a case only handed on to its own agent: what came of it counts by itself."""
    handed = cases.alias()
    own = handed.c.agent == agent, handed.c.parent.is_not(None)
    parents = sa.select(handed.c.parent).where(*own)
    return sa.and_(_c.writes == 0, _c.questions == 0, _c.case_id.in_(parents))


def was_undecided(agent: str) -> sa.ColumnElement[bool]:
    """Whether a case came to no decision: neither it nor anybody said what is to be done."""
    return sa.and_(sa.not_(_came_to_something(cases)), sa.not_(was_round(agent)))


def was_pilot(agent: str) -> sa.ColumnElement[bool]:
    """Whether a case of an agent was a pilot's."""
    other = cases.alias()
    decided = sa.select(other.c.pilot).where(other.c.agent == agent, _came_to_something(other))
    before = decided.where(other.c.ended <= _c.ended).order_by(other.c.ended.desc()).limit(1)
    after = decided.where(other.c.ended > _c.ended).order_by(other.c.ended).limit(1)
    nearest = sa.func.coalesce(before.scalar_subquery(), after.scalar_subquery(), sa.false())
    # In this order, so that of nearly all cases no other one is looked for.
    return sa.case((_c.pilot, sa.true()), (was_undecided(agent), nearest), else_=sa.false())


def was_task(agent: str) -> sa.ColumnElement[bool]:
    """Whether a case of an agent that has ended is one of its tasks."""
    return sa.and_(sa.not_(was_pilot(agent)), sa.not_(was_round(agent)))


def _came_to_something(of: Any) -> sa.ColumnElement[bool]:
    made = sa.exists().where(decisions.c.case_id == of.c.case_id)
    return sa.or_(of.c.pilot, of.c.writes > 0, of.c.questions > 0, made)


def _plain(column: Any) -> sa.ColumnElement[float]:
    """A moment as the number that the database holds."""
    return sa.type_coerce(column, sa.Float)


_c, _q, _e, _w, _v = cases.c, questions.c, errors.c, effects.c, verdicts.c
_took = _plain(_c.ended) - _plain(_c.begun)
_MILLION = 1e6


def _sum(condition: Any) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


def _day(column: Any) -> sa.ColumnElement[int]:
    # Down on both kinds of database: only one of them has floor, and a cast rounds on the other.
    return sa.cast(sa.func.round(_plain(column) / _DAY - 0.5 + 1e-9), sa.Integer).label("day")


def _by(kinds: Iterable[sa.ColumnElement[Any]]) -> list[sa.ColumnElement[Any]]:
    """What to group by: an expression by its label, since its parameters are others each time."""
    return [sa.literal_column(each.name) if isinstance(each, sa.Label) else each for each in kinds]


def _money(column: Any) -> sa.ColumnElement[int]:
    """The sum of amounts that are kept as text, in millionths: exact however many there are."""
    amount = sa.func.round(sa.cast(sa.func.coalesce(column, "0"), sa.Float) * _MILLION)
    return sa.func.coalesce(sa.func.sum(sa.cast(amount, sa.BigInteger)), 0)


_QUANTITIES: dict[str, sa.ColumnElement[Any]] = {
    "minutes": _took / _MINUTE,
    "cost": sa.cast(_c.cost, sa.Float),
    "value": sa.cast(sa.func.coalesce(_c.value, "0"), sa.Float),
    "tokens": _c.tokens,
    "writes": _c.writes,
    "questions": _c.questions,
}


class Figures(Database):
    """The figures of a ledger."""

    async def agent_figures(
        self,
        agent: str,
        since: datetime,
        until: datetime,
        *,
        late: timedelta | None = None,
        metrics: tuple[MetricQuery, ...] = (),
    ) -> AgentFigures:
        """Add up what an agent did from `since` on and before `until`, by day.

        `late`: after how long a case is.
        """
        of = _Of.of(agent, since, until, late)
        # Each in a transaction of its own: none holds up a worker's write for long.
        return AgentFigures(
            cases=await self._read(lambda c: _cases(c, of, metrics)),
            errors=await self._read(lambda c: _errors(c, of)),
            writes=await self._read(lambda c: _writes(c, of)),
            questions=await self._read(lambda c: _questions(c, of)),
            verdicts=await self._read(lambda c: _verdicts(c, of)),
            open=await self._read(lambda c: c.execute(_open(of)).scalar_one()),
            first=await self._read(lambda c: c.execute(_first(of)).scalar_one()),
        )

    async def cases_of(  # what people look for them by
        self,
        agent: str,
        since: datetime,
        until: datetime,
        which: str = "all",
        *,
        late: timedelta | None = None,
        limit: int = 200,
    ) -> list[tuple[str, str, datetime]]:
        """The tasks behind a figure, the latest first: case, state, and when it ended."""
        of = _Of.of(agent, since, until, late)
        task = (*of.during(_c.ended), was_task(agent), of.which(which))
        query = sa.select(_c.case_id, _c.state, _c.ended).where(*task)
        query = query.order_by(_c.ended.desc()).limit(limit)
        return await self._read(lambda c: [tuple(row) for row in c.execute(query)])

    async def undecided_pilots(self, agent: str, since: datetime | None = None) -> int:
        """How many cases ended in pilot, from then on, before anything was proposed or decided."""
        mine = _c.agent == agent, _c.ended.is_not(None), _c.pilot.is_(False)
        query = sa.select(sa.func.count()).select_from(cases).where(*mine)
        query = query.where(was_undecided(agent), was_pilot(agent))
        if since is not None:
            query = query.where(_c.ended >= since)
        return await self._read(lambda c: c.execute(query).scalar_one())


def _cases(
    connection: sa.Connection, of: _Of, metrics: tuple[MetricQuery, ...]
) -> tuple[CaseFigures, ...]:
    wrong = of.which("wrong").label("wrong")
    pilot, handed = was_pilot(of.agent).label("piloted"), was_round(of.agent).label("round")
    kinds = (_day(_c.ended), _c.state, _c.currency, pilot, handed, wrong)
    sums = (
        sa.func.count(),
        _sum(_c.questions > 0),
        _sum(_c.escalated > 0),
        _sum(_c.errors > 0),
        _sum(of.which("late")),
        _money(_c.cost),
        sa.func.count(_c.value),
        _money(_c.value),
        sa.func.sum(_took) / _MINUTE,
        _sum(sa.and_(_c.writes > 0, _c.value.is_(None))),
    )
    own = [column for each in metrics for column in _metric(of, each)]
    query = sa.select(*kinds, *sums, *own).where(*of.during(_c.ended))
    query = query.group_by(*_by(kinds))
    return tuple(_case(list(row), len(kinds) + len(sums)) for row in connection.execute(query))


def _case(row: list[Any], most: int) -> CaseFigures:
    """One row; beyond its `most` columns stand two for each metric."""
    for at in (3, 4, 5):
        row[at] = bool(row[at])
    for at in (11, 13):
        row[at] = Decimal(row[at]) / MILLIONTH
    pairs = zip(row[most::2], row[most + 1 :: 2], strict=True)
    return CaseFigures(*row[:most], metrics=tuple((float(a), int(n)) for a, n in pairs))


def _metric(of: _Of, metric: MetricQuery) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """How much, and of how many."""
    conditions = [of.which(metric.which)]
    if metric.within is not None:
        conditions.append(_took <= metric.within.total_seconds())
    if metric.action is not None:
        named = (decisions.c.agent == of.agent, decisions.c.kind == metric.action)
        conditions.append(_c.case_id.in_(sa.select(decisions.c.case_id).where(*named)))
    if metric.mean is None:
        base = of.which(metric.of)
        return _sum(sa.and_(base, *conditions)), _sum(base)
    of_all = sa.and_(of.which(metric.of), *conditions)
    quantity = sa.func.sum(sa.case((of_all, _QUANTITIES[metric.mean]), else_=0))
    return sa.func.coalesce(quantity, 0), _sum(of_all)


def _errors(connection: sa.Connection, of: _Of) -> tuple[ErrorFigures, ...]:
    kinds = (_day(_e.at), _e.kind)
    counts = (sa.func.count(sa.distinct(_e.case_id)), sa.func.sum(sa.func.coalesce(_e.attempts, 1)))
    piloted = sa.exists().where(_c.case_id == _e.case_id, was_pilot(of.agent))
    query = sa.select(*kinds, *counts).where(*of.during(_e.at), ~piloted)
    return tuple(ErrorFigures(*row) for row in connection.execute(query.group_by(*_by(kinds))))


def _writes(connection: sa.Connection, of: _Of) -> tuple[WriteFigures, ...]:
    """Each key is one write, however often it was tried. What was undone was no success.

    One in doubt whose case has ended has ended too: nobody knows that it went well. Of no action
    is what `note_lost` keeps of an attempt that was not let pass: no write.
    """
    over = sa.exists().where(_c.case_id == _w.case_id, _c.ended.is_not(None))
    day, undo = _day(_w.begun), _w.key.like(_UNDO)
    made = sa.select(day, sa.func.count(), _sum(_w.state == EffectState.DONE)).where(
        *of.during(_w.begun),
        _w.digest != "",
        ~undo,
        sa.or_(_w.state != EffectState.INTENDED, over),
    )
    met = sa.select(incidents.c.key).where(
        incidents.c.agent == of.agent, incidents.c.kind.in_(WRONG)
    )
    undone = sa.select(_w.key).where(_w.agent == of.agent, undo, _w.state == EffectState.DONE)
    keys = {key.removesuffix(_UNDO[1:]) for key in connection.scalars(sa.union_all(met, undone))}
    bad: Counter[int] = Counter()
    for part in _parts(sorted(keys)):
        found = sa.select(day, sa.func.count()).where(
            *of.during(_w.begun), _w.key.in_(part), _w.state == EffectState.DONE
        )
        bad.update({row[0]: row[1] for row in connection.execute(found.group_by(*_by([day])))})
    return tuple(
        WriteFigures(at, n, int(good) - bad[at])
        for at, n, good in connection.execute(made.group_by(*_by([day])))
    )


def _parts(keys: list[str]) -> list[list[str]]:
    """Not more keys than one statement takes."""
    return [keys[at : at + _AT_ONCE] for at in range(0, len(keys), _AT_ONCE)]


def _questions(connection: sa.Connection, of: _Of) -> tuple[QuestionFigures, ...]:
    """In pilot nobody is asked: each of these was put before people.

    How long one took that was withdrawn, as its case was stopped, say, nobody's ruling tells.
    """
    asked = _plain(_q.asked)
    took = sa.case((_q.how == "withdrawn", None), else_=_plain(_q.ended) - asked)
    query = sa.select(asked, took, _q.looked, _q.kind == PLANTED).where(*of.during(_q.asked))
    return tuple(QuestionFigures(a, t, k, bool(p)) for a, t, k, p in connection.execute(query))


def _verdicts(connection: sa.Connection, of: _Of) -> dict[tuple[int, str], int]:
    kinds = (_day(_v.at), _v.kind)
    query = sa.select(*kinds, sa.func.count(sa.distinct(_v.key)))
    query = query.where(*of.during(_v.at), _v.pilot.is_(False)).group_by(*_by(kinds))
    return {(day, kind.value): n for day, kind, n in connection.execute(query)}


def _open(of: _Of) -> sa.Select[int]:
    return sa.select(sa.func.count()).where(_c.agent == of.agent, _c.ended.is_(None))


def _first(of: _Of) -> sa.Select[datetime]:
    return sa.select(sa.type_coerce(sa.func.min(_plain(_c.begun)), Timestamp)).where(
        _c.agent == of.agent
    )
