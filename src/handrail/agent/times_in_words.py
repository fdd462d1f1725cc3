"""Dates, times and spans that a text says in words."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator, Sequence
from datetime import date, time, timedelta

_MONTHS = "january february march april may june july august september october november december"
DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_ONES = "zero one two three four five six seven eight nine ten eleven twelve"
_MORE = {"a": 1, "an": 1, "fifteen": 15, "twenty": 20, "thirty": 30, "hundred": 100}
NUMERALS = {word: number for number, word in enumerate(_ONES.split())} | _MORE
_MONTH = "(?P<month>" + "|".join(f"{m[:3]}(?:{m[3:]}|\\.)?" for m in _MONTHS.split()) + r")\b"
_YEAR = r"(?:,?\s+(?P<year>\d{4}))?"
_NTH = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
DATES = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"\b(?P<year>\d{4})-(?P<number>\d{2})-(?P<day>\d{2})(?=\b|T)",
        r"\b(?P<day>\d{1,2})\.(?P<number>\d{1,2})\.(?P<year>\d{4})\b",
        rf"\b{_MONTH}\s+(?:the\s+)?{_NTH}\b{_YEAR}",
        rf"\b{_NTH}(?:\s+of)?\s+{_MONTH}{_YEAR}",
    )
)
COUNT = r"(?P<count>\d{1,3}(?:\.\d+)?|" + "|".join(NUMERALS) + r"|half an?)[\s-]+"
_AWAY = re.compile(rf"\b(?:in\s+)?{COUNT}(?P<unit>day|week)s?(?P<ago>\s+ago)?\b", re.IGNORECASE)
_WEEKDAY = re.compile(rf"\b(?P<next>next\s+)?(?P<name>{DAYS.replace(' ', '|')})\b", re.IGNORECASE)
SPAN = re.compile(rf"\b{COUNT}(?P<unit>minute|min|hour|hr|day|night|week)s?\b", re.IGNORECASE)
SLASHED = re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})/(\d{4})(?![\d/])")
_UNTIL = r"\s*(?:-|\u2013|to|till|until|through|and)\s*(?:the\s+)?"
_DAYS_AND_MONTH = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th)?{_UNTIL}({_NTH}\s+{_MONTH}{_YEAR})", re.IGNORECASE
)
_MONTH_AND_DAYS = re.compile(
    rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?{_UNTIL}{_NTH}\b{_YEAR}", re.IGNORECASE
)
_CLOCK = r"(\d{1,2})(?::(\d{2})(?::\d{2})?)?\s*([ap]\.?m\b\.?)?"
_TIME = re.compile(r"(?<![\d.:,-])" + _CLOCK + r"(?![\d:])", re.IGNORECASE)
_RANGE = re.compile(
    r"(?<![\d.:,-])" + _CLOCK + r"\s*(?:-|\u2013|to|till|until|and)\s*" + _CLOCK + r"(?![\d:-])",
    re.IGNORECASE,
)
_BEFORE_TIME = re.compile(r"\b(?:at|from|by|until|till)\s{1,3}$", re.IGNORECASE)


def dates_in(text: str, days: Sequence[date]) -> Iterator[date]:
    """The dates that a text says; without a year, or from a day on, as of each of `days`."""
    text = _DAYS_AND_MONTH.sub(r"\1 \g<month> \g<year> to \2", text)
    text = _MONTH_AND_DAYS.sub(r"\g<month> \2 \g<year> to \g<month> \g<day> \g<year>", text)
    for found in SLASHED.finditer(text):
        first, second, year = map(int, found.groups())
        for month, day in {(first, second), (second, first)}:
            with contextlib.suppress(ValueError):
                yield date(year, month, day)
    for found in itertools.chain.from_iterable(form.finditer(text) for form in DATES):
        parts = found.groupdict()
        shortly = (parts.get("month") or "")[:3].casefold()
        month = parts.get("number") or [m[:3] for m in _MONTHS.split()].index(shortly) + 1
        years = [int(parts["year"])] if parts["year"] else [day.year for day in days]
        for year in years:
            with contextlib.suppress(ValueError):
                yield date(year, int(month), int(parts["day"]))
    for day in days:
        yield from _told_from(day, text.casefold())


def _told_from(day: date, text: str) -> Iterator[date]:
    for words, away in (("today", 0), ("tonight", 0), ("tomorrow", 1), ("yesterday", -1)):
        if re.search(rf"\b{words}\b", text):
            yield day + timedelta(away)
    for found in _AWAY.finditer(text):
        count = _count(found["count"]) * (7 if found["unit"] == "week" else 1)
        yield day + timedelta(-count if found["ago"] else count)
    for found in _WEEKDAY.finditer(text):
        ahead = ([*DAYS.split()].index(found["name"]) - day.weekday() - 1) % 7 + 1
        yield day + timedelta(ahead)
        if found["next"]:
            yield day + timedelta(ahead + 7)


def times_in(text: str) -> Iterator[time]:
    """The times of day that a text says."""
    for word, hour in (("noon", 12), ("midnight", 0)):
        if word in text.casefold():
            yield time(hour)
    for found in _RANGE.finditer(text):
        half = found[3] or found[6]
        if (
            found[2]
            or found[5]
            or half
            or _BEFORE_TIME.search(text, max(0, found.start() - 8), found.start())
        ):
            yield from _clock(found[1], found[2], half)
            yield from _clock(found[4], found[5], half)
    for found in _TIME.finditer(text):
        if (
            found[2]
            or found[3]
            or _BEFORE_TIME.search(text, max(0, found.start() - 8), found.start())
        ):
            yield from _clock(found[1], found[2], found[3])


def _clock(hour: str, minute: str | None, half: str | None) -> Iterator[time]:
    at, afternoon = int(hour), (half or "").casefold().startswith("p")
    at = at % 12 + 12 * afternoon if half else at
    with contextlib.suppress(ValueError):  # no time of a day
        yield time(at, int(minute or 0))


def spans_in(text: str) -> Iterator[timedelta]:
    """The lengths of time that a text says."""
    units = {"min": timedelta(minutes=1), "minute": timedelta(minutes=1), "day": timedelta(1)}
    units["night"] = timedelta(1)
    units |= {"hour": timedelta(hours=1), "hr": timedelta(hours=1), "week": timedelta(7)}
    for found in SPAN.finditer(text.casefold()):
        yield units[found["unit"]] * _count(found["count"])


def _count(word: str) -> float:
    return 0.5 if word.startswith("half") else float(NUMERALS.get(word, word))
