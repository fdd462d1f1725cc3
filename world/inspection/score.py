"""What came of the verdicts, by what the boards really were."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from world.inspection.boards import DRIFTS, LINES, OFF_LINE, part
from world.inspection.service import Lines


class Came(NamedTuple):
    """Verdicts against the truth."""

    bad: int
    caught: int
    """Bad ones that were held or stopped at first sight."""
    good: int
    held: int
    """Good ones that were not passed at first sight."""
    stops: int
    speaks_after: int | None
    """Parts from the one at which the machine went off to the first stop of its line."""
    off_made: int
    """Parts that were made while it was off."""


def score(db: Path, seed: int) -> Came:
    """Judge the verdicts of a database."""
    lines = Lines(db, seed)
    bad = caught = good = held = off = 0
    for line in range(1, LINES + 1):
        first: dict[int, str] = {}
        for each in lines.verdicts(line):
            first.setdefault(each["serial"], each["verdict"])
        made = {r["serial"]: r["off"] for r in lines.rows("select * from parts where line=?", line)}
        off += sum(made.values())
        for serial, verdict in first.items():
            is_bad = bool(part(line, serial, seed, off=bool(made[serial])).defects)
            bad, good = bad + is_bad, good + (not is_bad)
            caught += is_bad and verdict != "pass"
            held += not is_bad and verdict != "pass"
    stops = lines.rows("select line, serial from stops order by id")
    own = [stop["serial"] - DRIFTS for stop in stops if stop["line"] == OFF_LINE]
    after = [each for each in own if each >= 0]
    return Came(bad, caught, good, held, len(stops), min(after, default=None), off)
