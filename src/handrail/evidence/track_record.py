"""The track record of an agent: what ran alone, and what of it was wrong; autonomy rests on it.

Counted are the writes that were made without asking anybody while the policy had a review. One
that was drawn and waits for its answer is not passed over: the figures reach up to it, so that
nobody makes them better by answering only what is right. One that has waited for two weeks
counts as wrong in the upper bound, so that nobody makes them better by not answering either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from handrail.evidence.estimates import ErrorShare, estimate_of
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
    since: datetime | None = None,
) -> TrackRecord:
    """The figures of an agent, or of one step of it.

    `keys`: the keyring, to prove each answer again; without it they are taken as the ledger has
    them. `since`: the shares are of the writes that began then or later; what waits, what was
    noticed and what was planted is told of all.

    Raises:
        LedgerUnavailable: if the ledger cannot be read.
    """
    now = now or datetime.now(UTC)
    drawn, rows, shares, tally, met = await asyncio.gather(
        ledger.drawn_writes(agent, step, is_drawn),
        ledger.reviews(agent, step=step),
        ledger.alone_by_share(agent, step),
        ledger.tally(agent, step),
        ledger.incidents(agent, step=step),
    )
    # A signature each: others are served meanwhile.
    looked = await asyncio.to_thread(ReviewSample.of, drawn, rows, keys, now, since)
    made = dict(shares)
    covered = {share: number for share, number in made.items() if share}
    settled = covered
    if looked.first is not None or since is not None:
        settled = dict(await ledger.alone_by_share(agent, step, looked.first, since))
        settled.pop(0, None)
    said = [each.answer for each in looked.drawn]
    return TrackRecord(
        agent=agent,
        step=step,
        written=tally.written,
        alone=sum(made.values()),
        covered=sum(covered.values()),
        settled=sum(settled.values()),
        until=looked.first.begun if looked.first else None,
        drawn=len(looked.drawn),
        reviewed=sum(answer is not None for answer in said),
        waiting=sum(each.answer is None for each in looked.drawn),
        overdue=sum(each.overdue for each in looked.drawn),
        unproven=looked.unproven,
        right=said.count(ReviewAnswer.RIGHT),
        harmless=said.count(ReviewAnswer.HARMLESS),
        found_wrong=said.count(ReviewAnswer.WRONG),
        wrong=_error_share(settled, looked.settled, {ReviewAnswer.WRONG}),
        faulty=_error_share(settled, looked.settled, {ReviewAnswer.WRONG, ReviewAnswer.HARMLESS}),
        incidents=len(met),
        open_incidents=sum(each.closed is None for each in met),
        rolled_back=tally.rolled_back,
        planted=tally.planted,
        caught=tally.caught,
        missed=tally.missed,
    )


@dataclass(frozen=True)
class SampledWrite:
    """One write that ran alone and was drawn, with what chance, and what was said of it."""

    share: float
    answer: str | None
    overdue: bool


@dataclass(frozen=True)
class ReviewSample:
    """The writes that were drawn; `settled`: those that count, before the `first` that waits."""

    drawn: Sequence[SampledWrite]
    settled: Sequence[SampledWrite]
    first: AutonomousWrite | None
    unproven: int

    @classmethod
    def of(
        cls,
        drawn: Sequence[AutonomousWrite],
        rows: Sequence[ReviewRow],
        keys: Mapping[str, TrustedKey] | None,
        now: datetime,
        since: datetime | None = None,
    ) -> ReviewSample:
        """What was said of the writes that were drawn, which come in their order.

        What was drawn is known by its key: a review that was never put before anybody waits.
        Those before `since` do not count.
        """
        answers, unproven = _answers(rows, keys, now)
        seen = [_seen(each, answers, now) for each in drawn]
        old = 0 if since is None else sum(each.begun < since for each in drawn)
        waits = (n for n in range(old, len(seen)) if seen[n].answer is None and not seen[n].overdue)
        first = next(waits, None)
        return cls(seen, seen[old:first], None if first is None else drawn[first], unproven)


def _seen(one: AutonomousWrite, answers: Mapping[str, str], now: datetime) -> SampledWrite:
    answer = answers.get(one.key)
    return SampledWrite(one.share, answer, answer is None and now - one.begun > OVERDUE)


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


def _error_share(
    made: Mapping[float, int], drawn: Sequence[SampledWrite], bad: Collection[str]
) -> ErrorShare | None:
    """The share of writes on which the answer was one of `bad`; None of no writes.

    `made`: how many, by their chance. What is overdue is taken for right below and for bad above.
    """
    if not made:
        return None
    least = estimate_of(made.items(), (each.share for each in drawn if each.answer in bad))
    if not any(each.overdue for each in drawn):
        return least
    worst = (each.share for each in drawn if each.overdue or each.answer in bad)
    return ErrorShare(least.guess, least.low, estimate_of(made.items(), worst).high)
