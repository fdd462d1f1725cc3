"""Cases that ended before they decided anything: a task, or none, as those around them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handrail import Ledger
from handrail.ledger import CaseRecord, CaseRow, DecisionRow

AGENT, NOW = "desk", datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def record(number: int, state: str, *, decided: bool = True, **more: Any) -> CaseRecord:
    case, at = f"{AGENT}:{number}", NOW - HOUR * (100 - number)
    row = CaseRow(
        case=case,
        run_id="r",
        agent=AGENT,
        build="1",
        policy="desk v1",
        trigger="event",
        event_digest="d",
        requester=None,
        parent=None,
        begun=at,
        ended=at,
        state=state,
    )
    made = DecisionRow(case, 1, AGENT, "choose", at, "i", None, None, None)
    return CaseRecord(replace(row, **more), (made,) if decided else (), (), ())


async def tasks(ledger: Ledger, *records: CaseRecord) -> set[int]:
    await ledger.record_cases(records)
    found = await ledger.cases_of(AGENT, NOW - HOUR * 200, NOW)
    added = await ledger.agent_figures(AGENT, NOW - HOUR * 200, NOW)
    counted = sum(e.cases for e in added.cases if not (e.pilot or e.round))
    numbers = {int(case.partition(":")[2]) for case, *_ in found}
    assert counted == len(numbers), "the figure and the cases behind it"
    return numbers


@pytest.mark.parametrize("state", ["failed", "stopped", "expired", "done"])
async def test_one_that_never_decided_counts_as_the_one_before_it_that_did(
    ledger: Ledger, state: str
) -> None:
    found = await tasks(
        ledger,
        record(0, state, decided=False),  # none before it: as the one after
        record(1, "piloted", pilot=True),
        record(2, state, decided=False),
        record(3, state, decided=False),
        record(4, "done", writes=1),
        record(5, state, decided=False),
        record(6, "failed"),
        record(7, "piloted", pilot=True),
        record(8, state, decided=False),
    )
    assert found == {4, 5, 6}
    assert await ledger.undecided_pilots(AGENT) == 4
    assert await ledger.undecided_pilots(AGENT, NOW - HOUR * 95) == 1
    _, over = await ledger.escalated_cases(AGENT, NOW - HOUR * 200, NOW)
    assert not over
    assert {c for c, *_ in await ledger.costs_of_cases(AGENT, NOW - HOUR * 200, NOW)} == {
        f"{AGENT}:{number}" for number in found
    }


async def test_where_no_case_ever_decided_each_is_a_task(ledger: Ledger) -> None:
    found = await tasks(
        ledger, record(0, "failed", decided=False), record(1, "done", decided=False)
    )
    assert found == {0, 1}
    assert await ledger.undecided_pilots(AGENT) == 0


async def test_a_round_is_none_of_the_cases_that_ended_before_a_decision(ledger: Ledger) -> None:
    found = await tasks(
        ledger,
        record(0, "done", decided=False),
        record(1, "piloted", pilot=True, parent=f"{AGENT}:0"),
    )
    assert not found
    (handed,) = [
        e for e in (await ledger.agent_figures(AGENT, NOW - HOUR * 200, NOW)).cases if e.round
    ]
    assert (handed.cases, handed.pilot) == (1, False)
    assert await ledger.undecided_pilots(AGENT) == 0
