"""The report on an agent: what its figures are made into, each with its number and its period.

A number is said of at least `LEAST` cases (writes, questions); of fewer it is said how many more
it takes. `previous` is the same figure of the period before, of the same length.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from handrail.text import escape_hidden

LEAST = 10
"""Of fewer cases nothing is said but how many more it takes."""


class ReportPart(BaseModel):
    """A part of a report: frozen, and JSON as it stands."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class Metric(ReportPart):
    """One figure. `value` is None where there are too few (`needs` more), or nothing to go by.

    `share` of the unit is 0..1. `of`: what `n` counts. `which`: the cases behind it, as
    `cases_of` names them. `parts`: what it is made of, or goes with it. `note`: what to know.
    """

    name: str
    title: str
    unit: str
    value: float | None
    n: int
    of: str
    needs: int = 0
    previous: float | None = None
    previous_n: int = 0
    which: str = "all"
    parts: Mapping[str, float] = {}
    note: str = ""


class ReportDay(ReportPart):
    """One day, UTC. `ends`: tasks by state. `ruling`: seconds, median and p90 of `ruled`."""

    day: date
    tasks: int
    ends: Mapping[str, int] = {}
    verdicts: Mapping[str, int] = {}
    errors: Mapping[str, int] = {}
    ruled: int = 0
    median: float | None = None
    p90: float | None = None
    models: float = 0.0
    people: float = 0.0
    infrastructure: float = 0.0


class ReportMark(ReportPart):
    """Something that changed meanwhile: the policy, the build, or how much it may do."""

    at: datetime
    kind: Literal["policy", "build", "level", "stop"]
    what: str


class ValueLine(ReportPart):
    """One step of the way from nothing to net. `basis`: what the amount was reckoned from."""

    name: str
    amount: Decimal
    how: str
    basis: Literal["measured", "log", "declared"]


class Swing(ReportPart):
    """What net comes to if one declared figure is a fifth lower, or higher."""

    figure: str
    declared: str
    low: Decimal
    high: Decimal


class ValueReport(ReportPart):
    """What an agent brings and costs. `net` and `roi` are None of too few tasks (`needs` more).

    `payback`: when what was invested is back, if each day is as those of the period. `target`:
    of net in a month, beside the `actual` one. `left_out`: what is not counted, in words.
    """

    currency: str | None
    n: int
    needs: int
    lines: tuple[ValueLine, ...] = ()
    gain: Decimal | None = None
    cost: Decimal | None = None
    net: Decimal | None = None
    roi: float | None = None
    investment: Decimal | None = None
    payback: date | None = None
    target: Decimal | None = None
    actual: Decimal | None = None
    swings: tuple[Swing, ...] = ()
    left_out: tuple[str, ...] = ()


class AgentReport(ReportPart):
    """Everything about one agent and period. `since` on, before `until`; the same before that.

    `left_out`: cases that no denominator counts, by why. `own`: metrics of its own domain.
    """

    version: Literal[1] = 1
    agent: str
    policy: str | None
    since: datetime
    until: datetime
    previous_since: datetime
    made: datetime
    tasks: int
    previous_tasks: int
    left_out: Mapping[str, int]
    metrics: tuple[Metric, ...]
    own: tuple[Metric, ...]
    value: ValueReport
    previous_net: Decimal | None
    days: tuple[ReportDay, ...]
    marks: tuple[ReportMark, ...]


_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SMALL, _FEW, _NEARLY = 60, 10, 0.99


def figure_in_words(value: float | None, unit: str) -> str:
    """A figure as people read it; a dash for none."""
    if value is None:
        return "-"
    if unit == "share":
        # What is nearly all is not all.
        nearly = _NEARLY < value < 1
        return f"{value * 100:.2f} %" if nearly else f"{value * 100:.1f} %"
    if unit == "ratio":
        return f"{value * 100:,.0f} %"
    if unit == "seconds":
        return _span(value)
    whole = value == int(value) and not unit.isupper()
    return f"{value:,.0f} {unit}" if whole else f"{value:,.2f} {unit}"


def _span(seconds: float) -> str:
    if seconds < _SMALL:
        return f"{seconds:.1f} s" if seconds < _FEW else f"{seconds:.0f} s"
    left, parts = round(seconds), list[str]()
    for size, name in _UNITS:
        number, left = divmod(left, size)
        parts += [f"{number} {name}"] if number else []
    return " ".join(parts[:2])


_COLUMNS = ("kind", "name", "day", "value", "unit", "n", "previous", "previous_n", "needs", "note")


def report_csv(report: AgentReport) -> str:
    """A report as CSV (RFC 4180): its metrics, its value line by line, and each day."""
    target = io.StringIO(newline="")
    writer = csv.DictWriter(target, _COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(_csv_rows(report))
    return target.getvalue()


def _csv_rows(report: AgentReport) -> Iterator[dict[Any, Any]]:
    for kind, metrics in (("metric", report.metrics), ("own", report.own)):
        for each in metrics:
            row = each.model_dump(include={*_COLUMNS} - {"name"})
            yield {"kind": kind, "name": _inert(each.name)} | row | {"note": _inert(each.note)}
            for name, part in each.parts.items():
                yield {"kind": "part", "name": _inert(f"{each.name}: {name}"), "value": part}
    unit = report.value.currency or ""
    for line in report.value.lines:
        row = {"kind": "value", "name": _inert(line.name), "value": line.amount, "unit": unit}
        yield row | {"note": _inert(line.how)}
    for day in report.days:
        sums = {f"ended {end}": n for end, n in day.ends.items()} | {
            f"error {kind}": n for kind, n in day.errors.items()
        }
        money = {name: getattr(day, name) for name in ("models", "people", "infrastructure")}
        for name, amount in {"tasks": day.tasks, **sums, **money}.items():
            yield {"kind": "day", "name": _inert(name), "day": day.day.isoformat(), "value": amount}


def _inert(text: str) -> str:
    """A text that no spreadsheet takes for a formula, and that shows all that it says."""
    text = escape_hidden(text)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
