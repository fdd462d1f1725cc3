"""What can be declared as a schedule, and what is said of what cannot."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handrail import ConfigurationError, Schedule
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order

HOUR = timedelta(hours=1)


def order_at(at: datetime) -> Order:
    return Order(number=f"{at:%H:%M}")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "a/b", "every": HOUR}, "cannot name a trigger"),
        ({"name": "", "every": HOUR}, "cannot name a trigger"),
        ({}, "give one of every=, cron= and calendars="),
        ({"every": HOUR, "cron": "0 7 * * *"}, "give one of"),
        ({"every": timedelta(0)}, "a second or more"),
        ({"cron": "every day"}, "no cron string"),
        ({"cron": "75 2 * * *"}, "the minute 75 is none of 0 to 59"),
        ({"cron": "0 30 2 * * *"}, "the hour 30 is none of 0 to 23; 6 fields are minute, hour"),
        ({"cron": "0 7 ? * *"}, "the day \\? is none of 1 to 31"),
        ({"cron": "0 7 * * MOO"}, "the day of the week MOO"),
        ({"cron": "0 7 * * 5-1"}, "the day of the week 5-1"),
        ({"cron": "0 0 31 FEB,APR *"}, "no such month has a day 31"),
        ({"every": HOUR, "overlap": "terminate_other"}, "overlap= is one of skip"),
        ({"every": HOUR, "jitter": -HOUR}, "cannot be negative"),
        ({"every": HOUR, "jitter": 5}, "are times, such as timedelta"),
        ({"every": HOUR, "time_zone": "Vienna"}, "no time zone 'Vienna'"),
    ],
)
def test_what_can_be_no_schedule_is_refused_where_it_is_declared(
    given: dict[str, Any], said: str
) -> None:
    whole: dict[str, Any] = {"name": "hourly", "event": order_at} | given
    with pytest.raises(ConfigurationError, match=said):
        Schedule(**whole)


@pytest.mark.parametrize(
    "cron",
    ["*/5 8-18 * * mon-fri", "0 0 29 2 *", "30 0 7 1,15 jan-jun/2 SUNDAY 2027", "@hourly",
     "CRON_TZ=Europe/Vienna 0 7 * * 7 # early"],
)  # fmt: skip
def test_a_cron_string_of_temporal_is_taken(cron: str) -> None:
    assert Schedule(name="hourly", event=order_at, cron=cron).cron == cron


def test_an_event_is_made_of_the_time_in_its_zone() -> None:
    schedule = Schedule(name="a", event=order_at, every=HOUR, time_zone="Asia/Kathmandu")
    assert schedule.event_at(datetime(2026, 1, 1, 12, tzinfo=UTC)).key == "17:45"


def test_check_says_what_is_wrong_with_the_events_it_makes(tmp_path: Path) -> None:
    def none(at: datetime) -> Any:
        return {"number": at}

    def fails(at: datetime) -> Order:
        raise LookupError(at.year)

    def bad(at: datetime) -> Order:
        return Order(number=" ")

    def anew(at: datetime) -> Order:
        return Order(number=str(uuid.uuid4()))

    ways: tuple[Any, ...] = (order_at, none, fails, bad, anew, Order)
    made = [Schedule(name=f.__name__, event=f, every=HOUR) for f in ways]
    said = orders(tmp_path, triggers=made).agents["orders"].faults()
    assert len(said) == 5
    assert "schedule anew makes another key of" in said[3]
    assert "fix: `def ...(at: datetime) -> Order`" in said[4]
    assert "it makes dict; fix: let it make a Order" in said[0]
    assert "schedule fails makes no event" in said[1]
    assert "Order.key must be 1 to 200 characters" in said[2]


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    one = Schedule(name="a", event=order_at, every=HOUR)
    with pytest.raises(ConfigurationError, match="two triggers are called `a`"):
        orders(tmp_path, triggers=[one, one])
    with pytest.raises(ConfigurationError, match="is no trigger"):
        orders(tmp_path, triggers=["nightly"])
