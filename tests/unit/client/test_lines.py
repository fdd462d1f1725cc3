"""Files of one JSON object a line: what JSON takes for a character is no end of a line."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from handrail.client.audit import _read  # pyright: ignore[reportPrivateUsage]
from handrail.evidence import AuditEntry
from handrail.evidence.report import _inert  # pyright: ignore[reportPrivateUsage]
from handrail.integrations.evaluation import given_decisions
from handrail.text import escape_hidden

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ODD = ["\u2028", "\u2029", "\u0085", "\u009b31m", "\u202e", "\x1c"]


@pytest.mark.parametrize("odd", ODD)
def test_an_audit_is_read_whatever_somebody_said(odd: str) -> None:
    made = [
        AuditEntry(number=n, kind="ruling", at=NOW, body={"why": f"a{odd}b"}, hash="h")
        for n in range(10)
    ]
    raw = "".join(f"{each.model_dump_json()}\n" for each in made)
    assert list(_read(raw)) == list(_read(escape_hidden(raw))) == made
    assert odd not in escape_hidden(raw)


@pytest.mark.parametrize("odd", ODD)
def test_past_decisions_are_read_whatever_they_were_given(odd: str) -> None:
    given = {"case": "a:1", "given": {"text": f"a{odd}b"}}
    lines = "\n".join(json.dumps(given, ensure_ascii=False) for _ in range(10))
    found = given_decisions(lines, "a file")
    assert [each.given["text"] for each in found] == [f"a{odd}b"] * 10


def test_a_cell_of_a_report_shows_what_it_says() -> None:
    assert _inert("\u202e=1") == "\\u202e=1"
    assert _inert("=1") == "'=1"
