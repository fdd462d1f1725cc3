"""The seven metrics of an agent, and those of its own domain, from totals of two periods. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from handrail.evidence.report import LEAST, Metric
from handrail.evidence.totals import Totals, percentile
from handrail.policy import metric_in_words

if TYPE_CHECKING:
    from handrail.evidence.value import Reckoning
    from handrail.policy import MetricDoc

_WINDOWS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=365.25 / 12),
}


_Said = tuple[str, str, str, str, str]
"""The name, the title and the unit of a metric; what it is of; and which cases are behind it."""


@dataclass(frozen=True)
class _Measured:
    """One figure in one period, and of how many."""

    value: float | None
    n: int
    parts: Mapping[str, float]
    note: str = ""


def seven_metrics(now: Reckoning, before: Reckoning) -> tuple[Metric, ...]:
    """The seven, of a period and the one before it."""
    made: list[tuple[_Said, Callable[[Reckoning], _Measured]]] = [
        (("availability", "Availability", "share", "minutes", "all"), _availability),
        (("action_success", "Action success", "share", "writes", "done"), _success),
        (("errors", "Cases with an error", "share", "cases", "erring"), _errors),
        (("escalation", "Cases that ask people", "share", "cases", "asked"), _escalation),
        (("review_time", "Human review time", "seconds", "questions", "asked"), _review_time),
        (("cost_per_task", "Cost per task", now.currency or "money", "cases", "all"), _cost),
        (("roi", "Return on cost", "ratio", "cases", "all"), _roi),
    ]
    return tuple(_metric(said, measure(now), measure(before)) for said, measure in made)


def own_metrics(docs: Mapping[str, MetricDoc], now: Totals, before: Totals) -> tuple[Metric, ...]:
    """The metrics that a policy declares, in its order."""
    return tuple(
        _metric(
            (name, name, _unit(doc), "cases", doc.count or doc.rate or doc.of),
            _own(doc, position, now),
            _own(doc, position, before),
        )
        for position, (name, doc) in enumerate(docs.items())
    )


def _unit(doc: MetricDoc) -> str:
    return "share" if doc.unit == "%" else doc.unit


def _metric(said: _Said, now: _Measured, before: _Measured) -> Metric:
    """A figure of both periods. `said`: its name, title and unit, of what, and which cases."""
    name, title, unit, of, which = said
    enough, was = now.n >= LEAST, before.n >= LEAST
    return Metric(
        name=name,
        title=title,
        unit=unit,
        value=_rounded(now.value) if enough else None,
        n=now.n,
        of=of,
        needs=max(LEAST - now.n, 0),
        previous=_rounded(before.value) if was else None,
        previous_n=before.n,
        which=which,
        parts={key: round(part, 6) for key, part in now.parts.items()} if enough else {},
        note=now.note,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _availability(now: Reckoning) -> _Measured:
    sums = now.sums
    note = "" if sums.minutes else "no worker has been seen yet"
    return _Measured(_share(sums.present, sums.minutes), sums.minutes, {}, note)


def _success(now: Reckoning) -> _Measured:
    sums = now.sums
    return _Measured(_share(sums.good, sums.writes), sums.writes, {"good": sums.good})


def _errors(now: Reckoning) -> _Measured:
    """Cases, not attempts: one that was tried ten times and then went well is one."""
    sums = now.sums
    parts: dict[str, float] = dict(sums.errors.most_common())
    return _Measured(_share(sums.erring, sums.tasks), sums.tasks, parts)


def _escalation(now: Reckoning) -> _Measured:
    sums = now.sums
    further = _share(sums.escalated, sums.tasks) or 0.0
    return _Measured(_share(sums.asked, sums.tasks), sums.tasks, {"to a next role": further})


def _review_time(now: Reckoning) -> _Measured:
    sums = now.sums
    median, p90 = percentile(sums.took, 0.5), percentile(sums.took, 0.9)
    looking = percentile(sorted(sums.looked), 0.5)
    parts = {"p90": p90 or 0.0} | ({} if looking is None else {"looking": looking})
    one = sums.planted == 1
    are = "planted proposal is not" if one else "planted proposals are not"
    note = f"{sums.planted:,} {are} among them" if sums.planted else ""
    return _Measured(median, sums.questions, parts, note)


def _cost(now: Reckoning) -> _Measured:
    names = {"Models": "models", "People's minutes": "people", "Infrastructure": "infrastructure"}
    tasks = now.sums.tasks
    lines = {names[line.name]: -line.amount for line in now.lines() if line.name in names}
    parts = {name: float(amount / tasks) for name, amount in lines.items()} if tasks else {}
    if now.currency is None:
        return _Measured(None, tasks, {}, "the policy declares no currency: add prices:")
    return _Measured(
        float(sum(lines.values(), Decimal(0)) / tasks) if tasks else None, tasks, parts
    )


def _roi(now: Reckoning) -> _Measured:
    tasks, cost = now.sums.tasks, now.cost()
    if now.currency is None:
        return _Measured(None, tasks, {}, "the policy declares no value: add value:")
    if not cost:
        return _Measured(None, tasks, {}, "no cost is known")
    return _Measured(float(now.net() / cost), tasks, {"net": float(now.net()), "cost": float(cost)})


def _own(doc: MetricDoc, position: int, sums: Totals) -> _Measured:
    amount, n = sums.metrics[position] if sums.metrics else (0.0, 0)
    note = metric_in_words(doc)
    if doc.mean is not None or doc.rate is not None:
        return _Measured(_share(amount, n), n, {}, note)
    windows = sums.length / _WINDOWS[doc.per] if doc.per else 1.0
    return _Measured(amount / windows if windows else None, sums.tasks, {"in all": amount}, note)
