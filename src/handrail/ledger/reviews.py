"""Reviews: which writes a human looks at afterwards, and what they said, answer by answer.

The answer that counts stands with the review; every one that was given is kept beside it, as
it was signed. Who may answer is judged by `handrail.oversight.reviews`, before it comes here.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from handrail.actions import Receipt
from handrail.exceptions import HandrailError
from handrail.ledger.database import Database, Insert
from handrail.ledger.tables import effects, review_answers, reviews, rulings

if TYPE_CHECKING:
    from pydantic import JsonValue

_DONE = "done"
_UNDO = "/undo"


@dataclass(frozen=True)
class ReviewRow:
    """One write that a human looks at afterwards. `key` is the write's.

    `why` it was drawn, and with what chance: `share`, 0..1. `people`, of the `role`, may answer,
    but not the `requester`. `answer`, `by`, `answered`, `note` and `proof`: of the one that
    counts, if any was given.
    """

    key: str
    agent: str
    step: str
    case: str
    at: datetime
    why: str
    share: float
    role: str
    people: tuple[str, ...]
    requester: str | None = None
    answer: str | None = None
    by: str | None = None
    answered: datetime | None = None
    note: str | None = None
    proof: str | None = None


@dataclass(frozen=True)
class AnswerRow:
    """One answer to a review. `proof` is the signed statement; the columns prove nothing."""

    key: str
    answer: str
    by: str
    at: datetime
    note: str
    proof: str


@dataclass(frozen=True)
class Written:
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


@dataclass(frozen=True)
class Alone:
    """A write that was made without asking anybody: when it began, and its chance of review."""

    key: str
    agent: str
    step: str
    begun: datetime
    share: float | None


@dataclass(frozen=True)
class Tally:
    """How many writes were made, how many undone, and what became of planted proposals."""

    written: int
    rolled_back: int
    planted: int
    caught: int
    missed: int


class Answered(HandrailError):  # says what happened
    """Somebody else has answered a review; theirs stands, and nothing was recorded."""

    def __init__(self, key: str, by: str) -> None:
        """Say of which write, and who did."""
        self.key = key
        self.by = by
        super().__init__(
            f"{by} has answered the review of {key} already; only they may change their answer"
        )


class Reviews(Database):
    """The reviews of a ledger."""

    async def review(self, row: ReviewRow) -> bool:
        """Put a write before a human. False if it has been, and that stays as it is."""
        return await self._run(lambda connection: _insert(connection, _values(row)))

    async def reviews(  # what people look for them by
        self,
        agent: str | None = None,
        *,
        step: str | None = None,
        case: str | None = None,
        begins: str = "",
        open_only: bool = False,
        newest: bool = False,
        limit: int | None = None,
    ) -> list[ReviewRow]:
        """Reviews, those that wait longest first, or the newest. `begins`: how their key does."""
        at, key = reviews.c.at, reviews.c.key
        order = (at.desc(), key.desc()) if newest else (at, key)
        query = sa.select(reviews).order_by(*order).limit(limit)
        if begins:
            query = query.where(key.startswith(begins, autoescape=True))
        for column, value in (("agent", agent), ("step", step), ("case_id", case)):
            if value is not None:
                query = query.where(reviews.c[column] == value)
        if open_only:
            query = query.where(reviews.c.answer.is_(None))
        return await self._run(lambda c: [_row(found) for found in c.execute(query).mappings()])

    async def review_of(self, key: str) -> ReviewRow | None:
        """The review of one write."""
        query = sa.select(reviews).where(reviews.c.key == key)

        def look(connection: sa.Connection) -> ReviewRow | None:
            found = connection.execute(query).mappings().one_or_none()
            return None if found is None else _row(found)

        return await self._run(look)

    async def answer_review(self, row: AnswerRow) -> bool:
        """Keep an answer: the first, or a later one of the same person, which takes its place.

        Both stay on record. False if no such write is to be reviewed.

        Raises:
            Answered: if somebody else has answered it; nothing is recorded.
        """
        return await self._run(lambda connection: _answer(connection, row))

    async def review_answers(self, key: str) -> list[AnswerRow]:
        """Every answer to one review, in their order; the last one counts."""
        query = sa.select(review_answers).where(review_answers.c.key == key)
        ordered = query.order_by(review_answers.c.number)
        return await self._run(lambda c: [_said(each) for each in c.execute(ordered).mappings()])

    async def written(self, key: str) -> Written | None:
        """What was written under a key, and whether it was taken back."""
        query = sa.select(effects).where(effects.c.key.in_([key, f"{key}{_UNDO}"]))

        def look(connection: sa.Connection) -> Written | None:
            found = {row["key"]: row for row in connection.execute(query).mappings()}
            undo = found.get(f"{key}{_UNDO}")
            undone = undo["ended"] if undo is not None and undo["state"] == _DONE else None
            return _written(found[key], undone) if key in found else None

        return await self._run(look)

    async def alone(self, agent: str, step: str | None = None) -> list[Alone]:
        """The writes that were made without asking anybody, in the order in which they began."""
        e = effects.c
        query = (
            sa.select(e.key, e.agent, e.step, e.begun, e.share)
            .where(e.agent == agent, e.state == _DONE, e.alone.is_(True))
            .order_by(e.begun, e.key)
        )
        if step is not None:
            query = query.where(e.step == step)
        return await self._run(lambda c: [_alone(each) for each in c.execute(query).mappings()])

    async def tally(self, agent: str, step: str | None = None) -> Tally:
        """What was written, undone, planted and caught."""
        written, undone = _writes(agent, step), _undone(agent, step)
        planted = _planted(agent, step)

        def count(connection: sa.Connection) -> Tally:
            verbs = Counter({row[0]: row[1] for row in connection.execute(planted)})
            return Tally(
                written=connection.execute(written).scalar_one(),
                rolled_back=connection.execute(undone).scalar_one(),
                planted=verbs.total(),
                caught=verbs["reject"],
                missed=verbs["approve"],
            )

        return await self._run(count)


def _writes(agent: str, step: str | None) -> sa.Select[int]:
    """The number of writes that were made, without undos."""
    query = sa.select(sa.func.count()).select_from(effects)
    query = query.where(effects.c.agent == agent, effects.c.state == _DONE)
    query = query.where(effects.c.key.not_like(f"%{_UNDO}"))
    return query if step is None else query.where(effects.c.step == step)


def _undone(agent: str, step: str | None) -> sa.Select[int]:
    """The number of writes whose undo was made."""
    undo = effects.alias("undo")
    query = sa.select(sa.func.count()).select_from(effects)
    query = query.join(undo, undo.c.key == effects.c.key + _UNDO)
    query = query.where(effects.c.agent == agent, undo.c.state == _DONE)
    return query if step is None else query.where(effects.c.step == step)


def _planted(agent: str, step: str | None) -> sa.Select[Any, int]:
    """How many planted proposals were decided on, by verb."""
    query = sa.select(rulings.c.verb, sa.func.count()).group_by(rulings.c.verb)
    query = query.where(rulings.c.agent == agent, rulings.c.planted.is_(True))
    query = query.where(rulings.c.verb.in_(["approve", "amend", "reject"]))
    return query if step is None else query.where(rulings.c.step == step)


def _answer(connection: sa.Connection, row: AnswerRow) -> bool:
    """Keep an answer, in one transaction with the look at who answered before."""
    found = connection.execute(_LOCK, {"b_key": row.key}).one_or_none()
    if found is None:
        return False
    if found.by is not None and found.by != row.by:
        raise Answered(row.key, found.by)
    number = connection.execute(_COUNT, {"b_key": row.key}).scalar_one() + 1
    said = {"answer": row.answer, "by": row.by, "note": row.note, "proof": row.proof}
    at = row.at.timestamp()
    connection.execute(_INSERT_ANSWER, said | {"key": row.key, "number": number, "at": at})
    connection.execute(
        _TAKE,
        {f"b_{name}": value for name, value in said.items()} | {"b_key": row.key, "b_answered": at},
    )
    return True


_insert = Insert(reviews)
_INSERT_ANSWER = sa.insert(review_answers)
_LOCK = sa.select(reviews.c.by).where(reviews.c.key == sa.bindparam("b_key")).with_for_update()
_COUNT = (
    sa.select(sa.func.count())
    .select_from(review_answers)
    .where(review_answers.c.key == sa.bindparam("b_key"))
)
_TAKE = (
    sa.update(reviews)
    .where(reviews.c.key == sa.bindparam("b_key"))
    .values({name: sa.bindparam(f"b_{name}") for name in ("answer", "by", "answered", "note")})
    .values(proof=sa.bindparam("b_proof"))
)


def _values(row: ReviewRow) -> dict[str, Any]:
    return {
        "key": row.key,
        "agent": row.agent,
        "step": row.step,
        "case_id": row.case,
        "at": row.at.timestamp(),
        "why": row.why,
        "share": row.share,
        "role": row.role,
        "people": json.dumps(row.people),
        "requester": row.requester,
    }


def _row(found: Any) -> ReviewRow:
    answered = found["answered"]
    return ReviewRow(
        key=found["key"],
        agent=found["agent"],
        step=found["step"],
        case=found["case_id"],
        at=_time(found["at"]),
        why=found["why"],
        share=found["share"],
        role=found["role"],
        people=tuple(json.loads(found["people"])),
        requester=found["requester"],
        answer=found["answer"],
        by=found["by"],
        answered=None if answered is None else _time(answered),
        note=found["note"],
        proof=found["proof"],
    )


def _said(found: Any) -> AnswerRow:
    return AnswerRow(
        key=found["key"],
        answer=found["answer"],
        by=found["by"],
        at=_time(found["at"]),
        note=found["note"],
        proof=found["proof"],
    )


def _alone(found: Any) -> Alone:
    return Alone(
        key=found["key"],
        agent=found["agent"],
        step=found["step"],
        begun=_time(found["begun"]),
        share=found["share"],
    )


def _written(found: Any, undone: float | None) -> Written:
    receipt, evidence = found["receipt"], found["evidence"]
    return Written(
        key=found["key"],
        agent=found["agent"],
        step=found["step"],
        case=found["case_id"],
        digest=found["digest"],
        action=json.loads(found["action"]),
        evidence=None if evidence is None else json.loads(evidence),
        confidence=found["confidence"],
        policy=found["policy"],
        begun=_time(found["begun"]),
        receipt=None if receipt is None else Receipt.model_validate_json(receipt),
        undone=None if undone is None else _time(undone),
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
