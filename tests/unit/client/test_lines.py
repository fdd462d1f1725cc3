"""Files of one JSON object a line: what JSON takes for a character is no end of a line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from handrail.client.audit import _read  # pyright: ignore[reportPrivateUsage]
from handrail.evidence import AuditEntry
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
