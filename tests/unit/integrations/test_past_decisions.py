"""Past decisions from a file: what JSON takes for a character is no end of a line."""

from __future__ import annotations

import json

import pytest

from handrail.integrations.evaluation import given_decisions


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\u0085", "\u202e", "\x1c"])
def test_past_decisions_are_read_whatever_they_were_given(odd: str) -> None:
    given = {"case": "a:1", "given": {"text": f"a{odd}b"}}
    lines = "\n".join(json.dumps(given, ensure_ascii=False) for _ in range(10))
    found = given_decisions(lines, "a file")
    assert [each.given["text"] for each in found] == [f"a{odd}b"] * 10
