"""What an owner is told once a week: five figures against the week before, and what needs them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from handrail.evidence.measuring import measure_report
from handrail.evidence.report import AgentReport, Metric, figure_in_words
from handrail.ledger import PROPOSED

if TYPE_CHECKING:
    from handrail.ledger import Ledger

WEEK = timedelta(days=7)

_BARS = "▁▂▃▄▅▆▇█"
_SHOWN = ("action_success", "escalation", "review_time", "cost_per_task")


def week_of(now: datetime) -> str:
    """The week that a moment is in, as ISO 8601 has it: 2026-W09."""
    year, week, _ = now.astimezone(UTC).isocalendar()
    return f"{year}-W{week:02}"


async def weekly_lines(ledger: Ledger, agent: str, now: datetime) -> tuple[str, ...]:
    """The lines about the seven days before today, UTC.

    Raises:
        LedgerUnavailable: if the ledger cannot be read.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    report = await measure_report(ledger, agent, today - WEEK, today - timedelta(microseconds=1))
    live, incidents = await ledger.alerts(agent), await ledger.incidents(agent, open_only=True)
    proposed = sum(row.rule.startswith(PROPOSED) for row in live)
    reviews = [row for row in await ledger.reviews(agent) if row.answer is None]
    return lines_of(
        report,
        {
            "proposal to let it do more": proposed,
            "alert": len(live) - proposed,
            "open incident": len(incidents),
            "review": len(reviews),
        },
    )


def lines_of(report: AgentReport, needs: dict[str, int]) -> tuple[str, ...]:
    """A report in five lines, and what `needs` the owner: how many of each wait."""
    plot = bars([each.tasks for each in report.days])
    said = {each.name: _line(report, each) for each in report.metrics if each.name in _SHOWN}
    went = [said.pop(name) for name in _SHOWN[:2] if name in said]
    wait = [f"{n:,} {_many(what, n)}" for what, n in needs.items() if n]
    return (
        f"cases: {report.tasks:,}, {report.previous_tasks:,} the week before {plot}".rstrip(),
        *filter(None, ["; ".join(went)]),
        *said.values(),
        _net(report),
        f"needs you: {', '.join(wait) or 'nothing'}",
    )


def _many(what: str, number: int) -> str:
    first, *rest = what.split(" to ", 1)
    return what if number == 1 else " to ".join([f"{first}s", *rest])


def _line(report: AgentReport, metric: Metric) -> str:
    if metric.value is None:
        of = metric.of.removesuffix("s") if metric.needs == 1 else metric.of
        needs = f"{metric.needs} more {of} needed" if metric.needs else metric.note
        return f"{metric.title.lower()}: {needs or 'not known'}"
    before = metric.previous
    few = "too few" if before is None else figure_in_words(before, metric.unit)
    was = f", {few} the week before"
    days = {
        "review_time": [each.median or 0.0 for each in report.days],
        "cost_per_task": [each.models + each.people + each.infrastructure for each in report.days],
    }
    plot = bars(days[metric.name]) if metric.name in days else ""
    found = figure_in_words(metric.value, metric.unit)
    return f"{metric.title.lower()}: {found} (n {metric.n:,}){was} {plot}".rstrip()


def _net(report: AgentReport) -> str:
    value = report.value
    if value.net is None:
        return (
            f"net value: {value.needs} more case{'s' * (value.needs != 1)} needed"
            if value.needs
            else ("net value: the policy declares none (value:)")
        )
    was = "" if report.previous_net is None else f", {report.previous_net:,.2f} the week before"
    return f"net value: {value.net:,.2f} {value.currency}{was}"


def bars(numbers: Sequence[float]) -> str:
    """A plot of one line, a character a day; the largest is the highest."""
    most = max(numbers, default=0)
    if not most:
        return ""
    return "".join(_BARS[round(each / most * (len(_BARS) - 1))] for each in numbers)
