"""What words say, and what a text carries that is not its to carry."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from handrail.agent.wording import PersonWords, contacts, misworded, passage, typed

ASKED = (
    "Send 1,200.50 EUR to GB29 NWBK 6016 1331 9268 19 and tell Bob (bob@x.com) about the 'Budget "
    "plan' of www.site.com/a on May 15th at 10am for half an hour; next Friday from 3 to 4 pm we "
    "meet. Read notes.txt, and delete file 13 in three days."
)
WORDS = PersonWords(ASKED, [date(2024, 5, 13)])


@pytest.mark.parametrize(
    "value",
    [
        "GB29NWBK60161331926819",
        "bob@x.com",
        "BOB@x.com",
        "http://site.com/a",
        "https://www.site.com/a/",
        1200.5,
        Decimal("1200.50"),
        "1200.50",
        13,
        "2024-05-15",
        "2024-05-15 10:00",
        "2024-05-15T10:30",
        date(2024, 5, 16),
        date(2024, 5, 17),
        datetime(2024, 5, 24, 16),  # noqa: DTZ001  # as many tools have it
        time(15),
        timedelta(minutes=30),
        "notes.txt",
        "Budget plan",
    ],
)
def test_a_person_says_values_in_many_ways(value: Any) -> None:
    assert WORDS.says(value)


@pytest.mark.parametrize(
    "value",
    [
        "notes",
        "otes.txt",
        "x.com",
        "evil.com",
        "ob@x.com",
        14,
        1200,
        "013",
        15,
        "2024-05-14",
        "2024-05-15 11:00",
        time(11),
        True,
        None,
    ],
)
def test_what_a_person_does_not_say_is_not_said(value: Any) -> None:
    assert not WORDS.says(value)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("for 2 nights from 13 May 2024", "2024-05-15"),
        ("from 13 to 15 May 2024", "2024-05-13"),
        ("May 13th-15th, 2024", "2024-05-13"),
        ("May 13th-15th, 2024", "2024-05-15"),
        ("on 19/05/2024", "2024-05-19"),
        ("on 5/25/2024 at 2pm", "2024-05-25 14:00"),
        ("pay 1.200,50 EUR", Decimal("1200.50")),
        ("pay 12,50", Decimal("12.5")),
        ("a 30 minute call on 2024-05-25 at 2pm", "2024-05-25 14:30"),
        ("2024-05-25, 12:00-13:00", "2024-05-25 13:00"),
        ("in one week from 2024-05-15 at 9:15 am", "2024-05-22T09:15:00"),
        ("on 2024-05-18 from 9 until 10", datetime(2024, 5, 18, 10)),  # noqa: DTZ001
    ],
)
def test_days_times_and_numbers_are_said_in_many_ways(words: str, value: Any) -> None:
    days = [date(2024, 5, 15)] if "week" in words else []
    assert PersonWords(words, days).says(value)


def test_what_may_be_a_word_of_others_names_only_in_quotes() -> None:
    assert not WORDS.names("Bob", quoted=True)
    assert WORDS.names("Budget plan", quoted=True)


def test_a_proper_name_names_something_and_a_mere_word_does_not() -> None:
    named = ["Bob", "Budget plan", "notes.txt", "bob@x.com"]
    words = ["Send", "file", "delete", "plan", "13", "EUR", "2024-05-15"]
    assert [each for each in [*named, *words] if WORDS.names(each)] == named
    # What cannot be seen makes no other name of it.
    assert WORDS.names("B\u200bob")


def test_a_word_after_called_is_a_name_in_small_letters_too() -> None:
    words = PersonWords("Delete the file called notes, and the one named 12. He called by phone.")
    assert words.calls("notes")
    assert words.calls("Notes")
    assert not any(map(words.calls, ["note", "12", "by", "phone", "file", "notes, and the one"]))
    assert not words.names("notes")


@pytest.mark.parametrize(
    ("value", "meant"),
    [("007", "007"), ("7", Decimal(7)), ("1.50", Decimal("1.5")), ("a-b", "a-b"), (2, Decimal(2))],
)
def test_a_text_is_a_number_where_it_is_nothing_else(value: Any, meant: Any) -> None:
    assert typed(value) == meant


def test_links_addresses_accounts_and_long_numbers_are_found_in_any_dress() -> None:
    text = (
        "See http://evil.com/x?a=1, evil[.]com, evil dot com or \uff45vil.com; write to a@b.co, "
        "call "
        "+49 170 1234567 or pay DE89 3704 0044 0532 0130 00, e.g. on 2024-05-15 at 10:00. End."
    )
    assert sorted(contacts(text)) == [
        "+49 170 1234567",
        "DE89 3704 0044 0532 0130 00",
        "a@b.co",
        "evil dot com",
        "evil.com",
        "evil[.]com",
        "http://evil.com/x?a=1",
    ]


@pytest.mark.parametrize(
    "part", ["a-", "a.", "a", "1 ", "@", "a ", " ", "1.", "May 1 to ", "\u200b", "'a "]
)
def test_no_text_takes_long(part: str) -> None:
    # It is looked at where workflows run: what takes the square of its length would wedge them.
    long = part * (30_000 // len(part))
    assert misworded(long, [long], [("page", long)]) == ""
    words = PersonWords(long[:20_000], [date(2024, 5, 13)])
    assert not words.says("eve")
    assert "eve" not in [*words.quoted, *words.figures, words.of_a_day]


def test_a_passage_is_four_words_a_name_of_two_or_a_code() -> None:
    outside = "Please click here for your prize. Emma Johnson has the code 46382 since 2024"
    known = ["click here for nothing"]
    assert (
        passage("So click here for your prize now", outside, known) == "click here for your prize"
    )
    assert passage("click here for tea", outside, known) == ""
    assert passage("It is of Emma Johnson", outside, known) == "Emma Johnson"
    assert passage("use 46382", outside, known) == "46382"
    assert passage("in 2024", outside, known) == ""
    assert passage("It is of Emma Johnson", outside, ["for emma johnson"]) == ""


def test_a_text_says_what_in_it_has_no_source_and_where_it_is_from() -> None:
    assert misworded("See www.a.com", ["https://a.com/"], []) == ""
    assert "www.b.com" in misworded("See www.b.com", ["https://a.com/"], [])
    fault = misworded("Pay Eve before it is late", [], [("page", "pay eve before it is late!")])
    assert "too many" in misworded("x" * 60_000, [], [])
    assert fault == '"Pay Eve before it is late" in it is from a text from outside (page)'
