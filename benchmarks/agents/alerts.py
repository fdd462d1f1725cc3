"""How the alerts agent groups alarms: on days of a seeded plant, and on real series of NAB's form.

``python -m benchmarks.agents.alerts [FOLDER] [--days N] [--seed S] [--svg FILE]``: FOLDER holds
series (`timestamp,value`) and `windows.json`, what was really wrong when. The code that groups is
the agent's own, unchanged; what a day's alarms come from is known to the generator alone.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import statistics
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from activities.alerts import HOLD, QUIET
from activities.alerts_causes import Known, Plant, grouped, outlasting
from activities.alerts_facts import Alarm, Cause, Heard
from benchmarks.agents import run
from world.alerts import plant
from world.alerts.score import Came, judged
from world.folders import files_in, json_of, rows_of, set_aside, unpacked

MINUTE = timedelta(minutes=1)
_WIDTH, _EDGE, _TOP, _LINE = 720, 190, 36, 17
HEAD = (
    "| data | alarms | causes | issues | causes missed | masked | issues with two causes "
    "| alarms on another's issue | causes with two issues | root named | alarms on none |"
)


class Books:
    """The issues of a plant, as the desk would have them."""

    def __init__(self, feeds: dict[str, tuple[str, ...]]) -> None:
        """None yet."""
        self.plant = Plant(feeds=feeds)
        self.causes = dict[str, Known]()
        self.site = dict[str, str]()
        self._calm = dict[str, datetime]()

    def take(self, site: str, alarms: Iterable[Alarm], *, settled: bool) -> bool:
        """Sort alarms as one pass of the agent does; whether some wait."""
        known = [each for name, each in self.causes.items() if self.site[name] == site]
        found = grouped(self.plant, alarms, known, settled=settled)
        for cause in found.new:
            self.causes[cause.id] = Known(cause=cause)
            self.site[cause.id] = site
        for name, members in found.by.items():
            had = self.causes[name]
            words = had.noted | {each.words for each in members}
            self.causes[name] = had.model_copy(update={"noted": words})
        return bool(found.waits)

    def close(self, site: str, ringing: Iterable[Alarm], at: datetime) -> None:
        """Close what has been quiet for long enough."""
        known = [each for name, each in self.causes.items() if self.site[name] == site]
        rings = grouped(self.plant, ringing, known, settled=True).by
        for each in known:
            name = each.cause.id
            active = rings.get(name, ())
            apart = outlasting(self.plant, each, active)
            if each.closed or sum(len(of) for _, of in apart) < len(active):
                self._calm.pop(name, None)
            elif at - self._calm.setdefault(name, at) >= QUIET:
                self.causes[name] = each.model_copy(update={"closed": True})
                for cause, members in apart:
                    words = frozenset(alarm.words for alarm in members)
                    self.causes[cause.id] = Known(cause=cause, noted=words)
                    self.site[cause.id] = site

    def issues(self) -> dict[str, tuple[Cause, set[tuple[str, datetime]]]]:
        """Each issue, with its alarms by fingerprint and start."""
        return {
            name: (each.cause, {(w.split(" ")[0], Alarm.began(w)) for w in each.noted})
            for name, each in self.causes.items()
        }


def live(day: plant.Day) -> tuple[Came, Books]:
    """Have the agent's code group a day's alarms, minute by minute, and judge it."""
    books, waiting = Books(plant.register()), deque[tuple[datetime, str, tuple[Alarm, ...]]]()
    posts = deque(day.posts())
    at = plant.BEGINS
    while posts or waiting:
        while posts and posts[0][0] <= at:
            _, said, _ = posts.popleft()
            heard = Heard.model_validate(said)
            if books.take(heard.site, heard.alarms, settled=False):
                waiting.append((at + HOLD, heard.site, heard.alarms))
        while waiting and waiting[0][0] <= at:
            _, site, alarms = waiting.popleft()
            now = [*alarms, *ringing(day, site, at)]
            books.take(site, {each.words: each for each in now}.values(), settled=True)
        for site in plant.SITES:
            books.close(site, ringing(day, site, at), at)
        at += MINUTE
    issues = {name: (cause.root, alarms) for name, (cause, alarms) in books.issues().items()}
    return judged(day, issues), books


def ringing(day: plant.Day, site: str, at: datetime) -> list[Alarm]:
    """What rings at a site."""
    return [
        Alarm.model_validate(ring.alert(at))
        for ring in day.rings
        if ring.site == site and ring.starts <= at < ring.ends
    ]


class Series(NamedTuple):
    """A real series, and when something was wrong."""

    name: str
    points: list[tuple[datetime, float]]
    windows: list[tuple[datetime, datetime]]


def read(folder: Path) -> list[Series]:
    """The series of a folder of NAB's form."""
    windows: dict[str, Any] = {}
    for path in sorted(folder.rglob("*windows*.json")):
        windows |= {Path(name).stem: of for name, of in json_of(path).items()}
    found = list[Series]()
    for file in files_in(folder, ".csv"):
        name = unpacked(file).stem
        if name not in windows:
            set_aside(file.name, "no windows.json says when something was wrong")
            continue
        spans = [(_at(first), _at(last)) for first, last in windows[name]]
        found.append(Series(name, _points(file), spans))
    return found


def _points(file: Path) -> list[tuple[datetime, float]]:
    """What a series has, the oldest first."""
    points: list[tuple[datetime, float]] = []
    for where, row in rows_of(file, "timestamp", "value"):
        try:
            at, value = _at(row["timestamp"]), float(row["value"])
        except ValueError as error:
            set_aside(where, error)
            continue
        if math.isfinite(value):
            points.append((at, value))
        else:
            set_aside(where, f"{value} is no value")
    return sorted(points)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rung(series: Series, *, days: int = 3, wide: float = 4) -> list[Alarm]:
    """Alarms of a plain rule: further than `wide` spreads from the level of the last days."""
    alarms, last = list[Alarm](), deque[tuple[datetime, float]]()
    began: datetime | None = None
    for at, value in series.points:
        while last and last[0][0] < at - timedelta(days=days):
            last.popleft()
        values = [each for _, each in last]
        if len(values) > 100:  # noqa: PLR2004 - else there is no level yet
            level, spread = statistics.fmean(values), statistics.pstdev(values)
            odd = abs(value - level) > wide * max(spread, 1e-9)
            if odd and began is None:
                began = at
            elif not odd and began is not None:
                alarms.append(_alarm(series.name, began, at))
                began = None
        last.append((at, value))
    return alarms


def _alarm(name: str, began: datetime, ends: datetime) -> Alarm:
    mark = hashlib.sha256(name.encode()).hexdigest()[:16]
    return Alarm(fingerprint=mark, component=name[:48], name="OffLevel", starts=began, ends=ends)


def real(series: Series) -> tuple[int, int, int, int]:
    """Alarms, issues, windows in which something rang, and those that have an issue."""
    books, alarms = Books({series.name[:48]: ()}), rung(series)
    for alarm in alarms:
        books.close("nab", (), alarm.starts - QUIET - MINUTE)
        books.close("nab", (), alarm.starts - MINUTE)
        books.take("nab", [alarm.model_copy(update={"ends": None})], settled=True)
    issues = [alarms for _, alarms in books.issues().values()]
    heard = sum(any(b <= each.starts <= e for each in alarms) for b, e in series.windows)
    kept = sum(any(b <= at <= e for of in issues for _, at in of) for b, e in series.windows)
    return len(alarms), len(issues), heard, kept


def picture(day: plant.Day, books: Books) -> str:
    """The demonstration's alarms, each on the line of its issue; what strayed is red."""
    truth, issues = day.truth(), sorted(books.issues().values(), key=lambda each: each[0].since)
    span = max(each.ends for each in day.rings) - plant.BEGINS
    high = _TOP + len(issues) * _LINE + 20
    said = f"{len(truth)} alarms of a shift, on {len(issues)} issues"
    size = f'viewBox="0 0 {_WIDTH} {high}" font-family="sans-serif" font-size="10"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f'<rect width="{_WIDTH}" height="{high}" fill="#fff"/>',
        f'<text x="8" y="15" font-size="12">{said}</text>',
    ]
    for n, (cause, alarms) in enumerate(issues):
        y, most = _TOP + n * _LINE, Counter(truth[each] for each in alarms).most_common(1)[0][0]
        parts.append(f'<text x="8" y="{y + 3}">{cause.kind} at {cause.root}</text>')
        parts.append(f'<path d="M{_EDGE} {y}H{_WIDTH - 8}" stroke="#ddd"/>')
        for ring in (each for each in day.rings if each.key in alarms):
            x, end = (
                _EDGE + (each - plant.BEGINS) / span * (_WIDTH - _EDGE - 8)
                for each in (ring.starts, ring.ends)
            )
            colour = "#2f6f9f" if ring.fault == most else "#c0392b"
            parts.append(f'<path d="M{x:.1f} {y}H{end:.1f}" stroke="{colour}" opacity=".35"/>')
            parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="2.6" fill="{colour}"/>')
    for hour in range(int(span.total_seconds() // 3600) + 1):
        x = _EDGE + timedelta(hours=hour) / span * (_WIDTH - _EDGE - 8)
        at = plant.BEGINS + timedelta(hours=hour)
        parts.append(f'<text x="{x:.1f}" y="{high - 6}" text-anchor="middle">{at:%H:%M}</text>')
    return "\n".join([*parts, "</svg>", ""])


def row(name: str, days: Sequence[Came]) -> str:
    """Sums over some days, as a row."""
    total = Came(*(sum(each) for each in zip(*days, strict=True)))
    rooted = f"{total.rooted / total.issues:.0%}"
    cells = [name, total.alarms, total.causes, total.issues, total.missed]
    cells += [total.masked, total.merged, total.strayed, total.split, rooted, total.unheard]
    return "| " + " | ".join(f"{c:,}" if isinstance(c, int) else c for c in cells) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="How the alerts agent groups alarms.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--svg", type=Path, help="write the demonstration's shift as a picture")
    given = parser.parse_args(arguments)
    print("\n".join([HEAD, "|---" * HEAD.count(" | ") + "|---|"]))
    came, books = live(plant.made())
    print(row("the demonstration's shift", [came]))
    if given.svg:
        given.svg.write_text(picture(plant.made(), books))
    for count in (16, 40) if given.days else ():
        days = [
            live(plant.made(given.seed + n, hours=8, count=count))[0] for n in range(given.days)
        ]
        print(row(f"{given.days} shifts of {count} faults", days))
    if given.folder is None:
        print("\nno series: no folder was given")
        return
    print("\n| series | alarms | issues | windows that rang | of them with an issue | windows |")
    print("|---|---|---|---|---|---|")
    for series in read(given.folder):
        alarms, issues, heard, kept = real(series)
        print(f"| {series.name} | {alarms} | {issues} | {heard} | {kept} | {len(series.windows)} |")


if __name__ == "__main__":
    run(main)
