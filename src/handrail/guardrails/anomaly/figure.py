"""How what is normal is put into words. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.text import escape_hidden

_WHOLE = 10
"""Shares of so many percent and more are said without a fraction."""

_TELLING = 50
"""Characters of somebody else's text that are shown."""


@dataclass(frozen=True)
class Figure:
    """What is normal of one watched thing, in words.

    `of`: from how many writes (of rates: hours or days) it was learned. `usual`: what is normal.
    `flags`: what would be flagged; empty while it is not known yet.
    """

    what: str
    of: int
    usual: str
    flags: str = ""


def number(value: float) -> str:
    """A number, as short as it says enough."""
    if value == int(value) and abs(value) < 1e15:  # noqa: PLR2004  # whole numbers are exact up to there
        return f"{int(value)}"
    digits = 2 if abs(value) >= 1 else 4
    return f"{value:.{digits}f}" if 1e-3 <= abs(value) < 1e15 else f"{value:.3g}"  # noqa: PLR2004  # the same


def percent(share: float) -> str:
    """A share, 0..1, in percent."""
    said = share * 100
    return f"{said:.0f} %" if said >= _WHOLE else f"{said:.2g} %"


def how_often(count: int) -> str:
    """How often."""
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def short(text: str) -> str:
    """Somebody else's text in quotes, with nothing hidden in it."""
    shown = escape_hidden(repr(text))
    return shown if len(shown) <= _TELLING else f"{shown[:_TELLING]}..."
