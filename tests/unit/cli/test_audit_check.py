"""What `handrail audit verify` says, and with which exit code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from handrail.cli.audit import say_check
from handrail.cli.output import Code, Output
from handrail.client import AuditCheck

SINCE, UNTIL = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, 0, 0, 0, 250, tzinfo=UTC)
FOUND: dict[str, Any] = {
    "agent": "pay",
    "since": SINCE,
    "until": UNTIL,
    "head": "h" * 64,
    "entries": 3,
    "cases": 1,
    "unseen": (),
}


@pytest.mark.parametrize(
    ("sealed", "faults", "code"),
    [
        ("ana@example.com", (), Code.DONE),
        ("ana@example.com", ("entry 2: it was changed",), Code.FAILED),
        (None, (), Code.FAILED),
        (None, ("entry 2: it was changed",), Code.FAILED),
    ],
)
def test_only_what_is_sealed_and_sound_passes(
    capsys: pytest.CaptureFixture[str], sealed: str | None, faults: tuple[str, ...], code: Code
) -> None:
    assert say_check(Output(), AuditCheck(**FOUND, sealed=sealed, faults=faults)) is code
    said = capsys.readouterr().out
    assert ("NOT SEALED" in said) is (sealed is None)
    again = "handrail audit pay --from 2026-11-01T00:00:00+00:00 --to 2026-12-01T00:00:00.000250"
    assert (again in said.replace("\n", "")) is (sealed is None)
    assert ("nothing in it contradicts" in said) is not bool(faults)
