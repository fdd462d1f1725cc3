"""Reviews and incidents: which writes a human looks at afterwards, and what went wrong with one.

The answer that counts stands with the review; every one that was given is kept beside it, as
it was signed. Who may answer is judged by `handrail.oversight.reviews`, before it comes here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from handrail.ledger.database import Database
from handrail.ledger.entries import AlreadyReviewed, AnswerRow, ReviewRow
from handrail.ledger.rows import Rows, narrowed
from handrail.ledger.tables import (
    EffectState,
    effects,
    incidents,
    review_answers,
    reviews,
    rulings,
    verdicts,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pydantic import JsonValue

    from handrail.actions import Receipt

_UNDO = "/undo"
_AT_ONCE = 500


@dataclass(frozen=True)
class ReviewedWrite:
    """A write that was made, as a reviewer sees it."""

    key: str
    agent: str
    step: str
    case: str
    digest: str
    action: dict[str, JsonValue]
    evidence: JsonValue
    confidence: float | None
    policy: str
    begun: datetime
    receipt: Receipt | None
    undone: datetime | None
    units: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class WriteCounts:
    """How many writes were made, how many undone, and what became of planted proposals."""

    written: int
    rolled_back: int
    planted: int
    caught: int
    missed: int


class Reviews(Database):
    """The reviews of a ledger."""

    async def review(self, row: ReviewRow) -> bool:
        """Put a write before a human. False if it has been, and that stays as it is."""
        return await self._run(lambda connection: _reviews.insert(connection, row))

    async def reviews(  # what people look for them by
        self,
        agent: str | None = None,
        *,
        step: str | None = None,
        case: str | None = None,
        begins: str = "",
        agents: Collection[str] | None = None,
        open_only: bool = False,
        newest: bool = False,
        limit: int | None = None,
    ) -> list[ReviewRow]:
        """Reviews, those that wait longest first, or the newest. `begins`: how their key does."""
        at, key = reviews.c.at, reviews.c.key
        order = (at.desc(), key.desc()) if newest else (at, key)
        r = reviews.c
        query = narrowed(_reviews.select, {r.agent: agent, r.step: step, r.case_id: case})
        if begins:
            query = query.where(key.startswith(begins, autoescape=True))
        if agents is not None:
            query = query.where(r.agent.in_(agents))
        if open_only:
            query = query.where(r.answer.is_(None))
        return await self._all(_reviews, query.order_by(*order).limit(limit))

    async def review_of(self, key: str) -> ReviewRow | None:
        """The review of one write."""
        return await self._one(_reviews, _reviews.select.where(reviews.c.key == key))

    async def answer_review(self, row: AnswerRow) -> bool:
        """Keep an answer: the first, or a later one of the same person, which takes its place.

        Both stay on record. False if no such write is to be reviewed.

        Raises:
            Answered: if somebody else has answered it; nothing is recorded.
        """
        return await self._run(lambda connection: _answer(connection, row))

    async def review_answers(self, key: str) -> list[AnswerRow]:
        """Every answer to one review, in their order; the last one counts."""
        query = _answers.select.where(review_answers.c.key == key)
        return await self._all(_answers, query.order_by(review_answers.c.number))

    async def last_answers(self, keys: Sequence[str]) -> dict[str, AnswerRow]:
        """Of each of these reviews the answer that counts, if there is one."""
        a = review_answers.c

        def look(connection: sa.Connection) -> dict[str, AnswerRow]:
            found: dict[str, AnswerRow] = {}
            for at in range(0, len(keys), _AT_ONCE):
                query = _answers.select.where(a.key.in_(keys[at : at + _AT_ONCE]))
                rows = _answers.all(connection, query.order_by(a.number))
                found |= {row.key: row for row in rows}
            return found

        return await self._read(look)

    async def written(self, key: str) -> ReviewedWrite | None:
        """What was written under a key, and whether it was taken back."""
        return await self._one(_written, _written.select.where(effects.c.key == key))

    async def tally(self, agent: str, step: str | None = None) -> WriteCounts:
        """What was written, undone, planted and caught."""
        written, undone = _writes(agent, step), _undone(agent, step)
        planted = _planted(agent, step)

        def count(connection: sa.Connection) -> WriteCounts:
            verbs = Counter({row[0]: row[1] for row in connection.execute(planted)})
            return WriteCounts(
                written=connection.execute(written).scalar_one(),
                rolled_back=connection.execute(undone).scalar_one(),
                planted=verbs.total(),
                caught=verbs["reject"],
                missed=verbs["approve"],
            )

        return await self._read(count)


def _writes(agent: str, step: str | None) -> sa.Select[int]:
    """The number of writes that were made, without undos."""
    query = sa.select(sa.func.count()).select_from(effects)
    query = query.where(effects.c.agent == agent, effects.c.state == EffectState.DONE)
    query = query.where(effects.c.key.not_like(f"%{_UNDO}"))
    return narrowed(query, {effects.c.step: step})


def _undone(agent: str, step: str | None) -> sa.Select[int]:
    """The number of writes whose undo was made."""
    undo = effects.alias("undo")
    query = sa.select(sa.func.count()).select_from(effects)
    query = query.join(undo, undo.c.key == effects.c.key + _UNDO)
    query = query.where(effects.c.agent == agent, undo.c.state == EffectState.DONE)
    return narrowed(query, {effects.c.step: step})


def _planted(agent: str, step: str | None) -> sa.Select[Any, int]:
    """How many planted proposals were decided on, by verb."""
    query = sa.select(rulings.c.verb, sa.func.count()).group_by(rulings.c.verb)
    query = query.where(rulings.c.agent == agent, rulings.c.planted.is_(True))
    query = query.where(rulings.c.verb.in_(["approve", "amend", "reject"]))
    return narrowed(query, {rulings.c.step: step})


def _answer(connection: sa.Connection, row: AnswerRow) -> bool:
    """Keep an answer, in one transaction with the look at who answered before."""
    found = connection.execute(_LOCK, {"b_key": row.key}).one_or_none()
    if found is None:
        return False
    if found.by is not None and found.by != row.by:
        raise AlreadyReviewed(row.key, found.by)
    add_answer(connection, row)
    counts = {"answer": row.answer, "by": row.by, "note": row.note, "proof": row.proof}
    this = sa.update(reviews).where(reviews.c.key == row.key)
    connection.execute(this.values(counts | {"answered": row.at}))
    return True


def add_answer(connection: sa.Connection, row: AnswerRow) -> None:
    """Keep an answer beside those before it, in the transaction of whoever calls."""
    number = connection.execute(_COUNT, {"b_key": row.key}).scalar_one() + 1
    connection.execute(sa.insert(review_answers), _answers.values(row) | {"number": number})


# Incidents


@dataclass(frozen=True)
class IncidentRow:
    """One incident of one write.

    `id`: the key of the write and the kind, so that the same one, met again in a retry, is one.
    `kind`: `mismatch`, where reading back what was written found something else; `unread`, where
    it could not be read; `failed`, where the step gave it up; `in_doubt`, where nobody knows
    whether it happened; `stuck`, where a step goes on failing. `what`: in the words of whoever
    found it.
    """

    id: str
    agent: str
    step: str
    case: str
    key: str
    kind: str
    what: str
    at: datetime
    closed: datetime | None = None
    closed_by: str | None = None
    closed_why: str | None = None


class Incidents(Database):
    """The incidents of a ledger."""

    async def incident(self, row: IncidentRow) -> bool:
        """Keep an incident. False if there is one of its id already, which stays as it is."""
        return await self._run(lambda connection: _incidents.insert(connection, row))

    async def incidents(  # what people look for them by
        self,
        agent: str | None = None,
        *,
        step: str | None = None,
        case: str | None = None,
        agents: Iterable[str] | None = None,
        open_only: bool = False,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[IncidentRow]:
        """Incidents, the newest first. `agents`: of any of these."""
        i = incidents.c
        query = narrowed(_incidents.select, {i.agent: agent, i.step: step, i.case_id: case})
        if agents is not None:
            query = query.where(i.agent.in_(sorted(agents)))
        if open_only:
            query = query.where(i.closed.is_(None))
        if since is not None:
            query = query.where(i.at >= since)
        return await self._all(_incidents, query.order_by(i.at.desc(), i.id).limit(limit))

    async def close_incident(self, incident: str, by: str, at: datetime, why: str) -> bool:
        """Close an incident. False if there is none, or it is closed already."""
        statement = (
            sa.update(incidents)
            .where(incidents.c.id == incident, incidents.c.closed.is_(None))
            .values(closed=at, closed_by=by, closed_why=why)
        )
        return await self._changes(statement)


def keep_incident(connection: sa.Connection, row: IncidentRow) -> bool:
    """Keep an incident, in the transaction of whoever calls. False if it is there already."""
    return _incidents.insert(connection, row)


_reviews: Rows[ReviewRow] = Rows(
    ReviewRow, reviews, later=("answer", "by", "answered", "note", "proof")
)
_answers: Rows[AnswerRow] = Rows(AnswerRow, review_answers)
_undo = effects.alias("undo")
_undone_at = (
    sa.select(_undo.c.ended)
    .where(_undo.c.key == effects.c.key + _UNDO, _undo.c.state == EffectState.DONE)
    .scalar_subquery()
)
_units_of = (
    sa.select(verdicts.c.units)
    .where(verdicts.c.case_id == effects.c.case_id, verdicts.c.key == effects.c.key)
    .order_by(verdicts.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_written: Rows[ReviewedWrite] = Rows(
    ReviewedWrite, effects, undone=_undone_at.label("undone"), units=_units_of.label("units")
)
_incidents: Rows[IncidentRow] = Rows(
    IncidentRow, incidents, later=("closed", "closed_by", "closed_why")
)
_LOCK = sa.select(reviews.c.by).where(reviews.c.key == sa.bindparam("b_key")).with_for_update()
_COUNT = sa.select(sa.func.count()).where(review_answers.c.key == sa.bindparam("b_key"))
