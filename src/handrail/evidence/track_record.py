"""The track record of an agent: what ran alone, and what of it was wrong; autonomy rests on it.

Counted are the writes that were made without asking anybody while the policy had a review. One
that was drawn and waits for its answer is not passed over: the figures reach up to it, so that
nobody makes them better by answering only what is right. One that has waited for two weeks
counts as wrong in the upper bound, so that nobody makes them better by not answering either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from handrail.evidence.estimates import ERROR, ErrorShare, estimate
from handrail.ledger import AnswerRow
from handrail.oversight import NotProven, ReviewAnswer, is_drawn, require_proven_answer

if TYPE_CHECKING:
    from handrail.ledger import AutonomousWrite, Ledger, ReviewRow
    from handrail.oversight import TrustedKey

OVERDUE = timedelta(days=14)
"""A review that waits for so long counts as wrong in the upper bound."""


@dataclass(frozen=True)
class TrackRecord:
    """What is known of the writes of an agent, or of one `step` of it, since its ledger began.

    `written`: all; `alone`: those without a human; `covered`: of these, those that could be
    drawn; `settled`: of these, those up to `until`, before the first that waits for its answer
    (None: all of them). `drawn`, `reviewed`, `waiting`, `overdue`: reviews, of all that are
    covered; `unproven`: answers that do not prove themselves, and so count as not given.

    `wrong` and `faulty` (wrong, or wrong but harmless) are shares of the settled, weighted by
    the inverse of the chance with which each was drawn; None where none is settled. `right`,
    `harmless` and `found_wrong` are the plain counts of answers.

    `incidents`, `open_incidents`: what went wrong and was noticed by itself. `rolled_back`:
    writes that were undone. `planted`: bad proposals that people decided on, `caught` by a
    rejection, `missed` by an approval.

    What an agent proposed in pilot was not written and is not in here: it stands in the verdicts
    (`ledger.verdicts(agent, pilot=True)`, the table `handrail_verdicts` where `pilot` is true),
    each with its action, evidence and confidence, to be compared with what people did.
    """

    agent: str
    step: str | None
    written: int
    alone: int
    covered: int
    settled: int
    until: datetime | None
    drawn: int
    reviewed: int
    waiting: int
    overdue: int
    unproven: int
    right: int
    harmless: int
    found_wrong: int
    wrong: ErrorShare | None
    faulty: ErrorShare | None
    incidents: int
    open_incidents: int
    rolled_back: int
    planted: int
    caught: int
    missed: int


async def measure_track_record(
    ledger: Ledger,
    agent: str,
    step: str | None = None,
    *,
    keys: Mapping[str, TrustedKey] | None = None,
    now: datetime | None = None,
) -> TrackRecord:
    """The figures of an agent, or of one step of it.

    `keys`: the keyring, to prove each answer again; without it they are taken as the ledger has
    them.

    Raises:
        LedgerUnavailable: if the ledger cannot be read.
    """
    now = now or datetime.now(UTC)
    alone, rows = await ledger.alone(agent, step), await ledger.reviews(agent, step=step)
    looked = ReviewSample.of(alone, rows, keys, now)
    tally, met = await ledger.tally(agent, step), await ledger.incidents(agent, step=step)
    said = [each.answer for each in looked.covered]
    return TrackRecord(
        agent=agent,
        step=step,
        written=tally.written,
        alone=len(alone),
        covered=len(looked.covered),
        settled=len(looked.settled),
        until=looked.until,
        drawn=sum(each.drawn for each in looked.covered),
        reviewed=sum(answer is not None for answer in said),
        waiting=sum(each.waits for each in looked.covered),
        overdue=sum(each.overdue for each in looked.covered),
        unproven=looked.unproven,
        right=said.count(ReviewAnswer.RIGHT),
        harmless=said.count(ReviewAnswer.HARMLESS),
        found_wrong=said.count(ReviewAnswer.WRONG),
        wrong=error_share(looked.settled, frozenset({ReviewAnswer.WRONG})),
        faulty=error_share(looked.settled, frozenset({ReviewAnswer.WRONG, ReviewAnswer.HARMLESS})),
        incidents=len(met),
        open_incidents=sum(each.closed is None for each in met),
        rolled_back=tally.rolled_back,
        planted=tally.planted,
        caught=tally.caught,
        missed=tally.missed,
    )


@dataclass(frozen=True)
class SampledWrite:
    """One write that ran alone: with what chance it was drawn, if it was, and what was said."""

    share: float
    drawn: bool
    begun: datetime
    answer: str | None
    overdue: bool

    @property
    def waits(self) -> bool:
        """Whether a human should look at it and has not."""
        return self.drawn and self.answer is None


@dataclass(frozen=True)
class ReviewSample:
    """The writes that could be drawn; `settled`: those before the first that waits."""

    covered: Sequence[SampledWrite]
    settled: Sequence[SampledWrite]
    until: datetime | None
    unproven: int

    @classmethod
    def of(
        cls,
        alone: Iterable[AutonomousWrite],
        rows: Sequence[ReviewRow],
        keys: Mapping[str, TrustedKey] | None,
        now: datetime,
    ) -> ReviewSample:
        """What was looked at of the writes that ran alone, which come in their order."""
        answers, unproven = _answers(rows, keys, now)
        covered = [_seen(each, each.share, answers, now) for each in alone if each.share]
        # What was drawn is known by its key: a review that was never put before anybody waits.
        first = next((n for n, each in enumerate(covered) if each.waits and not each.overdue), None)
        until = None if first is None else covered[first].begun
        return cls(covered, covered[:first], until, unproven)


def _seen(
    one: AutonomousWrite, chance: float, answers: Mapping[str, str], now: datetime
) -> SampledWrite:
    drawn = is_drawn(one.agent, one.step, one.key, chance)
    answer = answers.get(one.key) if drawn else None
    overdue = drawn and answer is None and now - one.begun > OVERDUE
    return SampledWrite(chance, drawn, one.begun, answer, overdue)


def _answers(
    rows: Sequence[ReviewRow], keys: Mapping[str, TrustedKey] | None, now: datetime
) -> tuple[dict[str, str], int]:
    """What was answered, by key, and how many answers do not prove themselves."""
    given = {row.key: row.answer for row in rows if row.answer is not None}
    if keys is None:
        return given, 0
    good = {row.key: given[row.key] for row in rows if row.key in given and _proven(row, keys, now)}
    return good, len(given) - len(good)


def _proven(row: ReviewRow, keys: Mapping[str, TrustedKey], now: datetime) -> bool:
    said = AnswerRow(
        key=row.key,
        answer=row.answer or "",
        by=row.by or "",
        at=row.answered or now,
        note=row.note or "",
        proof=row.proof or "",
    )
    try:
        require_proven_answer(said, keys, now)
    except NotProven:
        return False
    return True


def error_share(
    seen: Sequence[SampledWrite], bad: frozenset[str], error: float = ERROR
) -> ErrorShare | None:
    """The share of writes on which the answer was one of `bad`; None of no writes.

    What is overdue is taken for right below and for bad above.
    """
    if not seen:
        return None
    least = estimate(((each.share, each.answer in bad) for each in seen), error)
    if not any(each.overdue for each in seen):
        return least
    most = estimate(((each.share, each.answer in bad or each.overdue) for each in seen), error)
    return ErrorShare(least.guess, least.low, most.high)
