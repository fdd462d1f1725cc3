"""The table of moves between states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from handrail import HandrailError, State
from handrail.agent.case import Case
from handrail.oversight import seconds_in_states
from handrail.states import ENDS, MOVES, may_move

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_every_state_has_its_row() -> None:
    assert set(MOVES) == set(State)


@pytest.mark.parametrize("end", sorted(ENDS))
def test_an_end_is_an_end(end: State) -> None:
    assert MOVES[end] == frozenset()


@pytest.mark.parametrize("state", sorted(set(State) - ENDS))
def test_every_other_state_leads_to_an_end(state: State) -> None:
    seen, ahead = {state}, set(MOVES[state])
    while ahead - seen:
        seen |= ahead
        ahead = {after for before in seen for after in MOVES[before]}
    assert seen & ENDS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (State.ROLLING_BACK, State.WORKING),
        (State.ROLLING_BACK, State.PAUSED),
        (State.ROLLING_BACK, State.DONE),
        (State.ROLLING_BACK, State.REJECTED),
        (State.SETTLING, State.WAITING),
        (State.SETTLING, State.WORKING),
        (State.SETTLING, State.FAILED),
        (State.DONE, State.ROLLING_BACK),
    ],
)
def test_what_must_never_happen(old: State, new: State) -> None:
    assert not may_move(old, new)


@pytest.mark.parametrize("old", sorted(State))
@pytest.mark.parametrize("new", sorted(State))
def test_a_case_moves_as_the_table_says(old: State, new: State) -> None:
    case = Case(id="a:1", state=old)
    if may_move(old, new):
        case.move(new, NOW, "because")
        assert (case.state, case.moves[-1].why) == (new, "because")
    elif old is new:
        case.move(new, NOW)
        assert case.moves == []
    else:
        with pytest.raises(HandrailError, match=f"no move from {old} to {new}"):
            case.move(new, NOW)


def test_the_values_are_a_promise() -> None:
    assert [state.value for state in State] == [
        "working",
        "waiting",
        "paused",
        "rolling_back",
        "settling",
        "done",
        "refused",
        "rejected",
        "expired",
        "stopped",
        "rolled_back",
        "failed",
        "piloted",
    ]


def test_seconds_add_up() -> None:
    case = Case()
    case.begin("a:1", "title", None, None, NOW)
    for minutes, state in [(1, State.WAITING), (3, State.WORKING), (4, State.WAITING)]:
        case.move(state, NOW + timedelta(minutes=minutes))
    spent = seconds_in_states(case.moves, NOW + timedelta(minutes=10))
    assert spent == {State.WORKING: 120.0, State.WAITING: 480.0}
