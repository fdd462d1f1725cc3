"""Working time against an oracle that walks it minute by minute."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.policy.business_hours import MOST, Hours, Interval, after_working_time, working_time

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
OFFICE = Hours("Europe/Berlin", frozenset(range(5)), 9 * 60, 17 * 60)
# Days around which clocks change by an hour, by half of one, at midnight, one minute after
# it, and once by a whole day that did not exist.
CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("America/Sao_Paulo", date(2018, 2, 18)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("America/St_Johns", date(2010, 3, 14)),
    ("America/St_Johns", date(2010, 11, 7)),
    ("Africa/Cairo", date(2026, 4, 24)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Asia/Kathmandu", date(2026, 6, 1)),
    ("UTC", date(2026, 6, 1)),
]


def at(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def seconds(*walls: tuple[str, str]) -> tuple[Interval, ...]:
    return tuple((int(at(a).timestamp()), int(at(b).timestamp())) for a, b in walls)


@cache
def walls(zone: str, day: date) -> tuple[datetime, list[datetime]]:
    """What the clock on the wall shows in each minute of eleven days around `day`."""
    first = datetime(day.year, day.month, day.day, tzinfo=UTC) - 4 * DAY
    place = ZoneInfo(zone)
    shown = [(first + n * MINUTE).astimezone(place) for n in range(11 * 24 * 60)]
    return first, [wall.replace(tzinfo=None) for wall in shown]


def reached(zone: str, day: date, wall: datetime) -> int:
    """The first minute in which the clock shows `wall`, or a later time."""
    shown = walls(zone, day)[1]
    if shown == sorted(shown):
        return bisect_left(shown, wall)
    return next((n for n, seen in enumerate(shown) if seen >= wall), len(shown))


def open_minutes(hours: Hours, around: date) -> set[int]:
    """The oracle: every minute of those days in which somebody works."""
    found: set[int] = set()
    for each in (around + n * DAY for n in range(-5, 8)):
        midnight = datetime(each.year, each.month, each.day)  # noqa: DTZ001  # on the wall
        if each.weekday() in hours.days and each not in hours.holidays:
            begin, end = (
                reached(hours.zone, around, midnight + m * MINUTE)
                for m in (hours.begins, hours.ends)
            )
            found.update(range(begin, end))
    return found


PLACES = st.sampled_from(CHANGES)
HOURS = st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda two: two[0] < two[1])
# Mostly the hours in which clocks change.
NIGHTS = st.tuples(st.integers(0, 200), st.integers(60, 300)).filter(lambda two: two[0] < two[1])


@given(
    place=PLACES,
    times=HOURS | NIGHTS | st.just((0, 1440)),
    days=st.frozensets(st.integers(0, 6), min_size=1),
    off=st.frozensets(st.integers(-3, 3), max_size=3),
    start=st.integers(0, 5 * 24 * 60),
    length=st.integers(1, 30 * 60),
)
@settings(max_examples=150, deadline=None)
def test_it_is_what_the_clock_on_the_wall_says(  # noqa: PLR0917  # as hypothesis draws them
    place: tuple[str, date],
    times: tuple[int, int],
    days: frozenset[int],
    off: frozenset[int],
    start: int,
    length: int,
) -> None:
    zone, around = place
    hours = Hours(zone, days, *times, frozenset(around + n * DAY for n in off))
    first, shown = walls(zone, around)
    begin = first + (start + 24 * 60) * MINUTE
    minutes = [
        n for n in sorted(open_minutes(hours, around)) if start + 24 * 60 <= n < len(shown) - 1440
    ]
    spans = hours.open(begin, length * MINUTE)
    assert list(spans) == sorted(spans)
    assert all(one[1] < two[0] for one, two in pairwise(spans))
    if len(minutes) < length:
        return  # it goes on beyond what the oracle walked
    over = first + (minutes[length - 1] + 1) * MINUTE
    assert after_working_time(begin, length * MINUTE, spans) == over
    assert working_time(begin, over, spans) == length * MINUTE
    said = {
        n
        for one, two in spans
        for n in range(int((one - first.timestamp()) // 60), int((two - first.timestamp()) // 60))
    }
    until = minutes[length - 1]
    assert {n for n in said if start + 24 * 60 <= n <= until} == set(minutes[:length])


SPANS = st.lists(st.integers(0, 300), max_size=8, unique=True).map(
    lambda cuts: tuple(zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False))
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def naive_after(start: int, length: int, spans: tuple[Interval, ...]) -> int:
    """Second by second."""
    last = spans[-1][1] if spans else 0
    now, left = start, length
    while left:
        left -= now >= last or any(begin <= now < end for begin, end in spans)
        now += 1
    return now


def second(n: int) -> datetime:
    return EPOCH + timedelta(seconds=n)


@given(SPANS, st.integers(0, 400), st.integers(1, 400))
def test_time_passes_in_the_intervals_only_and_after_the_last_of_them(
    spans: tuple[Interval, ...], start: int, length: int
) -> None:
    over = after_working_time(second(start), timedelta(seconds=length), spans)
    assert over == second(naive_after(start, length, spans))
    assert working_time(second(start), over, spans) == timedelta(seconds=length)


@given(SPANS, st.integers(0, 400), st.integers(0, 400), st.integers(0, 400))
def test_time_adds_up(spans: tuple[Interval, ...], one: int, two: int, three: int) -> None:
    a, b, c = (second(n) for n in sorted((one, two, three)))
    assert working_time(a, b, spans) + working_time(b, c, spans) == working_time(a, c, spans)
    assert working_time(c, a, spans) == timedelta(0)


def test_without_hours_all_time_counts() -> None:
    start = at("2026-11-20T18:00")
    assert after_working_time(start, timedelta(hours=3), ()) == start + timedelta(hours=3)
    assert working_time(start, start + DAY, ()) == DAY


def test_a_weekend_and_a_holiday_do_not_count() -> None:
    hours = Hours(
        OFFICE.zone, OFFICE.days, OFFICE.begins, OFFICE.ends, frozenset({date(2026, 12, 25)})
    )
    start = at("2026-12-24T16:00")
    spans = hours.open(start, timedelta(hours=8))
    assert spans == seconds(
        ("2026-12-24T09:00", "2026-12-24T17:00"), ("2026-12-28T09:00", "2026-12-28T17:00")
    )
    assert after_working_time(start, timedelta(hours=8), spans) == at("2026-12-28T16:00")
    assert after_working_time(at("2026-12-24T16:00"), timedelta(hours=1), spans) == at(
        "2026-12-24T17:00"
    )


def test_a_day_in_which_clocks_change_is_shorter_or_longer() -> None:
    round_the_clock = Hours("Europe/Berlin", frozenset({6}), 0, 1440)
    for sunday, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-01", 24)):
        (span,) = round_the_clock.open(at(f"{sunday}T12:00"), timedelta(hours=1))
        assert span[1] - span[0] == hours * 3600


def test_adjacent_days_are_one_interval() -> None:
    week = Hours("UTC", frozenset(range(5)), 0, 1440)
    spans = week.open(at("2026-11-23T00:00", "UTC"), timedelta(days=7))
    assert [(end - begin) // 86_400 for begin, end in spans] == [5, 2]
    assert Hours("UTC", frozenset(range(7)), 0, 1440).too_long(timedelta(days=366)) is False


@pytest.mark.parametrize(("days", "too_long"), [(MOST, False), (MOST + 1, True)])
def test_a_gate_carries_a_bounded_number_of_intervals(days: int, too_long: bool) -> None:  # noqa: FBT001  # a table
    assert OFFICE.too_long(timedelta(hours=8 * days)) is too_long
    spans = OFFICE.open(at("2026-01-01T00:00"), timedelta(hours=8 * 3 * MOST))
    assert len(spans) == 2 * MOST


def test_intervals_reach_to_a_length_after_a_later_moment() -> None:
    start, since = at("2026-11-23T12:00"), at("2026-11-25T12:00")
    spans = OFFICE.open(start, timedelta(hours=8), since=since)
    assert spans[0] == seconds(("2026-11-23T09:00", "2026-11-23T17:00"))[0]
    assert after_working_time(since, timedelta(hours=8), spans) == at("2026-11-26T12:00")
    assert spans[-1][1] == int(at("2026-11-26T17:00").timestamp())
