"""Records of cases: what became of each, what it decided and asked, and what went wrong.

A record is made of a case's history alone, so it can be made again: it replaces what is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from handrail.ledger.database import Database
from handrail.ledger.evidence_tables import ERASED_WORDS
from handrail.ledger.evidence_tables import cases as _cases
from handrail.ledger.evidence_tables import decisions as _decisions
from handrail.ledger.evidence_tables import errors as _errors
from handrail.ledger.evidence_tables import presence as _presence
from handrail.ledger.evidence_tables import questions as _questions
from handrail.ledger.marking import mark_cases
from handrail.ledger.rows import Rows, narrowed
from handrail.ledger.tables import orders as _orders

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_AT_ONCE = 500
"""Cases that one statement names: SQLite takes no more than some thousand parameters."""

_BEFORE = datetime.min.replace(tzinfo=UTC)

PRESENT = timedelta(minutes=2)
"""A worker that was not heard of for longer was away meanwhile."""


@dataclass(frozen=True)
class CaseRow:
    """What became of a case. `ended` is None while it is open; `state` is what it is in.

    `trigger`: how it was started (`person`, `schedule`, ...); `event_digest`: of its event as
    JSON. `parent`: the case that handed it over. `seconds`: in each state, of those it has left.
    `cost`, `value`: decimal numbers. `escalated`: questions that went on to a next role.
    `events`: how long its history was: of two records of a run the longer one is the later.
    """

    case: str
    run_id: str
    agent: str
    build: str
    policy: str
    trigger: str
    event_digest: str
    requester: str | None
    parent: str | None
    begun: datetime
    ended: datetime | None
    state: str
    why: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    tokens: int = 0
    cost: str = "0"
    currency: str = ""
    value: str | None = None
    pilot: bool = False
    writes: int = 0
    questions: int = 0
    escalated: int = 0
    errors: int = 0
    events: int = 0


@dataclass(frozen=True)
class DecisionRow:
    """One decision. `kind` is the class of its action; None: it found nothing to do.

    `inputs`: the digest of what the step was given, as JSON.
    """

    case: str
    number: int
    agent: str
    step: str
    at: datetime
    inputs: str
    kind: str | None
    digest: str | None
    confidence: float | None
    model: str = ""
    tokens: int = 0
    cost: str = "0"


@dataclass(frozen=True)
class QuestionRow:
    """One question to people: when it was asked, reminded of, passed on and closed, and how.

    `looked`: seconds for which whoever closed it had it before them; None: not known.
    """

    case: str
    gate: str
    agent: str
    step: str
    kind: str
    roles: tuple[str, ...]
    asked: datetime
    reminded: datetime | None = None
    escalated: datetime | None = None
    ended: datetime | None = None
    how: str | None = None
    by: tuple[str, ...] = ()
    proven: bool | None = None
    looked: float | None = None


@dataclass(frozen=True)
class ErrorRow:
    """One error that a case learned of. `attempts` is None where it is not known."""

    case: str
    number: int
    agent: str
    step: str
    at: datetime
    kind: str
    attempts: int | None
    what: str


@dataclass(frozen=True)
class CaseRecord:
    """All rows of one case."""

    case: CaseRow
    decisions: tuple[DecisionRow, ...] = ()
    questions: tuple[QuestionRow, ...] = ()
    errors: tuple[ErrorRow, ...] = ()


def as_kept(record: CaseRecord) -> CaseRecord:
    """The record as it is read back: texts as every database keeps them."""
    rows = (record.decisions, record.questions, record.errors)
    kept = [
        tuple(each.kept(row) for row in more)
        for (each, _, _), more in zip(_IN_ORDER[1:], rows, strict=True)
    ]
    return CaseRecord(_CASES.kept(record.case), *kept)


@dataclass(frozen=True)
class PresenceRow:
    """From when until when a worker was there for an agent, without a gap."""

    worker: str
    agent: str
    since: datetime
    build: str
    last: datetime


class Records(Database):
    """The records of cases of a ledger, and the presence of workers."""

    async def record_cases(self, records: Iterable[CaseRecord], *, anew: bool = False) -> None:
        """Keep records, each in the place of what was kept of its case.

        One of the same run that is later is not replaced, unless they are made `anew`.
        """
        latest = {each.case.case: each for each in records}

        def transaction(connection: sa.Connection) -> None:
            if anew:
                return _replace(connection, list(latest.values()), list(latest))
            c, known = _cases.c, dict[str, Any]()
            for part in _parts(list(latest)):
                query = sa.select(c.case_id, c.run_id, c.events, c.ended)
                for row in connection.execute(query.where(c.case_id.in_(part))):
                    known[row.case_id] = row
            new: list[CaseRecord] = []
            for name, each in latest.items():
                row, made = known.get(name), each.case
                # A task that is given out again has the same events: its end is the later one.
                late = (made.events, made.ended or _BEFORE)
                if (
                    row is not None
                    and row.run_id == made.run_id
                    and (row.events, row.ended or _BEFORE) > late
                ):
                    known.pop(name)
                else:
                    new.append(each)
            return _replace(connection, new, list(known))

        if latest:
            await self._run(transaction)

    async def runs_recorded(self, cases: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Of those cases whose end is recorded: the run that ended, and its events until then."""
        c, found = _cases.c, dict[str, tuple[str, int]]()

        def transaction(connection: sa.Connection) -> dict[str, tuple[str, int]]:
            for part in _parts(cases):
                query = sa.select(c.case_id, c.run_id, c.events).where(c.ended.is_not(None))
                rows = connection.execute(query.where(c.case_id.in_(part)))
                found.update({row.case_id: (row.run_id, row.events) for row in rows})
            return found

        return await self._read(transaction)

    async def case_records(self, cases: Sequence[str]) -> dict[str, CaseRecord]:
        """What is kept of cases, by their ids."""

        def transaction(connection: sa.Connection) -> dict[str, CaseRecord]:
            found: dict[str, CaseRecord] = {}
            for part in _parts(cases):
                rows = [
                    each.all(connection, each.select.where(table.c.case_id.in_(part)).order_by(*by))
                    for each, table, by in _IN_ORDER
                ]
                for case in rows[0]:
                    own = [tuple(r for r in more if r.case == case.case) for more in rows[1:]]
                    found[case.case] = CaseRecord(case, *own)
            return found

        return await self._read(transaction)

    async def cases_recorded(
        self,
        agent: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        by: Literal["begun", "ended"] = "ended",
        limit: int | None = None,
    ) -> list[CaseRow]:
        """Cases that ended (or began) from `since` on and before `until`, in that order."""
        at = _cases.c[by]
        query = _within(narrowed(_CASES.select, {_cases.c.agent: agent}), at, since, until)
        if by == "ended":
            query = query.where(at.is_not(None))
        return await self._all(_CASES, query.limit(limit))

    async def questions_recorded(
        self, agent: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[QuestionRow]:
        """Questions of an agent that were asked in a period, oldest first."""
        whose = _QUESTIONS.select.where(_questions.c.agent == agent)
        query = _within(whose, _questions.c.asked, since, until)
        return await self._all(_QUESTIONS, query)

    async def errors_recorded(
        self, agent: str, kind: str, step: str, since: datetime
    ) -> list[ErrorRow]:
        """Errors of a class that a step of an agent has met from then on, oldest first."""
        e = _errors.c
        which = (e.agent == agent, e.at >= since, e.step == step, e.kind == kind)
        return await self._all(_ERRORS, _ERRORS.select.where(*which).order_by(e.at))

    async def present(self, worker: str, agents: Sequence[str], build: str, now: datetime) -> None:
        """Say that a worker is there, now, for those agents."""

        def transaction(connection: sa.Connection) -> None:
            p = _presence.c
            mine = (p.worker == worker, p.build == build, p.last >= now - PRESENT)
            touched = sa.update(_presence).where(*mine, p.agent.in_(agents))
            # Statements in one transaction: what was touched has this moment.
            connection.execute(touched.values(last=now))
            there = sa.select(p.agent).where(p.worker == worker, p.last == now)
            known = set(connection.execute(there).scalars())
            for agent in agents:
                if agent not in known:
                    _PRESENCE.insert(connection, PresenceRow(worker, agent, now, build, now))

        if agents:
            await self._run(transaction)

    async def presence(self, agent: str, since: datetime) -> list[PresenceRow]:
        """When workers were there for an agent, of those times that last until after `since`."""
        query = _PRESENCE.select.where(_presence.c.agent == agent, _presence.c.last >= since)
        return await self._all(_PRESENCE, query.order_by(_presence.c.since))


_CASES: Rows[CaseRow] = Rows(CaseRow, _cases)
_DECISIONS: Rows[DecisionRow] = Rows(DecisionRow, _decisions)
_QUESTIONS: Rows[QuestionRow] = Rows(QuestionRow, _questions)
_ERRORS: Rows[ErrorRow] = Rows(ErrorRow, _errors)
_PRESENCE: Rows[PresenceRow] = Rows(PresenceRow, _presence)
_IN_ORDER: tuple[tuple[Rows[Any], sa.Table, tuple[sa.Column[Any], ...]], ...] = (
    (_CASES, _cases, (_cases.c.case_id,)),
    (_DECISIONS, _decisions, (_decisions.c.number,)),
    (_QUESTIONS, _questions, (_questions.c.asked, _questions.c.gate)),
    (_ERRORS, _errors, (_errors.c.number,)),
)


def _parts(cases: Sequence[str]) -> list[Sequence[str]]:
    return [cases[at : at + _AT_ONCE] for at in range(0, len(cases), _AT_ONCE)]


def _replace(
    connection: sa.Connection, records: Sequence[CaseRecord], known: Sequence[str]
) -> None:
    """Insert records. `known`: the cases that have one, which goes.

    A record may come when its case has been erased: what an erasure takes stays away.
    """
    for part in _parts(known):
        for _, table, _ in _IN_ORDER:
            connection.execute(sa.delete(table).where(table.c.case_id.in_(part)))
    parts: tuple[list[Any], ...] = (
        [each.case for each in records],
        [row for each in records for row in each.decisions],
        [row for each in records for row in each.questions],
        [row for each in records for row in each.errors],
    )
    for (rows, table, _), new in zip(_IN_ORDER, parts, strict=True):
        if new:
            connection.execute(sa.insert(table), [rows.values(row) for row in new])
    _blank_erased(connection, [each.case for each in parts[0]])
    # In pilot, one that ended without a write found nothing to do; one that was reset has not.
    mark_cases(connection, ((each.agent, each.case) for each in parts[0]))


def _blank_erased(connection: sa.Connection, cases: Sequence[str]) -> None:
    """Blank what has just been put down of those that were erased before."""
    erased = sa.select(_orders.c.case_id).where(_orders.c.kind == "erase")
    found = set(connection.execute(erased).scalars()).intersection(cases)
    for case in sorted(found):
        for table, values in ERASED_WORDS.items():
            connection.execute(table.update().where(table.c.case_id == case).values(values))


def _within(
    query: sa.Select[*tuple[Any, ...]],
    at: sa.ColumnElement[Any],
    since: datetime | None,
    until: datetime | None,
) -> sa.Select[*tuple[Any, ...]]:
    """Those of a period, in the order of their moments."""
    query = query if since is None else query.where(at >= since)
    return (query if until is None else query.where(at < until)).order_by(at)
