"""Whatever a text is escaped for, nothing in it hides, and it stays where it is put."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from handrail.text import (
    escape_hidden,
    escape_html,
    escape_markdown,
    escape_terminal,
    first_line,
    markdown_code,
    markdown_json,
    markdown_quote,
    moment_in_words,
    one_line,
    percent,
    quoted,
)

ESCAPED: list[Callable[[str], str]] = [
    escape_hidden,
    escape_html,
    escape_markdown,
    escape_terminal,
    markdown_code,
    markdown_json,
    markdown_quote,
    lambda text: one_line(text, 500),
    quoted,
]
HIDING = {
    "controls": "\x00\x07\x08\r\x1b\x7f\x85\x9b",
    "lines": "\x0b\x0c\x1c\x1d\x1e\u2028\u2029",
    "direction": "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    "no width": "\u00ad\u034f\u200b\u200c\u200d\u2060\u2061\u2064\ufeff",
    "blank letters": "\u115f\u1160\u17b4\u2800\u3164\uffa0",
    "selectors": "\ufe00\ufe0f\U000e0100\U000e01ef",
    "tags": "\U000e0001\U000e0041\U000e007f",
    "no characters": "\ue000\uffff\ud800\U0010ffff",
}


@pytest.mark.parametrize("escaped", ESCAPED)
@pytest.mark.parametrize("kind", HIDING)
def test_nothing_that_hides_is_left(escaped: Callable[[str], str], kind: str) -> None:
    for sign in HIDING[kind]:
        assert sign not in escaped(f"a{sign}b"), ascii(sign)


@pytest.mark.parametrize("escaped", ESCAPED)
@given(text=st.text(st.characters(), max_size=40))
def test_what_is_escaped_hides_nothing(escaped: Callable[[str], str], text: str) -> None:
    shown = escaped(text)
    assert escape_hidden(shown) == shown


@pytest.mark.parametrize("text", ["héllo 你好 🙂", "naïve – “x”", "100\xa0000 €", "नमस्ते"])  # noqa: RUF001
def test_what_people_write_stays(text: str) -> None:
    assert escape_hidden(text) == text == escape_terminal(text) == escape_html(text, quote=False)


def test_hidden_characters_are_spelt_as_json_spells_them() -> None:
    assert escape_hidden("\x1b\u202e\U000e0041") == json.dumps("\x1b\u202e\U000e0041")[1:-1]


@given(st.text(max_size=60))
def test_a_line_is_one_line(text: str) -> None:
    for shown in (one_line(text, 20), escape_markdown(text), escape_terminal(text), quoted(text)):
        assert len(shown.splitlines()) <= 1
    assert len(one_line(text, 20)) <= 20


def test_a_text_in_quotes_shows_which_space_is_in_it() -> None:
    assert quoted("EUR\xa0 \u3000") == '"EUR\\u00a0 \\u3000"'


@given(st.text(max_size=40))
def test_html_has_no_element_from_a_text(text: str) -> None:
    found: list[str] = []

    class Parser(HTMLParser):
        @override
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append(f"{tag} {[name for name, _ in attrs]}")

    Parser().feed(f'<p title="{escape_html(text)}">{escape_html(text)}</p>')
    assert found == ["p ['title']"]


def test_times_and_shares_in_words() -> None:
    at = datetime(2026, 1, 1, 1, 2, 3, 999_999, timezone(timedelta(hours=2)))
    assert moment_in_words(at) == "2025-12-31 23:02:03 UTC"
    assert moment_in_words(at.astimezone(UTC), "minutes") == "2025-12-31 23:02 UTC"
    assert [percent(share) for share in (10_000, 2_500, 50, 1, 0)] == [
        *("100%", "25%", "0.5%", "0.01%", "0%")
    ]


@pytest.mark.parametrize(
    ("text", "first"),
    [("", ""), (" \n\t\n", ""), ("\x1c\x85", ""), ("\n one \n two", "one "), ("one\rtwo", "one")],
)
def test_a_first_line_is_there_of_any_text(text: str, first: str) -> None:
    assert first_line(text) == first
