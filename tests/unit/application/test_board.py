"""The board of a demonstration: when nothing moves any more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from handrail import State
from workers.board import Board, CaseRow


def row(case: str, state: State, *handed: str) -> CaseRow:
    closed = datetime(2026, 11, 1, tzinfo=UTC) if state is State.DONE else None
    return CaseRow(
        case=case, agent=case.partition(":")[0], state=state, handed=handed, closed=closed
    )


@pytest.mark.parametrize(
    ("rows", "rests"),
    [
        ([row("a:1", State.DONE), row("b:1", State.WAITING)], True),
        ([row("a:1", State.WORKING), row("b:1", State.WAITING)], False),
        # It waits for another agent's case, and that one for people.
        ([row("a:1", State.WORKING, "b:1"), row("b:1", State.WAITING)], True),
        (
            [
                row("a:1", State.WORKING, "b:1"),
                row("b:1", State.WORKING, "c:1"),
                row("c:1", State.WAITING),
            ],
            True,
        ),
        ([row("a:1", State.WORKING, "b:1"), row("b:1", State.WORKING)], False),
        # What it handed on has ended, so it is its own turn; or nobody knows of it yet.
        ([row("a:1", State.WORKING, "b:1"), row("b:1", State.DONE)], False),
        ([row("a:1", State.WORKING, "b:1")], False),
        (
            [
                row("a:1", State.WORKING, "b:1", "c:1"),
                row("b:1", State.WAITING),
                row("c:1", State.WORKING),
            ],
            False,
        ),
    ],
)
def test_nothing_moves_where_all_that_is_waited_for_rests(
    rows: list[CaseRow], *, rests: bool
) -> None:
    assert Board(cast("Any", None), cast("Any", None), (), rows=rows).rests is rests
