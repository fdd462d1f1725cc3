"""Review afterwards: which writes that ran alone a human looks at, and what they may say. Pure.

A write is drawn by a hash of its key, which nobody chooses, with a chance that is known before
it is made. So it is the same in every process and after every crash, and the answers on those
drawn tell something of all of them (`handrail.evidence.track_record`).

Answers are signed. Whoever answered may answer otherwise later: the later one counts, and both
stay on record. Nobody else may answer then; who disagrees says so to them, or to the owner.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError, field_validator

from handrail.actions import WHOLE, Aware, Finding, Kind, Wire, person
from handrail.exceptions import InvalidRequest
from handrail.ledger import AnswerRow, ReviewRow
from handrail.oversight.signatures import REVIEW_STATEMENT, NotProven
from handrail.policy import NobodyMayApprove
from handrail.text import first_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from handrail.ledger import ReviewedWrite
    from handrail.oversight.keys import SigningKey, TrustedKey
    from handrail.policy import Facts, Policy, Review


@dataclass(frozen=True)
class Draw:
    """That a write is put before a human, why in words, and with what chance it was, 0..1."""

    why: str
    share: float


class ReviewAnswer(StrEnum):
    """What a reviewer says of a write."""

    RIGHT = "right"
    WRONG = "wrong"
    HARMLESS = "harmless"
    """Wrong, but harmless."""


class NotReviewed(InvalidRequest):
    """An answer to a review cannot be taken. The message says why, for whoever gave it."""


def review_chance(review: Review | None, *, unusual: bool) -> float | None:
    """With what chance a write is drawn, above 0 to 1; None where none is."""
    if review is None:
        return None
    parts = max(review.random, review.unusual) if unusual else review.random
    return min(parts, WHOLE) / WHOLE if parts > 0 else None


def is_drawn(agent: str, step: str, key: str, chance: float) -> bool:
    """Whether a write is among those that are drawn with this chance, for ever."""
    digest = hashlib.sha256(f"review/{agent}/{step}/{key}".encode()).hexdigest()
    return int(digest, 16) % WHOLE < round(chance * WHOLE)


def draw(
    review: Review | None, agent: str, step: str, key: str, chance: float | None
) -> Draw | None:
    """Whether the write `key` is put before a human afterwards, with this chance."""
    if chance is None or not is_drawn(agent, step, key, chance):
        return None
    usual = review_chance(review, unusual=False)
    oversampled = usual is None or not is_drawn(agent, step, key, usual)
    why = "something about it was unusual" if oversampled else "it was drawn at random"
    return Draw(f"{why}, as {chance * 100:g} % of such writes are", chance)


def review_due(
    policy: Policy,
    review: Review | None,
    facts: Facts,
    *,
    agent: str,
    key: str,
    unusual: bool,
    now: datetime,
    chance: float | None = None,
) -> ReviewRow | None:
    """The review of a write that ran alone, for the ledger; None if it is not drawn.

    `chance`: with which it began, where that is on record: a retry after a crash draws as the
    first try would have, whatever the policy says by then.
    """
    if review is None:
        return None
    chance = review_chance(review, unusual=unusual) if chance is None else chance
    drawn = draw(review, agent, facts.step, key, chance)
    if drawn is None:
        return None
    return ReviewRow(
        key=key,
        agent=agent,
        step=facts.step,
        case=facts.case,
        at=now,
        why=drawn.why,
        share=drawn.share,
        role=review.role,
        people=_people(policy, review.role, facts, now),
        requester=facts.requester,
    )


def _people(policy: Policy, role: str, facts: Facts, now: datetime) -> tuple[str, ...]:
    """Who is of a role; where it may not approve this write, who may is asked instead."""
    held = Finding(check="review", kind=Kind.HOLD, why="", role=role)
    try:
        asks = policy.asks([held], facts, now)
    except NobodyMayApprove:
        asks = policy.default_asks(facts.step, now)
    return asks[0].stages[0].people


# Answers


class Opinion(Wire):
    """What a person says of one write: what is signed. `digest`: of the action that was done."""

    key: str = Field(min_length=1, max_length=400)
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    answer: ReviewAnswer
    by: str = Field(min_length=1, max_length=200)
    at: Aware
    why: str = Field(default="", max_length=4_000)

    @field_validator("by")
    @classmethod
    def _spelt(cls, value: str) -> str:
        return person(value)


def why_not_reviewer(row: ReviewRow, who: str, people: Iterable[str] = ()) -> str | None:
    """Why somebody may not answer a review; None if they may.

    `people`: who is of its role now, beside those who were when it was drawn.
    """
    asked = {person(each) for each in (*row.people, *people)}
    if row.requester is not None and person(row.requester) == person(who):
        return "you asked for this write, so somebody else must look at it"
    if person(who) not in asked:
        named = ", ".join(sorted(asked)) or "nobody"
        return f"{person(who)} is not of the role {row.role}, which looks at this: {named}"
    if row.by is not None and row.by != person(who):
        return f"{row.by} has answered it already; only they may change their answer"
    return None


def new_opinion(written: ReviewedWrite, answer: str, by: str, why: str, now: datetime) -> Opinion:
    """What somebody says of a write.

    Raises:
        NotReviewed: if it is no answer, or one that must say why does not.
    """
    if answer not in set(ReviewAnswer):
        raise NotReviewed(f"{answer!r} is no answer: say right, wrong or harmless")
    if answer != ReviewAnswer.RIGHT and not why.strip():
        raise NotReviewed("say what is wrong with it: the owner reads it")
    try:
        return Opinion(
            key=written.key,
            digest=written.digest,
            answer=ReviewAnswer(answer),
            by=by,
            at=now,
            why=why.strip(),
        )
    except ValidationError as error:
        raise NotReviewed(first_fault(error)) from error


def signed_answer(said: Opinion, key: SigningKey, now: datetime) -> AnswerRow:
    """An answer as the ledger keeps it, signed.

    Raises:
        NotProven: if this key cannot sign it.
    """
    return AnswerRow(
        key=said.key,
        answer=said.answer.value,
        by=said.by,
        at=said.at,
        note=said.why,
        proof=REVIEW_STATEMENT.sign(said, key, now),
    )


def require_proven_answer(row: AnswerRow, keys: Mapping[str, TrustedKey], now: datetime) -> Opinion:
    """What was signed, if it is what the ledger says.

    Raises:
        NotProven: if nobody can be shown to have said it, with why in words.
    """
    payload, by, _ = REVIEW_STATEMENT.verify(row.proof, keys, now)
    try:
        said = Opinion.model_validate_json(json.dumps(payload))
    except ValidationError:
        raise NotProven("what was signed is no answer to a review") from None
    if (said.key, said.answer, by) != (row.key, row.answer, row.by):
        raise NotProven("the ledger was altered: another answer was signed")
    return said
