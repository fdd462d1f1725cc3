"""Digests and quiet hours: what waits, until when, and that nothing is lost or doubled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.inbox.channels.delivery import (
    DeliveryAttempt,
    DeliveryLog,
    DeliveryStatus,
    MessageRef,
    Notification,
    NotificationKind,
    see,
)
from handrail.inbox.channels.digests import (
    KEPT,
    DigestBook,
    DigestItem,
    DigestReport,
    held_until,
    reported,
)
from handrail.inbox.channels.people import PeopleError, Person, parse
from handrail.inbox.channels.quiet import QuietHours
from handrail.oversight import NotificationRequest
from tests.unit.inbox.messages_views import ANA, OPENED, look, stage, view

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NIGHT = {"from": "20:00", "to": "07:00", "zone": "Europe/Berlin"}
ASKED = Notification(what=NotificationKind.ASKED, person=ANA, role="lead")


def someone(**said: Any) -> Person:
    return Person.model_validate(said)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-01-30 18:59", None),
        ("2026-01-30 19:00", "2026-01-31 06:00"),
        ("2026-01-31 05:59", "2026-01-31 06:00"),
        ("2026-01-31 06:00", None),
        # The night in which clocks go forward is an hour shorter, and ends at seven by the wall.
        ("2026-03-28 20:00", "2026-03-29 05:00"),
        ("2026-10-24 20:00", "2026-10-25 06:00"),
    ],
)
def test_quiet_hours_go_over_midnight_by_the_clock_on_the_wall(now: str, until: str | None) -> None:
    hours = QuietHours.model_validate(NIGHT)
    assert hours.until(at(now)) == (at(until) if until else None)


def test_a_quiet_weekend_ends_when_monday_begins_to_be_loud() -> None:
    hours = QuietHours.model_validate(NIGHT | {"all day": ["sat", "sun"]})
    assert hours.until(at("2026-01-30 21:00")) == at("2026-02-02 06:00")
    assert hours.until(at("2026-01-31 12:00")) == at("2026-02-02 06:00")


def test_hours_within_a_day_and_a_week_without_any_other() -> None:
    lunch = QuietHours.model_validate({"from": "12:00", "to": "13:00"})
    assert lunch.until(at("2026-01-30 12:30")) == at("2026-01-30 13:00")
    assert lunch.until(at("2026-01-30 13:00")) is None
    never = QuietHours.model_validate({"from": "12:00", "to": "13:00", "all day": ["mon-sun"]})
    ends = never.until(at("2026-01-30 12:30"))
    assert ends is not None
    assert ends - at("2026-01-30 12:30") <= timedelta(days=31)


def test_without_a_digest_and_quiet_hours_nothing_waits() -> None:
    assert held_until(someone(), ASKED, view(), OPENED) is None


def test_of_a_digest_a_question_waits_as_long_as_it_leaves_time_to_answer() -> None:
    ana = someone(digest="10m")
    assert held_until(ana, ASKED, view(), OPENED) == OPENED + 10 * MINUTE
    late = OPENED + 8 * HOUR - 70 * MINUTE
    assert held_until(ana, ASKED, view(), late) == late + 10 * MINUTE
    assert held_until(ana, ASKED, view(), late + MINUTE) is None


def test_in_quiet_hours_only_what_can_wait_until_they_are_over_does() -> None:
    ana, evening = someone(quiet=NIGHT), at("2026-01-30 21:00")
    morning = at("2026-01-31 06:00")
    night = view(stage("lead", ANA, hours=20))  # until 05:00
    day = view(stage("lead", ANA, hours=26))
    assert held_until(ana, ASKED, day, evening) == morning
    assert held_until(ana, ASKED, night, evening) is None
    escalated = ASKED.model_copy(update={"why": "nobody of lead answered in time"})
    assert held_until(ana, escalated, day, evening) is None
    for what in (NotificationKind.OWNER, NotificationKind.EARLY):
        assert held_until(ana, ASKED.model_copy(update={"what": what}), day, evening) is None
    over = ASKED.model_copy(update={"what": NotificationKind.CLOSED})
    assert held_until(ana, over, night, evening) == morning


def item(number: int, minute: float, **more: Any) -> DigestItem:
    came = OPENED + minute * MINUTE
    given: dict[str, Any] = {
        "call": NotificationRequest(case=f"orders:{number}", gate=f"{number:016x}"),
        "due": ASKED,
        "channel": "mail",
        "came": came,
        "until": came + 10 * MINUTE,
        "within": 10 * MINUTE,
        "first": 3,
    }
    return DigestItem.model_validate(given | more)


def test_the_first_ones_go_alone_and_from_the_nth_on_they_wait_for_each_other() -> None:
    book = DigestBook()
    for number in range(5):
        book = book.add(item(number, number))
        alone = book.alone()
        assert [each.key for each in alone] == ([item(number, 0).key] if number < 2 else [])
        book = book.without(alone, OPENED)
    assert [each.call.case for each in book.waiting] == ["orders:2", "orders:3", "orders:4"]
    assert book.next() == OPENED + 12 * MINUTE
    assert not book.due(OPENED + 11 * MINUTE)
    assert book.due(OPENED + 12 * MINUTE)


def test_what_was_brought_before_changes_nothing_for_a_day() -> None:
    book = DigestBook().add(item(1, 0))
    assert book.add(item(1, 5)) == book
    sent = book.without(book.waiting, OPENED)
    assert sent.add(item(1, 5)) == sent
    assert not sent.over(OPENED + KEPT - MINUTE)
    assert sent.over(OPENED + KEPT)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 120)), max_size=60), st.integers(1, 4))
def test_each_message_goes_out_exactly_once_and_none_later_than_it_must(
    brought: list[tuple[int, int]], first: int
) -> None:
    book, out = DigestBook(), list[tuple[str, datetime]]()
    minutes = [*sorted(brought, key=lambda pair: pair[1]), (-1, 200)]
    for number, minute in minutes:
        now = OPENED + minute * MINUTE
        due = book.next()
        while due is not None and due <= now:
            out += [(each.key, due) for each in book.waiting]
            assert all(due <= each.until for each in book.waiting)
            book = book.without(book.waiting, due)
            due = book.next()
        if number >= 0:
            book = book.add(item(number, minute, first=first))
            out += [(each.key, now) for each in book.alone()]
            book = book.without(book.alone(), now)
    assert sorted(key for key, _ in out) == sorted({item(n, 0).key for n, _ in brought})


def held() -> DeliveryLog:
    log = see(DeliveryLog(), look())
    tried = DeliveryAttempt(channel="mail", at=OPENED, ref=MessageRef(channel="mail", held=True))
    letter = log.letters[0].model_copy(update={"fate": DeliveryStatus.HELD, "tries": (tried,)})
    return log.with_letter(0, letter)


KEY = ASKED.key("0123456789abcdef")


def test_what_was_sent_with_others_is_told_and_said_again_changes_nothing() -> None:
    ref = MessageRef(channel="mail", id="<1.digest@example.com>", tag="ab" * 8)
    log = reported(held(), DigestReport(key=KEY, ref=ref), OPENED + HOUR)
    assert (log.letters[0].fate, log.letters[0].ref) == (DeliveryStatus.TOLD, ref)
    assert log.tags() == {"ab" * 8}
    assert reported(log, DigestReport(key=KEY, why="no"), OPENED + HOUR) == log
    assert reported(log, DigestReport(key="another", ref=ref), OPENED + HOUR) == log


def test_what_failed_goes_the_next_way_and_what_is_alone_the_same_one() -> None:
    failed = reported(held(), DigestReport(key=KEY, why="refused"), OPENED).letters[0]
    alone = reported(held(), DigestReport(key=KEY), OPENED).letters[0]
    log = held().model_copy(update={"ways": {ANA: ("mail", "also 1")}})
    assert (failed.fate, failed.at_once, log.way(failed)) == ("going", True, "also 1")
    assert (alone.fate, alone.at_once, log.way(alone)) == ("going", True, "mail")


def test_what_counts_for_everybody_counts_where_an_entry_says_nothing_else() -> None:
    people = parse(
        "everybody:\n  digest: 10m\n  digest from: 5\na@b.c:\n  digest: 1h\n", "people.yaml"
    )
    assert people.of("a@b.c").digest == HOUR
    assert people.of("a@b.c").digest_from == 5
    assert people.of("nobody@b.c").digest == 10 * MINUTE


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("digest: soon", "write it like 30m"),
        ("digest from: 0", "digest from"),
        ('quiet: {from: "20", to: "07:00"}', "write it like"),
        ('quiet: {from: "20:00", to: "07:00", zone: Berlin}', "Europe/Berlin"),
        ('quiet: {from: "20:00"}', "quiet.to"),
    ],
)
@pytest.mark.parametrize("who", ["a@b.c", "everybody"])
def test_a_digest_and_hours_that_can_be_none_are_refused_with_a_fix(
    who: str, entry: str, said: str
) -> None:
    with pytest.raises(PeopleError, match=said):
        parse(f"{who}:\n  {entry}\n", "people.yaml")
