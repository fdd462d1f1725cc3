"""The nightly report holds each agent's cases against its owner's report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from activities.nightly import fleet_sums
from handrail import Ledger
from handrail.ledger import CaseRecord, CaseRow, DecisionRow

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def record(number: int, state: str, *, running: bool = False, **more: Any) -> CaseRecord:
    case, at = f"desk:{number}", NOW - timedelta(hours=20 - number)
    row = CaseRow(
        case=case,
        run_id="r",
        agent="desk",
        build="1",
        policy="desk v1",
        trigger="event",
        event_digest="d",
        requester=None,
        parent=None,
        begun=at,
        ended=None if running else at,
        state=state,
    )
    made = DecisionRow(case, 1, "desk", "choose", at, "i", None, None, None)
    return CaseRecord(replace(row, **more), (made,) if "writes" in more else (), (), ())


async def test_cases_that_are_no_tasks_are_no_difference(ledger: Ledger) -> None:
    """A round that only hands on, a pilot, one that ended undecided, and one that is open."""
    await ledger.record_cases(
        [
            record(0, "done"),
            *(record(n, "done", parent="desk:0", writes=1) for n in (1, 2, 3)),
            record(4, "failed"),
            record(5, "piloted", pilot=True),
            record(6, "failed"),
            record(7, "working", running=True),
        ]
    )
    [sums], wrong = await fleet_sums(ledger, NOW - DAY, NOW)
    assert wrong == []
    assert sums.ends == {"done": 4, "failed": 2, "piloted": 1}
