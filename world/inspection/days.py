"""Days of boards, from a seed; from one of them on the air is not filtered, and dust lies on them.

The dust is no defect, but more of it and larger than the eye has learnt. Every second board is
looked at by an inspector by its evening, who draws boxes around the defects, or finds none.
"""

import zlib
from datetime import date, timedelta
from typing import NamedTuple

from world.inspection.boards import LINES, Part, part

BEGIN = date(2026, 3, 2)
DAYS, A_DAY = 42, 24
CHANGED = BEGIN + timedelta(days=21)
"""The day from which on the filter is full."""


class Came(NamedTuple):
    """A board of a day. `labelled`: an inspector has looked at it by the evening."""

    name: str
    made: Part
    labelled: bool


def days() -> list[date]:
    """All of them."""
    return [BEGIN + timedelta(days=number) for number in range(DAYS)]


def came(day: date, seed: int, changed: date = CHANGED) -> list[Came]:
    """The boards of a day."""
    first, found = 1000 + (day - BEGIN).days * A_DAY, list[Came]()
    for serial in range(first, first + A_DAY):
        line = 1 + serial % LINES
        name = f"{line}-{serial}"
        board = part(line, serial, seed, dusty=day >= changed)
        found.append(Came(name, board, zlib.crc32(name.encode()) % 2 == 0))
    return found
