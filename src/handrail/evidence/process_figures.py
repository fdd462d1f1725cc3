"""What a manual process takes, from its event log: touches, waiting, rework, people, cost. Pure.

Everything is counted by case, and said as a median or a mean over the cases, with their number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import fmean, median

from handrail.evidence.event_log import EventLog, LoggedEvent

MONTH = timedelta(days=365.25 / 12)
_HOUR, _MINUTE, _DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
_COMMON = 10


@dataclass(frozen=True)
class LoggedCase:
    """One case: its activities in their order, and what they took.

    `active`: while somebody was at work, None where the log has no starts. `waiting`: the rest of
    the `span` from the first event to the last. `rework`: activities that had been done before.
    `hands`: how often it went from one person to another.
    """

    case: str
    path: tuple[str, ...]
    span: timedelta
    active: timedelta | None
    waiting: timedelta
    rework: int
    people: frozenset[str]
    hands: int
    cost: Decimal | None


@dataclass(frozen=True)
class LogFigures:
    """The figures of a log. What it does not say is None; shares are of the cases, 0..1.

    `variants`: different ways through; `common`: the share of cases on the ten most common.
    """

    name: str
    cases: int
    events: int
    bad: int
    per_month: float | None
    touches: float | None
    span: timedelta | None
    waiting: timedelta | None
    active: timedelta | None
    reworked: float | None
    rework: float | None
    variants: int
    common: float | None
    people: int
    hands: float | None
    cost: Decimal | None


@dataclass(frozen=True)
class BaselineFigure:
    """One figure of the process before the agent, as the ledger keeps it."""

    name: str
    amount: Decimal
    unit: str


def logged_cases(log: EventLog) -> list[LoggedCase]:
    """What each case took, in the order in which the log has them."""
    return [logged_case(case, events) for case, events in log.cases().items()]


def logged_case(case: str, events: Sequence[LoggedEvent]) -> LoggedCase:
    """What one case took; its `events` in their order."""
    path = tuple(each.activity for each in events)
    first = min(each.begun or each.at for each in events)
    span = events[-1].at - first
    active = _at_work(events)
    whom = [each.who for each in events if each.who]
    costs = [each.cost for each in events if each.cost is not None]
    return LoggedCase(
        case=case,
        path=path,
        span=span,
        active=active,
        waiting=span if active is None else span - active,
        rework=len(path) - len(set(path)),
        people=frozenset(whom),
        hands=sum(a != b for a, b in pairwise(whom)),
        cost=sum(costs, Decimal(0)) if costs else None,
    )


def _at_work(events: Sequence[LoggedEvent]) -> timedelta | None:
    """How long somebody was at work: what two did at once is counted once."""
    spans = sorted((each.begun, each.at) for each in events if each.begun is not None)
    if not spans:
        return None
    total, until = timedelta(), spans[0][0]
    for begun, at in spans:
        total += max(at - max(begun, until), timedelta())
        until = max(until, at)
    return total


def log_figures(log: EventLog, cases: Sequence[LoggedCase] | None = None) -> LogFigures:
    """The figures over all cases of a log."""
    cases = logged_cases(log) if cases is None else cases
    paths = Counter(each.path for each in cases)
    common = sum(count for _, count in paths.most_common(_COMMON))
    active = [each.active for each in cases if each.active is not None]
    costs = [each.cost for each in cases if each.cost is not None]
    people = frozenset[str]().union(*(each.people for each in cases))
    n = len(cases)
    return LogFigures(
        name=log.name,
        cases=n,
        events=len(log.events),
        bad=len(log.bad),
        per_month=_per_month(log, n),
        touches=fmean(len(each.path) for each in cases) if n else None,
        span=_median([each.span for each in cases]),
        waiting=_median([each.waiting for each in cases]),
        active=sum(active, timedelta()) / len(active) if active else None,
        reworked=fmean(each.rework > 0 for each in cases) if n else None,
        rework=fmean(each.rework for each in cases) if n else None,
        variants=len(paths),
        common=common / n if n else None,
        people=len(people),
        hands=fmean(each.hands for each in cases) if n and people else None,
        cost=sum(costs, Decimal(0)) / len(costs) if costs else None,
    )


def _per_month(log: EventLog, cases: int) -> float | None:
    moments = [each.at for each in log.events]
    if not moments or (period := max(moments) - min(moments)) < _DAY:
        return None
    return cases * (MONTH / period)


def _median(spans: Sequence[timedelta]) -> timedelta | None:
    return timedelta(seconds=median(e.total_seconds() for e in spans)) if spans else None


def baseline_figures(found: LogFigures) -> list[BaselineFigure]:
    """The figures that an agent is held against, in the units in which they are kept."""
    rows = [
        ("cases_per_month", found.per_month, "cases"),
        ("touches_per_case", found.touches, "touches"),
        ("minutes_per_case", _in(_MINUTE, found.active), "minutes"),
        ("hours_to_end", _in(_HOUR, found.span), "hours"),
        ("waiting_hours_per_case", _in(_HOUR, found.waiting), "hours"),
        ("rework_share", found.reworked, "share"),
        ("variants", found.variants or None, "variants"),
        ("people", found.people or None, "people"),
        ("hand_offs_per_case", found.hands, "hand-offs"),
        ("cost_per_case", found.cost, "currency"),
    ]
    return [
        BaselineFigure(name, Decimal(f"{amount:.4f}".rstrip("0").rstrip(".")), unit)
        for name, amount, unit in rows
        if amount is not None
    ]


def _in(unit: timedelta, span: timedelta | None) -> float | None:
    return None if span is None else span / unit
