"""Steps that block their thread, and such as do not."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from typing_extensions import override

from handrail import Action, Decision, Effect, Event, NoEvidence, decide, write

SENT: list[tuple[str, float]] = []
"""Keys of the effects, and when they were made."""

NOT_LONG = timedelta(seconds=1.5)


class Chore(Event):
    """A chore. `blocks`: for how many seconds deciding on it blocks."""

    number: str
    blocks: float = 0
    plain: bool = False
    takes: float = 0

    @property
    @override
    def key(self) -> str:
        return self.number


class Put(Action):
    """Put it there."""

    takes: float


class PutPlain(Action):
    """Put it there, with a client that blocks."""

    takes: float


@decide
async def ponder(chore: Chore) -> Decision[Put, NoEvidence]:
    """Decide."""
    time.sleep(chore.blocks)  # noqa: ASYNC251  # what it is about
    action = Put(takes=chore.takes)
    return Decision(action=action, rationale="due", confidence=1, evidence=NoEvidence())


@decide
def ponder_plainly(chore: Chore) -> Decision[PutPlain, NoEvidence]:
    """Decide."""
    time.sleep(chore.blocks)
    action = PutPlain(takes=chore.takes)
    return Decision(action=action, rationale="due", confidence=1, evidence=NoEvidence())


@write(timeout=NOT_LONG)
async def put(action: Put, effect: Effect) -> float:
    """Put it there."""
    SENT.append((effect.key, time.monotonic()))
    await asyncio.sleep(action.takes)
    return action.takes


@write(timeout=NOT_LONG)
def put_plain(action: PutPlain, effect: Effect) -> float:
    """Put it there."""
    time.sleep(action.takes)
    SENT.append((effect.key, time.monotonic()))
    return action.takes


STEPS = [ponder, ponder_plainly, put, put_plain]
