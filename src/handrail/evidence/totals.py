"""The totals of one period, of the figures that the ledger added up by day. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING

from handrail.states import State

if TYPE_CHECKING:
    from handrail.ledger import AgentFigures, CaseFigures, PresenceRow, QuestionFigures

DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_INSTANT = timedelta(microseconds=1)


@dataclass
class Totals:
    """Sums over one period. `tasks`: ended cases without pilots and hand-offs to itself.

    `models` and `given`: money by currency; `took`: seconds from asked to ruled, in order.
    """

    since: datetime
    until: datetime
    tasks: int = 0
    ends: Counter[str] = field(default_factory=Counter[str])
    asked: int = 0
    escalated: int = 0
    erring: int = 0
    late: int = 0
    wrong: int = 0
    plain: int = 0
    """Done, not found wrong, and without a value of their own."""
    written: int = 0
    """Of these, those that wrote something."""
    given: int = 0
    value: Decimal = Decimal(0)
    models: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    pilots: int = 0
    rounds: int = 0
    writes: int = 0
    good: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])
    attempts: int = 0
    questions: int = 0
    planted: int = 0
    took: list[float] = field(default_factory=list[float])
    looked: list[float] = field(default_factory=list[float])
    unseen: int = 0
    """Questions that were ruled on, and nobody knows for how long they were looked at."""
    metrics: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    minutes: int = 0
    present: int = 0

    @property
    def length(self) -> timedelta:
        """How long the period is."""
        return self.until - self.since


def number_of(moment: datetime) -> int:
    """The day of a moment, as the ledger numbers it."""
    return int(moment.timestamp() // DAY.total_seconds())


def day_of(number: int) -> date:
    """A day by its number."""
    return datetime.fromtimestamp(number * DAY.total_seconds(), UTC).date()


def totals(
    found: AgentFigures,
    presence: Sequence[PresenceRow],
    stops: Sequence[Span],
    since: datetime,
    until: datetime,
) -> Totals:
    """What was added up from `since` on and before `until`, which both begin a day or are now.

    `stops`: when all of the agent was stopped.
    """
    sums, days = Totals(since, until), range(number_of(since), number_of(until - _INSTANT) + 1)
    for row in found.cases:
        if row.day in days:
            _add(sums, row)
    for each in found.writes:
        if each.day in days:
            sums.writes += each.writes
            sums.good += each.good
    for error in found.errors:
        if error.day in days:
            sums.errors[error.kind] += error.cases
            sums.attempts += error.attempts
    for question in found.questions:
        if since.timestamp() <= question.asked < until.timestamp():
            _ask(sums, question)
    sums.took.sort()
    begun = min((each.since for each in presence), default=None)
    if begun is not None and begun < until:
        sums.minutes, sums.present = minutes_present(presence, stops, max(begun, since), until)
    return sums


def _ask(sums: Totals, question: QuestionFigures) -> None:
    sums.planted += question.planted
    if question.looked is not None:
        sums.looked.append(question.looked)
    if question.took is not None and not question.planted:
        sums.questions += 1
        sums.took.append(question.took)
        sums.unseen += question.looked is None


def _add(sums: Totals, row: CaseFigures) -> None:
    if row.cost:
        sums.models[row.currency] = sums.models.get(row.currency, Decimal(0)) + row.cost
    if row.pilot or row.state == State.PILOTED:
        sums.pilots += row.cases
        return
    if row.round:
        sums.rounds += row.cases
        return
    sums.tasks += row.cases
    sums.ends[row.state] += row.cases
    sums.asked += row.asked
    sums.escalated += row.escalated
    sums.erring += row.erring
    sums.late += row.late
    # What a case said of its own worth goes for nothing where it was found wrong.
    if row.wrong:
        sums.wrong += row.cases
    elif row.state == State.DONE:
        sums.given += row.given
        sums.value += row.value
        sums.plain += row.cases - row.given
        sums.written += row.written
    before = sums.metrics or [(0.0, 0)] * len(row.metrics)
    pairs = zip(before, row.metrics, strict=True)
    sums.metrics = [(a + b, m + n) for (a, m), (b, n) in pairs]


Span = tuple[datetime, datetime]
"""From when until when."""


def minutes_present(
    presence: Iterable[PresenceRow], stops: Iterable[Span], since: datetime, until: datetime
) -> tuple[int, int]:
    """How many minutes there were, and in how many of them some worker was there for its work."""
    whole = int((until - since) / _MINUTE)
    # A worker says each minute that it is there: it was so for the minute after, too.
    there = _joined(((each.since, each.last + _MINUTE) for each in presence), since, until)
    idle = [span for each in there for span in _joined(stops, *each)]
    worked = sum((end - begin for begin, end in there), timedelta(0))
    worked -= sum((end - begin for begin, end in idle), timedelta(0))
    return whole, min(round(worked / _MINUTE), whole)


def _joined(spans: Iterable[Span], since: datetime, until: datetime) -> list[Span]:
    """What of them lies within, each moment once."""
    found: list[Span] = []
    reached = since
    for begins, ends in sorted(spans):
        begin, end = max(begins, reached), min(ends, until)
        if end > begin:
            found.append((begin, end))
            reached = end
    return found


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that this share of them does not exceed (nearest rank); None of none."""
    return ordered[max(ceil(share * len(ordered)) - 1, 0)] if ordered else None
