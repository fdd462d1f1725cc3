"""Whether different people can be found for all that several roles need."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from handrail.exceptions import HandrailError

Need = tuple[frozenset[str], int]
"""Who may fill a need, and how many of them it takes."""


def distinct_people(needs: Sequence[Need]) -> bool:
    """Whether every need can have its people when nobody serves two of them."""
    serves: dict[str, int] = {}
    return all(
        _serve(at, needs, serves) for at, (_, count) in enumerate(needs) for _ in range(count)
    )


def _serve(need: int, needs: Sequence[Need], serves: dict[str, int]) -> bool:
    """Find one more person for `need`, moving others between needs where that frees one.

    Source: augmenting paths of a bipartite matching, breadth first.
    """
    wanted_by: dict[str, int] = {}
    freed_by: dict[int, str] = {}
    waiting = deque([need])
    while waiting:
        wants = waiting.popleft()
        for who in needs[wants][0] - wanted_by.keys():
            wanted_by[who] = wants
            taken = serves.get(who)
            if taken is None:
                _move(who, need, wanted_by, freed_by, serves)
                return True
            if taken not in freed_by:
                freed_by[taken] = who
                waiting.append(taken)
    return False


def _move(  # the path that `_serve` found, as its three tables
    who: str,
    need: int,
    wanted_by: dict[str, int],
    freed_by: dict[int, str],
    serves: dict[str, int],
) -> None:
    """Let `who`, whom nobody has, fill the last need of the path, and so on to its first."""
    at = serves[who] = wanted_by[who]
    while at != need:
        who = freed_by[at]
        at = serves[who] = wanted_by[who]


class NobodyMayApprove(HandrailError):
    """What would be held, and nobody may approve: it is to be refused."""

    def __init__(self, why: str) -> None:
        super().__init__(f"nobody may approve it: {why}")
