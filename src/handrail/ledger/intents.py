"""Intents: what is said of a write before it is made, and what beginning it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from handrail.actions import LedgerMark, Receipt
from handrail.exceptions import HandrailError, NotDone
from handrail.ledger.orders import Controls
from handrail.ledger.tables import EffectState

if TYPE_CHECKING:
    from pydantic import JsonValue

    from handrail.ledger.entries import OrderRow


@dataclass(frozen=True)
class Intent:
    """Write-ahead intent: what a worker is about to do, until its `deadline` at the latest.

    `uses`: the single-use ids of the rulings that allow it. `mandates`: the standing ones that
    do, each with the number of its most uses. `evidence` and `confidence`: of the decision, if
    there was one. `alone`: no human was asked; None of an undo. `share`: the chance, 0..1, with
    which it is put before a human afterwards (`reviews.share`); None where none is. `attempt`: the
    number of its attempt, at least.
    """

    key: str
    case: str
    agent: str
    step: str
    digest: str
    action: Mapping[str, JsonValue]
    policy: str
    owner: str
    deadline: datetime
    uses: tuple[str, ...] = ()
    mandates: tuple[tuple[str, int], ...] = ()
    evidence: JsonValue = None
    confidence: float | None = None
    alone: bool | None = None
    share: float | None = None
    attempt: int = 1


@dataclass(frozen=True)
class EffectRow:
    """What the ledger knows of one effect.

    `attempt`: a number that rises whenever another attempt takes it over: a fencing token.
    """

    key: str
    case: str
    step: str
    digest: str
    state: EffectState
    owner: str
    deadline: datetime
    begun: datetime
    receipt: Receipt | None
    error: str | None
    alone: bool | None = None
    share: float | None = None
    attempt: int = 1


class Stopped(HandrailError):  # says what happened, and is caught by the door
    """A stop is in force; nothing was recorded."""

    def __init__(self, order: OrderRow) -> None:
        """Name the `order`; who gave it, when and why is said of it by `oversight.orders`."""
        self.order = order
        super().__init__(f"the stop {order.id} is in force")


class Outdated(NotDone):  # says what happened, and is caught by the door
    """What a write was judged by is not so any more; nothing was recorded."""


@dataclass(frozen=True)
class BeginResult:
    """What beginning came to: `before` is None when the intent is new, or what was there already.

    `stop`: a stop that came after it was begun. `attempt`: the number of the attempt. `mark`: how
    high the ledger is with it. `abandoned`: the number of the last one that is known to have ended
    without an effect. `lost`: since when one may have been sent that the ledger had lost.
    """

    before: EffectRow | None
    stop: Stopped | None = None
    attempt: int = 1
    mark: LedgerMark | None = None
    abandoned: int = 0
    lost: datetime | None = None


@dataclass(frozen=True)
class Situation(Controls):
    """Snapshot of what a door judges by.

    `effect`: what is known under the key of the write, if anything, and if it was looked at.
    """

    effect: EffectRow | None = None
