"""The attempt that left an intent without a receipt: until when it may be sent, and take effect.

Where its machine is this one, its own deadline says so, by the clock that both have. Of another
machine nothing is known but that the intent was there at the first look: from then on its whole
time is waited for by this machine's monotonic clock. Two wall clocks are never compared.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporalio import activity
from temporalio.service import RPCError, RPCStatusCode

from handrail.agent import current_heartbeats
from handrail.exceptions import NotDone
from handrail.guardrails.machine import (
    begins_until,
    is_over,
    process_of,
    server_start,
    server_time,
    stands_still,
)
from handrail.ledger import EffectState
from handrail.oversight import LIFTED_SIGNAL
from handrail.text import moment_in_words

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from handrail.actions import Receipt
    from handrail.agent import Write
    from handrail.guardrails.context import WriteContext
    from handrail.guardrails.recorder import Recorder
    from handrail.ledger import EffectRow, Ledger
    from handrail.wire import Attempt, ReceiptRequest

POLL = timedelta(milliseconds=200)
"""How often an attempt looks whether the one before it is over."""

LATE = "late"
"""The kind of the incidents of writes that happened when their case had ended."""

_SIGNAL = timedelta(seconds=5)
_LONGEST_PAUSE = 5.0
_PATIENCE = 10.0


_ARRIVES = "|arrives until "
"""In the token of a doubt, before the time until which its request may take effect."""


@dataclass(frozen=True)
class Doubt:
    """Nobody can know whether the effect happened. `token` names the attempt in doubt.

    `since`: when it was sent. `until`: until when that may take effect; None where nobody says.
    """

    token: str
    since: datetime
    until: datetime | None = None

    def words(self, write: WriteContext) -> str:
        """It as people are told it."""
        if self.until is None:
            arrives = "it may have taken effect since"
        else:
            until = moment_in_words(self.until)
            arrives = (
                f'it may take effect until {until}: look again after that before you answer "do it"'
            )
        return (
            f"{write.step} was sent at {moment_in_words(self.since)} and broken off; the outside "
            "system cannot be asked whether it happened, or is not trusted to say; "
            f"{arrives}; its key is {write.attempt.key}"
        )


def answers(attempt: Attempt, owner: str, *, timed: bool, known: bool) -> bool:
    """Whether what people said is of the doubt that `owner` left, and not said too early.

    `timed`: whether it was to say until when its request may take effect; `known`: whether its
    token is as the door made it.
    """
    said = attempt.doubt
    about, _, until = (said.token if said else "").partition(_ARRIVES)
    if said is None or about != owner or said.answer != "do it":
        return said is not None and about == owner
    until = until.partition("#")[0]  # what follows is its seal
    if not timed or not known or not until:
        return not timed
    return _ruled_at(attempt) >= datetime.fromisoformat(until)


def _ruled_at(attempt: Attempt) -> datetime:
    """When people last answered, and not later than now: what they saw may have changed."""
    now = server_time()
    return min(now, max((each.at for each in attempt.rulings if each.answer), default=now))


async def forgotten(ledger: Ledger, step: Write[Any, Any], attempt: Attempt) -> datetime | None:
    """Since when a write may have been sent that the ledger knows nothing of; None if it was not.

    What Temporal kept says so, of this activity or, in `attempt.sent`, of one before it.
    """
    heartbeats = current_heartbeats()
    if attempt.sent is None and heartbeats.nothing_sent(marked=step.marked):
        return None
    row = await ledger.effect(attempt.key)
    if row is not None and row.state is not EffectState.NOT_DONE:
        return None
    if row is not None and not row.digest:  # noted so before
        return row.begun
    abandoned = 0 if row is None else row.attempt
    sent = attempt.sent if row is None else None
    if sent is None and heartbeats.nothing_sent(marked=step.marked, abandoned=abandoned):
        return None
    return min(sent or heartbeats.scheduled, heartbeats.scheduled)


async def unknown(ledger: Ledger, attempt: Attempt) -> str:
    """Whose attempt it is of which nobody knows whether it happened; empty if there is none."""
    row = await ledger.effect(attempt.key)
    return row.owner if row is not None and row.state is EffectState.INTENDED else ""


async def settled(step: Write[Any, Any], grace: timedelta) -> None:
    """Wait until nothing may arrive any more of an attempt that the ledger does not know."""
    most = step.timeout + (step.settles or timedelta(0)) + grace
    await asyncio.sleep(most.total_seconds())


async def receipt_time(ledger: Ledger, asked: ReceiptRequest) -> datetime | None:
    """When the effect of a case's own write happened; None if no receipt says that it did."""
    own = asked.key.startswith(f"{asked.case}/")
    row = await ledger.effect(asked.key) if own else None
    return None if row is None or row.receipt is None else row.receipt.at


async def tell_if_late(recorder: Recorder, write: WriteContext, receipt: Receipt) -> None:
    """Have the case look again, if people may be asked meanwhile what became of this attempt."""
    if not await current_heartbeats().superseded():
        return
    handle = activity.client().get_workflow_handle(write.attempt.case)
    try:
        await handle.signal(LIFTED_SIGNAL, rpc_timeout=_SIGNAL)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            return  # the case looks by itself, though later
        why = f"{receipt.key} happened after all, and its case had ended: see whether that is right"
        await recorder.incident(write, LATE, why)


class _Looks:
    """When this process first saw of each attempt that its intent is there, or that it is over.

    An attempt that was taken for dead as it waited, on a busy machine, is followed by another in
    this very process: what was waited for already is not waited for anew.
    """

    def __init__(self, most: int) -> None:
        self._at = OrderedDict[tuple[str, str, datetime, str], float]()
        self._most = most

    def first(self, row: EffectRow, what: str, now: float) -> float:
        """When this was first seen; `now` where it was not."""
        at = self._at.setdefault((row.key, row.owner, row.begun, what), now)
        while len(self._at) > self._most:
            self._at.popitem(last=False)
        return at


_looks = _Looks(most=10_000)


@dataclass
class Predecessor:
    """The attempt of an intent in `row`; None of one that the ledger does not know.

    `timeout`: of its step. `settles`: how long after it was sent its request may take effect;
    None where nobody has said so.
    """

    row: EffectRow | None
    timeout: timedelta
    settles: timedelta | None
    grace: timedelta
    looked: float = field(default_factory=time.monotonic)
    """When it was first looked at, by the monotonic clock."""

    def __post_init__(self) -> None:
        """Nothing is waited for anew when it is looked at again."""
        self._sent_until = self._first_sent_until()

    def _first_sent_until(self) -> float:
        owner = "" if self.row is None else self.row.owner
        known = begins_until(owner)
        if self.row is not None and is_over(owner):
            looked = _looks.first(self.row, "over", self.looked)
            return looked if known is None else min(known, looked)
        if known is None:
            looked = self.looked if self.row is None else _looks.first(self.row, "", self.looked)
            return looked + self.timeout.total_seconds()
        # One whose time is over and that lives may have been frozen: it is about to say what came.
        return max(known, self.looked)

    def _see(self, row: EffectRow) -> bool:
        """Look at its row again. Whether another attempt has it now, or it said that it ended."""
        changed = self.row is None or row.owner != self.row.owner
        self.row = row
        if changed:
            self.looked = time.monotonic()
            self._sent_until = self._first_sent_until()
        return changed

    @property
    def over(self) -> bool:
        """Whether it has certainly ended."""
        return self.row is not None and is_over(self.row.owner)

    def doubt(self, owner: str, since: datetime) -> Doubt:
        """The question that it leaves. `owner`: as the ledger has it; `since`: when it was sent.

        Its token is to be sealed where it may take effect later: who strips the time from it could
        say "do it" before that.
        """
        if self.settles is None:
            return Doubt(owner, since)
        if time.monotonic() >= self._settled_at:
            return Doubt(f"{owner}{_ARRIVES}{since.isoformat()}", since)
        left = timedelta(seconds=self._settled_at - self.looked)
        until = server_start() + left + self.grace
        return Doubt(f"{owner}{_ARRIVES}{until.isoformat()}", since, until)

    @property
    def _settled_at(self) -> float:
        return self._sent_until + (self.settles or timedelta(0)).total_seconds()

    async def ended(self, ledger: Ledger) -> EffectRow:
        """Wait until it cannot begin its effect any more. How its row stands then.

        Raises:
            NotDone: if it goes on for long: a thread of it, or a loop that stands still.
        """
        assert self.row is not None  # noqa: S101  # whoever waits has seen it
        patience = time.monotonic() + 2 * self.timeout.total_seconds() + _PATIENCE
        while True:
            if stands_still(self.row.owner):
                # It may be past its last look at the clock, and send as soon as it goes on.
                self._sent_until = max(self._sent_until, time.monotonic())
            ended = self.over or time.monotonic() > self._sent_until + self.grace.total_seconds()
            # The owner may have finished between the last look and its end.
            row = await ledger.effect(self.row.key) or self.row
            changed = self._see(row)
            if row.state is not EffectState.INTENDED or (ended and not changed):
                return row
            if changed and time.monotonic() > patience:
                raise NotDone(
                    "the attempt before this one goes on past its time, and is awaited: its thread "
                    f"in {process_of(row.owner)} does not end; fix: give the step's client a "
                    "time-out of its own, and replace that worker"
                )
            if not changed:
                await asyncio.sleep(POLL.total_seconds())

    async def looks(self) -> AsyncGenerator[None]:
        """Whenever to look whether it has happened; the last time when its request has settled."""
        pause = POLL.total_seconds()
        while True:
            left = self._settled_at - time.monotonic()
            yield
            if left <= 0:
                return
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
