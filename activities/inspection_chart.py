"""Statistical process control of a line: a p-chart of its parts, and the chart's run rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

SUBGROUP = 10
"""Parts of one point of the chart."""
CENTRE = 0.12
"""Share of parts that do not pass while a line is as it should be."""
RULES = (
    ("beyond three sigma", 3.0, 1, 1),
    ("two of three beyond two sigma", 2.0, 2, 3),
    ("four of five beyond one sigma", 1.0, 4, 5),
    ("eight in a row above the centre", 0.0, 8, 8),
)
"""Western Electric's, of the upper side: what it is called, sigmas, points, of how many."""


class Point(NamedTuple):
    """A point of the chart."""

    serial: int
    """The last part of it."""
    parts: int
    faults: int
    sigma: float
    rules: tuple[str, ...]
    """The rules by which it says that the line is off."""

    @property
    def share(self) -> float:
        """Of its parts, those that did not pass."""
        return self.faults / self.parts

    def beyond(self, sigmas: float) -> bool:
        """Whether it is further above the centre than so many sigmas."""
        return self.share > CENTRE + sigmas * self.sigma


def chart(faulty: Sequence[tuple[int, bool]], since: int = 0) -> list[Point]:
    """The points of the parts after `since` (serial, and whether it did not pass), oldest first.

    Runs begin anew after `since`, when somebody saw to the machine. Parts without a verdict yet
    are missing: a point has the parts that it has.
    """
    groups: dict[int, list[bool]] = {}
    for serial, fault in sorted(faulty):
        if serial > since:
            groups.setdefault((serial - 1) // SUBGROUP, []).append(fault)
    points: list[Point] = []
    for group, faults in sorted(groups.items()):
        sigma = math.sqrt(CENTRE * (1 - CENTRE) / len(faults))
        last = Point((group + 1) * SUBGROUP, len(faults), sum(faults), sigma, ())
        seen = [*points, last]
        broken = tuple(
            name
            for name, sigmas, count, of in RULES
            if last.beyond(sigmas) and sum(each.beyond(sigmas) for each in seen[-of:]) >= count
        )
        points.append(last._replace(rules=broken))
    return points


_X, _Y, _STEP, _TALL = 60, 60, 46, 200


def picture(title: str, points: Sequence[Point], seen_to: Sequence[int] = ()) -> str:
    """The chart as SVG: shares, centre, limits; red where a rule is broken. `seen_to`: serials."""
    width = _X + _STEP * max(1, len(points)) + 150
    text = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_Y + _TALL + 60}">',
        "<style>text {font: 11px sans-serif}</style>",
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_X}" y="24" font-size="14">{title}</text>',
    ]
    sigma = math.sqrt(CENTRE * (1 - CENTRE) / SUBGROUP)
    for sigmas, colour in ((0, "#555"), (1, "#ddd"), (2, "#fc8"), (3, "#c33")):
        y = _height(CENTRE + sigmas * sigma)
        name = "centre" if not sigmas else f"{sigmas} sigma"
        text += [
            f'<line x1="{_X}" y1="{y}" x2="{width - 100}" y2="{y}" stroke="{colour}"/>',
            f'<text x="{width - 92}" y="{y + 4}">{name} {CENTRE + sigmas * sigma:.0%}</text>',
        ]
    places = [(_X + _STEP * n + _STEP // 2, _height(p.share)) for n, p in enumerate(points)]
    line = " ".join(f"{x},{y}" for x, y in places)
    text.append(f'<polyline points="{line}" fill="none" stroke="#37a"/>')
    for (x, y), point in zip(places, points, strict=True):
        colour = "#c33" if point.rules else "#37a"
        said = f"{point.faults} of {point.parts}; {', '.join(point.rules) or 'as usual'}"
        text += [
            f'<circle cx="{x}" cy="{y}" r="5" fill="{colour}"><title>{said}</title></circle>',
            f'<text x="{x - 8}" y="{_Y + _TALL + 20}">{point.serial}</text>',
        ]
        if any(point.serial - SUBGROUP < at <= point.serial for at in seen_to):
            text.append(f'<text x="{x - 20}" y="{_Y - 8}" fill="#282">seen to</text>')
    text.append(f'<text x="{_X}" y="{_Y + _TALL + 40}">last part of each {SUBGROUP}</text>')
    return "\n".join([*text, "</svg>", ""])


def _height(share: float) -> int:
    return round(_Y + _TALL * (1 - min(1.0, share)))
