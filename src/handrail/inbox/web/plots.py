"""Plots by hand: SVG without a script and without inline style, which the pages do not allow.

Each has a label for those who do not see it, a title on every part, and its figures in the CSV.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from markupsafe import Markup, escape

from handrail.evidence import AgentReport, ReportDay, ValueReport, figure_in_words

_WIDE, _HIGH = 560, 170
_LEFT, _TOP, _BOTTOM = 58, 18, 24
_ROW = 30
_SPARK = (120, 28)
_NAME = 205
_PRECISE = 10

ENDS = (
    "done",
    "refused",
    "rejected",
    "expired",
    "stopped",
    "rolled_back",
    "failed",
)


_SPANS = (2, 10, 60, 120, 600, 1_200, 3_600, 7_200, 14_400, 28_800, 86_400, 172_800, 604_800)
"""Seconds up to which an axis of time goes: half of each is a round number too."""


@dataclass(frozen=True)
class Series:
    """One colour of a plot: its name, and a value for each day, None where there is none."""

    name: str
    values: Sequence[float | None]
    colour: str


def _number(value: float) -> str:
    if value >= 1_000:  # noqa: PLR2004  # as people write it
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= _PRECISE or value == int(value) else f"{value:.2f}"


def _ceiling(values: Iterable[float]) -> float:
    """A round number that none is above."""
    most = max(values, default=0.0) or 1.0
    size = Decimal(10) ** Decimal(str(most)).adjusted()
    steps = (Decimal(step) * size for step in ("1", "1.5", "2", "3", "4", "5", "6", "8", "10"))
    return float(next(step for step in steps if step >= Decimal(str(most))))


def _frame(label: str, body: str, high: int = _HIGH) -> Markup:
    return Markup(
        '<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(_WIDE, high, label, Markup(body))  # noqa: S704  # names in it are escaped


def _axes(top: float, days: Sequence[date], say: str = "", *, whole: bool = False) -> list[str]:
    """Lines across with their figures, and days below. `whole`: there is no half of one."""
    parts: list[str] = []
    for share in (0.0, 1.0) if whole and top % 2 else (0.0, 0.5, 1.0):
        y = _y(top * share, top)
        said = escape(figure_in_words(top * share, say) if say and share else _number(top * share))
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDE}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{said}</text>'
        )
    last = len(days) - 1
    for at, anchor in {0: "start", last // 2: "middle", last: "end"}.items():
        x = _x(at, len(days)) + {"start": 0, "middle": 0.5, "end": 1}[anchor] * _step(len(days))
        parts.append(
            f'<text x="{x:.1f}" y="{_HIGH - 6}" text-anchor="{anchor}">{days[at]:%-d %b}</text>'
        )
    return parts


def _step(days: int) -> float:
    return (_WIDE - _LEFT) / max(days, 1)


def _x(at: int, days: int) -> float:
    return _LEFT + at * _step(days)


def _y(value: float, top: float) -> float:
    return _HIGH - _BOTTOM - value / top * (_HIGH - _BOTTOM - _TOP)


def stacked(label: str, days: Sequence[date], series: Sequence[Series], marks: Marks) -> Markup:
    """Bars by day, one part of each on the other."""
    totals = [sum(each.values[at] or 0 for each in series) for at in range(len(days))]
    top, width = _ceiling(totals), _step(len(days))
    parts = _axes(top, days, whole=all(float(each).is_integer() for each in totals))
    for at, day in enumerate(days):
        below = 0.0
        for each in series:
            value = each.values[at] or 0.0
            if value:
                high = _y(below, top) - _y(below + value, top)
                parts.append(
                    f'<rect class="{each.colour}" x="{_x(at, len(days)) + width * 0.1:.1f}" '
                    f'y="{_y(below + value, top):.1f}" width="{width * 0.8:.1f}" '
                    f'height="{high:.1f}"><title>{day:%-d %b}: {escape(each.name)} '
                    f"{_number(value)}</title></rect>"
                )
                below += value
    return _frame(label, "".join([*parts, *_marked(marks, days)]))


def spark(report: AgentReport) -> Markup:
    """Tasks a day as small bars: those that were done, and above them the others."""
    days = report.days
    most, width = max((each.tasks for each in days), default=0) or 1, _SPARK[0] / max(len(days), 1)
    parts: list[str] = []
    for at, each in enumerate(days):
        done = each.ends.get("done", 0)
        for colour, n, below in (("c-done", done, 0), ("c-refused", each.tasks - done, done)):
            if n:
                high = _SPARK[1] * n / most
                y = _SPARK[1] * (1 - below / most) - high
                parts.append(
                    f'<rect class="{colour}" x="{at * width:.1f}" y="{y:.1f}" '
                    f'width="{width * 0.8:.1f}" height="{high:.1f}"/>'
                )
    label = f"{report.tasks} tasks in {len(days)} days, at most {most} a day"
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(
        *_SPARK,
        label,
        Markup("".join(parts)),  # noqa: S704  # numbers alone are in it
    )


def lines(label: str, days: Sequence[date], series: Sequence[Series], marks: Marks) -> Markup:
    """Lines by day, broken where there is nothing; seconds."""
    most = max((v for each in series for v in each.values if v is not None), default=0.0)
    top = next((float(each) for each in _SPANS if each >= most), most)
    parts, half = _axes(top, days, "seconds"), _step(len(days)) / 2
    for each in series:
        before: tuple[float, float] | None = None
        for at, value in enumerate(each.values):
            if value is None:
                before = None
                continue
            x, y = _x(at, len(days)) + half, _y(value, top)
            if before is not None:
                parts.append(
                    f'<line class="{each.colour}" x1="{before[0]:.1f}" y1="{before[1]:.1f}" '
                    f'x2="{x:.1f}" y2="{y:.1f}"/>'
                )
            parts.append(
                f'<circle class="{each.colour}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"><title>'
                f"{days[at]:%-d %b}: {escape(each.name)} {figure_in_words(value, 'seconds')}"
                "</title></circle>"
            )
            before = x, y
    return _frame(label, "".join([*parts, *_marked(marks, days)]))


Marks = Sequence[tuple[int, str]]
"""On which day something changed, and its number in the list below the plots."""


def _marked(marks: Marks, days: Sequence[date]) -> list[str]:
    parts, before = list[str](), -1
    for at, number in marks:
        x = _x(at, len(days)) + _step(len(days)) / 2
        parts.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HIGH - _BOTTOM}"/>'
        )
        # Numbers that would lie on each other are left to the list.
        if at != before:
            parts.append(
                f'<text class="mark" x="{x:.1f}" y="12" text-anchor="middle">{number}</text>'
            )
        before = at
    return parts


def pareto(label: str, counts: Mapping[str, float]) -> Markup:
    """Bars from the most to the least, each with its share and that of it and all above."""
    ordered = sorted(counts.items(), key=lambda each: -each[1])
    whole, most, so_far, parts = sum(counts.values()), ordered[0][1], 0.0, list[str]()
    for row, (name, value) in enumerate(ordered):
        y, so_far = row * _ROW, so_far + value
        long = value / most * (_WIDE - _NAME - 165)
        total = f", sum {so_far / whole:.0%}" if row else ""
        said = f"{_number(value)} · {value / whole:.0%}{total}"
        parts.append(
            f'<text x="{_NAME - 8}" y="{y + 19}" text-anchor="end">'
            f"{escape(name.replace('_', ' '))}</text>"
            f'<rect class="c-failed" x="{_NAME}" y="{y + 5}" width="{long:.1f}" height="20"/>'
            f'<text x="{_NAME + long + 8:.1f}" y="{y + 19}">{said}</text>'
        )
    return _frame(label, "".join(parts), len(ordered) * _ROW)


def waterfall(value: ValueReport) -> Markup:
    """From what it brings to what it costs to what is left, one bar each from where it came."""
    steps = [(line.name, float(line.amount)) for line in value.lines if line.amount]
    net, parts, at = float(value.net or 0), list[str](), 0.0
    ends = [0.0]
    for _, amount in steps:
        ends.append(ends[-1] + amount)
    low, high = min(ends), max(*ends, 1.0)
    scale = (_WIDE - _NAME - 110) / (high - low or 1.0)
    for row, (name, amount) in enumerate([*steps, ("Net", net)]):
        begin = 0.0 if name == "Net" else at
        left, y = min(begin, begin + amount), row * _ROW
        colour = "c-done" if amount >= 0 else "c-failed"
        colour = "c-net" if name == "Net" and amount >= 0 else colour
        x, long = _NAME + (left - low) * scale, max(abs(amount) * scale, 1.0)
        parts.append(
            f'<text x="{_NAME - 8}" y="{y + 19}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="{colour}" x="{x:.1f}" y="{y + 5}" width="{long:.1f}" height="20"/>'
            f'<text x="{x + long + 6:.1f}" y="{y + 19}">{amount:,.2f}</text>'
        )
        at = begin + amount
    zero = _NAME + -low * scale
    high_of_all = (len(steps) + 1) * _ROW
    parts.append(f'<line class="axis" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{high_of_all}"/>')
    return _frame(f"From gain to net, {value.currency}", "".join(parts), high_of_all)


@dataclass(frozen=True)
class Plot:
    """A plot, its heading, and what its colours are."""

    title: str
    drawing: Markup
    legend: tuple[tuple[str, str], ...] = ()


def plots_of(report: AgentReport) -> list[Plot]:
    """The plots of a report that have something to show."""
    days = [each.day for each in report.days]
    numbered = [
        ((mark.at.date() - days[0]).days, str(number))
        for number, mark in enumerate(report.marks, 1)
    ]
    marks = [(at, number) for at, number in numbered if 0 <= at < len(days)]
    made: list[Plot] = []
    for title, series in (
        ("Tasks a day, by how they ended", _ends(report.days)),
        ("Verdicts a day", _verdicts(report.days)),
        (f"Cost a day, {report.value.currency}", _costs(report)),
    ):
        if series:
            legend = tuple((each.name, each.colour) for each in series)
            made.append(Plot(title, stacked(title, days, series, marks), legend))
    ruling = [
        Series("median", [each.median for each in report.days], "c-done"),
        Series("90 % were quicker", [each.p90 for each in report.days], "c-hold"),
    ]
    if any(each.ruled for each in report.days):
        title = "Time from a question to its ruling"
        legend = tuple((each.name, each.colour) for each in ruling)
        made.insert(2, Plot(title, lines(title, days, ruling, marks), legend))
    kinds: dict[str, float] = {}
    for each in report.days:
        for kind, n in each.errors.items():
            kinds[kind] = kinds.get(kind, 0) + n
    if kinds:
        title = "Cases with an error, by its class"
        made.append(Plot(title, pareto(title, kinds)))
    return made


def _ends(days: Sequence[ReportDay]) -> list[Series]:
    return [
        Series(end.replace("_", " "), [each.ends.get(end, 0) for each in days], f"c-{end}")
        for end in ENDS
        if any(each.ends.get(end) for each in days)
    ]


def _verdicts(days: Sequence[ReportDay]) -> list[Series]:
    named = {"pass": "c-done", "hold": "c-hold", "refuse": "c-failed"}
    return [
        Series(kind, [each.verdicts.get(kind, 0) for each in days], colour)
        for kind, colour in named.items()
        if any(each.verdicts.get(kind) for each in days)
    ]


def _costs(report: AgentReport) -> list[Series]:
    if report.value.currency is None:
        return []
    named = {"models": "c-models", "people": "c-hold", "infrastructure": "c-stopped"}
    found = {name: [getattr(each, name) for each in report.days] for name in named}
    return [Series(name, found[name], named[name]) for name in named if any(found[name])]
