"""The states of a case and the table of moves between them; nothing else."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a case stands. The values are a wire format: search attribute and saved views."""

    WORKING = "working"
    WAITING = "waiting"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"
    SETTLING = "settling"
    DONE = "done"
    REFUSED = "refused"
    REJECTED = "rejected"
    EXPIRED = "expired"
    STOPPED = "stopped"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    PILOTED = "piloted"


ENDS = frozenset(
    {
        State.DONE,
        State.REFUSED,
        State.REJECTED,
        State.EXPIRED,
        State.STOPPED,
        State.ROLLED_BACK,
        State.FAILED,
        State.PILOTED,
    }
)

MOVES: dict[State, frozenset[State]] = {
    State.WORKING: ENDS | {State.WAITING, State.PAUSED, State.ROLLING_BACK, State.SETTLING},
    State.WAITING: ENDS | {State.WORKING, State.PAUSED, State.ROLLING_BACK},
    State.PAUSED: ENDS | {State.WORKING, State.WAITING, State.ROLLING_BACK, State.SETTLING},
    # A roll-back may park for a human (an undo that fails), and ends by how it began.
    State.ROLLING_BACK: frozenset({State.WAITING, State.ROLLED_BACK, State.FAILED, State.STOPPED}),
    # Done, and kept open for a while so that it can still be undone.
    State.SETTLING: frozenset({State.ROLLING_BACK, State.DONE, State.STOPPED}),
    **{end: frozenset[State]() for end in ENDS},
}


def may_move(old: State, new: State) -> bool:
    """Whether a case may go from `old` to `new`."""
    return new in MOVES[old]
