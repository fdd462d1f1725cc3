"""Cron strings: what Temporal takes, and what no day ever is."""

from __future__ import annotations

_FIELDS = range(5, 8)
_RANGES = {
    "second": (0, 59),
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "month": (1, 12),
    "day of the week": (0, 7),
    "year": (2000, 2100),
}
_NAMES = {
    "month": ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
    "day of the week": ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
}
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""The most days that each month has."""


def cron_fault(text: str) -> str | None:
    """Why a text is no cron string, in Temporal's order of fields; None if it is one."""
    words = text.partition("#")[0].split()
    words = words[1:] if words and "TZ=" in words[0] else words
    if words and words[0].startswith("@"):
        return None
    if len(words) not in _FIELDS:
        return ""
    fields = [n for n in _RANGES if (n != "second" or len(words) == 7)]  # noqa: PLR2004
    found: dict[str, set[int]] = {}
    for name, word in zip(fields, words, strict=False):
        try:
            found[name] = {each for part in word.split(",") for each in _part(name, part)}
        except (ValueError, LookupError):
            low, high = _RANGES[name]
            order = f"; {len(words)} fields are {', '.join(fields[: len(words)])}"
            return f": the {name} {word} is none of {low} to {high}{order}"
    longest = max(_DAYS[each - 1] for each in found["month"])
    if min(found["day"]) <= longest:
        return None
    return f": no such month has a day {words[fields.index('day')]}"


def _part(name: str, part: str) -> range:
    """The values of one part of a field: `*`, `5`, `MON-FRI`, `10-20/5`.

    Raises:
        ValueError: if it has no such form, or is out of its range.
        LookupError: if it names no month or day.
    """
    span, _, step = part.partition("/")
    low, high = _RANGES[name]
    first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
    begins = _number(name, first)
    ends = _number(name, last) if last else high if step else begins
    if not low <= begins <= ends <= high:
        raise ValueError(part)
    return range(begins, ends + 1, int(step or 1))


def _number(name: str, text: str) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    return _NAMES[name].index(text[:3].upper()) + (name == "month")
