"""The page of what was discovered: impact against feasibility as a plot, and a table. Pure.

One file that needs nothing else: to be mailed, printed and kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handrail.evidence.discovery import Candidate, Discovery, length_in_words
from handrail.evidence.process_figures import LogFigures
from handrail.text import escape_html, one_line

_SIDE, _LEFT, _TOP, _RADIUS = 520, 70, 30, 12
_WIDTH, _HEIGHT = _LEFT + _SIDE + 30, _TOP + _SIDE + 60
_LEGEND = "filled: nothing speaks against it; dashed: a bad target; square: a whole workflow"
_TEXT, _HALF = 500, 0.5

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #5b6470; --line: #c9d0d8;
  --good: #0b6e4f; --paper: #fff; --soft: #eef4f1; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebee; --dim: #a3adb8; --line: #3b444d;
  --good: #58c79f; --paper: #14181c; --soft: #1b2823; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
svg { width: 100%; max-width: 46rem; height: auto; display: block; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg .dim { fill: var(--dim); } svg .axis { stroke: var(--line); fill: none; }
svg .first { fill: var(--soft); }
svg .good { fill: var(--good); } svg .bad { fill: var(--paper); stroke: var(--dim);
  stroke-dasharray: 3 2; stroke-width: 1.5; }
svg .on { fill: var(--paper); font-weight: 600; } svg .off { fill: var(--dim); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem;
  border-bottom: 1px solid var(--line); } td.number { text-align: right; white-space: nowrap; }
td.what { min-width: 17rem; } ul { margin: 0; padding-left: 1.1rem; } .dim { color: var(--dim); }
"""

_HOW = (
    "<p>Impact: how often, from 3 to 3,000 a month by the logarithm; half of it for certain, half "
    "times the mean of waiting (an hour to 30 days), rework (none to half of the cases) and, where "
    "the log has it, cost (100 to 1,000,000 a month). Feasibility: 0.7 of it how well few facts "
    "predict what people did, on one case in four that was not learned from (the mean of the share "
    "that is right and of how much of what always saying the most common one gets wrong is set "
    "right); 0.3 the share that came by the ten most common ways.</p></body></html>\n"
)


@dataclass(frozen=True)
class _Spot:
    """Where a candidate stands in the plot, moved a little where another one is."""

    number: int
    candidate: Candidate
    x: float
    y: float


def discovery_page(found: Discovery) -> str:
    """All of it as one page of HTML."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>What is worth an agent</title><style>{_STYLE}</style></head><body>",
            "<h1>What is worth an agent</h1>",
            _head(found),
            discovery_plot(found.candidates),
            *_table(found),
            "<h2>The logs</h2>",
            *_logs(found.figures),
            "<h2>How it is scored</h2>",
            _HOW,
        ]
    )


def _head(found: Discovery) -> str:
    good = sum(not each.against for each in found.candidates)
    return (
        f"<p>{len(found.candidates)} candidates in {len(found.figures)} logs; {good} of them with "
        "nothing against it. A number in the plot is its row in the table.</p>"
    )


def discovery_plot(candidates: Sequence[Candidate]) -> str:
    """The plot as SVG: feasibility to the right, impact upwards."""
    middle, right, bottom = _LEFT + _SIDE / 2, _LEFT + _SIDE, _TOP + _SIDE
    center = _TOP + _SIDE / 2
    corner = (
        (right - 10, _TOP + 20, "end", "begin here"),
        (_LEFT + 10, _TOP + 20, "start", "worth it, hard to hand over"),
        (right - 10, center + 20, "end", "easy, little to win"),
        (_LEFT + 10, center + 20, "start", "leave it"),
    )
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="plot-title">',
        '<title id="plot-title">Impact against feasibility of each candidate</title>',
        f'<rect class="first" x="{middle}" y="{_TOP}" width="{_SIDE / 2}" height="{_SIDE / 2}"/>',
        f'<rect class="axis" x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"/>',
        f'<path class="axis" d="M{middle} {_TOP}V{bottom}M{_LEFT} {center}H{right}"/>',
        *(
            f'<text class="dim" x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'
            for x, y, anchor, text in corner
        ),
        *_ticks(),
        *(line for spot in _spots(candidates) for line in _mark(spot)),
        f'<text x="{_LEFT}" y="{bottom + 50}">{_LEGEND}</text></svg>',
    ]
    return "\n".join(parts)


def _ticks() -> Iterator[str]:
    bottom = _TOP + _SIDE
    for tenth in (0, 5, 10):
        share, at = tenth / 10, _SIDE * tenth / 10
        yield f'<text x="{_LEFT + at}" y="{bottom + 18}" text-anchor="middle">{share:g}</text>'
        yield f'<text x="{_LEFT - 10}" y="{bottom - at + 4}" text-anchor="end">{share:g}</text>'
    yield f'<text x="{_LEFT + _SIDE / 2}" y="{bottom + 32}" text-anchor="middle">feasibility</text>'
    x, y = 20, _TOP + _SIDE / 2
    turned = f'text-anchor="middle" transform="rotate(-90 {x} {y})"'
    yield f'<text x="{x}" y="{y}" {turned}>impact</text>'


def _spots(candidates: Sequence[Candidate]) -> list[_Spot]:
    placed = list[_Spot]()
    for number, each in enumerate(candidates, 1):
        x, y = _LEFT + each.feasibility * _SIDE, _TOP + (1 - each.impact) * _SIDE
        # Towards the middle, so that it does not leave the plot.
        step = -_RADIUS if each.feasibility > _HALF else _RADIUS
        while any(abs(x - o.x) < 2 * _RADIUS and abs(y - o.y) < 2 * _RADIUS for o in placed):
            x += step
        placed.append(_Spot(number, each, x, y))
    return placed


def _mark(spot: _Spot) -> Iterator[str]:
    kind, ink = ("bad", "off") if spot.candidate.against else ("good", "on")
    yield f"<g><title>{_text(spot.candidate.name)}</title>"
    if spot.candidate.after is None:
        x, y, side = spot.x - _RADIUS, spot.y - _RADIUS, 2 * _RADIUS
        yield f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{side}" height="{side}"/>'
    else:
        yield f'<circle class="{kind}" cx="{spot.x:.1f}" cy="{spot.y:.1f}" r="{_RADIUS}"/>'
    yield (
        f'<text class="{ink}" x="{spot.x:.1f}" y="{spot.y + 4.5:.1f}" text-anchor="middle">'
        f"{spot.number}</text></g>"
    )


def _table(found: Discovery) -> Iterator[str]:
    heads = ("", "candidate", "impact", "feasibility", "a month", "waits", "predicted")
    yield '<div class="wide"><table><thead><tr>'
    yield "".join(f"<th>{each}</th>" for each in heads)
    yield "</tr></thead><tbody>"
    for number, each in enumerate(found.candidates, 1):
        cells = (
            str(number),
            f"{each.impact:.2f}",
            f"{each.feasibility:.2f}",
            "-" if each.per_month is None else f"{each.per_month:,.1f}",
            "-" if each.waiting is None else length_in_words(each.waiting),
            predicted_in_words(each),
        )
        kind = f'<span class="dim">{each.kind}</span>'
        name = f'<td class="what"><strong>{_text(each.name)}</strong> {kind}{_reasons(each)}</td>'
        numbers = [f'<td class="number">{cell}</td>' for cell in cells]
        yield f"<tr>{numbers[0]}{name}{''.join(numbers[1:])}</tr>"
    yield "</tbody></table></div>"
    if found.too_few:
        few = "activities more have too few decisions after them to be judged"
        yield f'<p class="dim">{found.too_few} {few}.</p>'


def predicted_in_words(candidate: Candidate) -> str:
    """How much of what people did is predicted, and between what that share lies."""
    if candidate.predicted is None:
        return "-"
    right = candidate.predicted.right
    return f"{right.share:.0%} ({right.low:.0%} to {right.high:.0%}) of {right.n:,}"


def _reasons(candidate: Candidate) -> str:
    items = [f"<li>{_text(each)}</li>" for each in candidate.why]
    items += [f"<li><strong>against it:</strong> {_text(each)}</li>" for each in candidate.against]
    return f"<ul>{''.join(items)}</ul>"


def _logs(figures: Sequence[LogFigures]) -> Iterator[str]:
    yield "<ul>"
    for each in figures:
        parts = [f"{each.cases:,} cases", f"{each.events:,} activities"]
        parts += [f"{each.variants:,} ways through", f"{each.people:,} people"]
        parts += [f"{each.bad:,} rows left out"] if each.bad else []
        yield f"<li>{_text(each.name)}: {', '.join(parts)}</li>"
    yield "</ul>"


def _text(text: str) -> str:
    return escape_html(one_line(text, _TEXT))
