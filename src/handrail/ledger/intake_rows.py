"""What the intake keeps, as others hold it: plain values, without the SQL that keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class IntakeState(StrEnum):
    """What becomes of an entry."""

    WAITING = "waiting"
    """It is tried again by itself."""
    WRONG = "wrong"
    """It becomes no event as it is: somebody mends it, has it tried again, or drops it."""
    STARTED = "started"
    DROPPED = "dropped"


@dataclass(frozen=True)
class IntakeRow:
    """What somebody sent. `raw`: as they sent it, for the mapping of `source`; else an event.

    Of one that has ended, `body` is gone.
    """

    id: str
    agent: str
    source: str
    received: datetime
    state: IntakeState
    raw: bool
    body: str
    headers: dict[str, str]
    requested_by: str
    why: str
    case: str | None = None
    ended: datetime | None = None
    ended_by: str | None = None
    ended_why: str | None = None
