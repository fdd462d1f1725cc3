"""What came of it: stops of the plant with the agent's work, without, and by the calendar."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from world.maintenance.plant import DOWN_PLANNED, Plant, every_30_days, played
from world.maintenance.service import BEFORE


class Came(NamedTuple):
    """What a way of working came to, since the plant is watched."""

    wear: int
    sudden: int
    replaced: int
    hours: int
    """That machines stood."""


def came(plant: Plant) -> Came:
    """Count what happened after the first weeks, which nobody could change."""
    failed = [each for each in plant.failures if each.hour >= BEFORE]
    sudden = sum(each.sudden for each in failed)
    return Came(len(failed) - sudden, sudden, plant.replaced, plant.down_hours)


class Score(NamedTuple):
    """Three ways of working on the same plant."""

    agent: Came
    nothing: Came
    monthly: Came
    log: tuple[tuple[int, int, str], ...]
    """What was put in: hour, machine, part."""
    failures: tuple[tuple[int, int, str], ...]
    hours: int


def score(db: Path, seed: int, machines: int) -> Score:
    """Play the plant again by its log, with no work, and with all parts new each thirtieth day."""
    with closing(sqlite3.connect(db)) as log:
        hours = int(log.execute("select coalesce(max(hour), 0) from clock").fetchone()[0])
        work = tuple(log.execute("select hour, machine, part from work").fetchall())

    def of_log(plant: Plant) -> list[tuple[int, str]]:
        return [(machine, part) for hour, machine, part in work if hour == plant.hour]

    hours = max(hours, BEFORE)
    own = played(seed, machines, hours, of_log)
    without, monthly = played(seed, machines, hours), played(seed, machines, hours, every_30_days)
    failed = tuple((f.hour, f.machine, f.part) for f in own.failures if f.hour >= BEFORE)
    return Score(came(own), came(without), came(monthly), work, failed, hours)


_X, _Y, _ROW = 90, 40, 18


def timeline(found: Score, machines: int) -> str:
    """A picture: a row for each machine, what was put in before it failed, and what failed."""
    width, span = 900, max(1, found.hours - BEFORE)
    height = _Y + machines * _ROW + 30
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" '
    text = [head.format(width + _X + 20, height) + 'font-size="11">']
    text.append('<rect width="100%" height="100%" fill="white"/>')
    text.append(
        f'<text x="{_X}" y="22" font-size="14">New parts before a failure (green), failures (red),'
        f" {span // 24} days; a planned stop takes {DOWN_PLANNED} h</text>"
    )
    for machine in range(machines):
        y = _Y + machine * _ROW + _ROW // 2
        text.append(f'<text x="10" y="{y + 4}">machine {machine}</text>')
        text.append(f'<line x1="{_X}" y1="{y}" x2="{_X + width}" y2="{y}" stroke="#ddd"/>')
    marks = [(*each, "#2a7") for each in found.log] + [(*each, "#c33") for each in found.failures]
    for hour, machine, part, colour in marks:
        x, y = _X + (hour - BEFORE) * width // span, _Y + machine * _ROW + _ROW // 2
        title = f"<title>{part}, hour {hour - BEFORE}</title>"
        text.append(f'<circle cx="{x}" cy="{y}" r="5" fill="{colour}">{title}</circle>')
    return "\n".join([*text, "</svg>", ""])
