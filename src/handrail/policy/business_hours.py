"""Working time: when people are there, and how long they have had. Pure.

A role's `Hours` are turned once, where the policy is asked, into intervals of seconds
since 1970 (UTC). Everything after that is arithmetic on those intervals, so a gate needs
neither a time zone nor a calendar, and gives the same answer in every replay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

Interval = tuple[int, int]
"""From a second since 1970, UTC, up to but not including another."""

MOST = 400
"""Intervals that the deadline of one role may take."""

MIDNIGHT = 24 * 60
"""The end of a day, in minutes after its beginning."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
_LONGEST = timedelta(days=20 * 366)


@dataclass(frozen=True)
class Hours:
    """When the people of a role work: from `begins` to `ends`, minutes after midnight.

    `days` are weekdays, Monday is 0. On `holidays` nobody works. All of it by the clock
    on the wall in `zone`, an IANA name.
    """

    zone: str
    days: frozenset[int]
    begins: int
    ends: int
    holidays: frozenset[date] = field(default=frozenset())

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def open(
        self,
        start: datetime,
        length: timedelta,
        *,
        since: datetime | None = None,
        most: int = 2 * MOST,
    ) -> tuple[Interval, ...]:
        """The working time from `start` on, until `length` of it has passed after `since`.

        Adjacent intervals are one. There are never more than `most`.
        """
        found: list[Interval] = []
        covered = timedelta(0)
        for begin, end in self._from(start):
            if found and found[-1][1] >= begin:
                found[-1] = (found[-1][0], end)
            elif len(found) == most:
                break
            else:
                found.append((begin, end))
            covered += working_time(since or start, _at(end), ((begin, end),))
            if covered >= length:
                break
        return tuple(found)

    def too_long(self, length: timedelta) -> bool:
        """Whether `length` of this working time takes more intervals than a gate may carry."""
        return len(self.open(_MONDAY, length, most=MOST + 1)) > MOST

    def _from(self, start: datetime) -> Iterator[Interval]:
        """The intervals that end after `start`, day by day."""
        day = start.astimezone(self._zone).date() - timedelta(days=1)
        last = day + _LONGEST
        while day < last:
            if day.weekday() in self.days and day not in self.holidays:
                begin, end = self._reaches(day, self.begins), self._reaches(day, self.ends)
                if begin < end and _at(end) > start:
                    yield begin, end
            day += timedelta(days=1)

    def _reaches(self, day: date, minutes: int) -> int:
        """When the clock on the wall first shows that time of the day, or a later one.

        Where clocks go back, the first of the two; where they go forward over it, the
        moment in which they do.
        """
        wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
        early = wall.replace(tzinfo=self._zone)
        low, high = int(early.replace(fold=1).timestamp()), int(early.timestamp())
        if self._wall(high) == wall:
            return high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._wall(middle) < wall else (low, middle)
        return high

    def _wall(self, second: int) -> datetime:
        return _at(second).astimezone(self._zone).replace(tzinfo=None)


def after_working_time(start: datetime, length: timedelta, spans: Sequence[Interval]) -> datetime:
    """When `length` of working time is over that begins to run at `start`.

    Without intervals all time counts, and so does all time after the last of them. In UTC.
    """
    now, left = start.astimezone(UTC), length
    for begin, end in spans:
        begun, over = max(now, _at(begin)), _at(end)
        if over <= begun:
            continue
        if left <= over - begun:
            return begun + left
        left -= over - begun
        now = over
    return now + left


def working_time(start: datetime, end: datetime, spans: Sequence[Interval]) -> timedelta:
    """How much working time lies between `start` and `end`; none when `end` is not later.

    Without intervals all time counts, and so does all time after the last of them.
    """
    parts = [(_at(begun), _at(over)) for begun, over in spans]
    beyond = max(start, parts[-1][1]) if parts else start
    worked = [min(end, over) - max(start, begun) for begun, over in parts]
    return sum((max(each, timedelta(0)) for each in [*worked, end - beyond]), timedelta(0))


def _at(second: int) -> datetime:
    return _EPOCH + timedelta(seconds=second)
