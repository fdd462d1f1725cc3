"""What the heartbeats of an activity say: Temporal keeps it for the next attempt of the activity.

It outlives the worker, and the ledger too. Of a write they say whether something was sent: an
attempt that is not the first may find that the ledger knows nothing of the one before it, because
there was nothing to know, or because the ledger has lost it. And they say how many attempts ended
in a row without a word: a step that takes its worker along takes what else that runs along too.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from temporalio import activity
from temporalio.client import AsyncActivityCancelledError, AsyncActivityHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from handrail.agent.invoke import HEARTBEAT
from handrail.agent.visibility import THINKING
from handrail.exceptions import NotDone

_SENT: Final = "sent"
_UNSENT: Final = "unsent"
_BY: Final = "by"
_ENDED: Final = "ended"
_DEATHS: Final = "deaths"
_PUT_OFF: Final = "put off"
_NUMBERS: Final = (_SENT, _UNSENT, _ENDED, _PUT_OFF)
_BEFORE: Final = "before a reset"
_MOST: Final = 1_000_000
_SHOWN: Final = 2_000
_PATIENCE: Final = timedelta(seconds=5)

DEATHS = 10
"""Attempts in a row whose worker died before the next one is put off."""

UNANSWERED = 3
"""As many of a decide step count as one try that failed: each may have asked a model."""

DIED = "WorkerDied"
"""The type of the error of an attempt that is put off, since too many died before it."""

PAUSE: Final = timedelta(seconds=30)
APART: Final = timedelta(seconds=6)
_LONGEST_PAUSE: Final = timedelta(hours=1)


@dataclass
class Heartbeats:
    """What the heartbeats of one attempt say. `attempt`: its number, of all that there were.

    `scheduled`: when its first one was handed out. `said`: what they carry, at first what those of
    the attempt before it carried last. `sent`: whether this attempt has sent anything. `deaths`:
    how many attempts before it ended in a row without a word, as those do whose worker dies.
    """

    attempt: int = 1
    scheduled: datetime = field(default_factory=lambda: datetime.now(UTC))
    said: dict[str, Any] = field(default_factory=dict[str, Any])
    sent: bool = False
    deaths: int = 0
    began: tuple[float, float] = field(default_factory=lambda: (time.monotonic(), time.time()))
    """When this attempt began, by both clocks: one of them may stand still with its machine."""

    @classmethod
    def of_activity(cls) -> Heartbeats:
        """Those of the activity that runs."""
        info = activity.info()
        said = _kept(info.heartbeat_details, info.attempt)
        number = info.attempt + said.get(_BEFORE, 0)
        made = cls(number, info.scheduled_time.astimezone(UTC), said)
        if info.attempt > 1 and not info.is_local and said.get(_ENDED) != number - 1:
            # One that was put off has run nothing.
            deaths = said.get(_DEATHS, 0) + (not made._waited)
            made.deaths = min(deaths, info.attempt - 1)  # those before a reset count no more
        return made

    async def recall(self) -> None:
        """Count the attempts before a reset of the activity, which numbers the next ones from 1.

        Of what they said it may keep nothing; then one of them may have sent something. It is
        kept when this returns.

        Raises:
            RPCError: as `mark_sent`.
        """
        info = activity.info()
        again = info.current_attempt_scheduled_time > info.scheduled_time
        if info.is_local or info.attempt > 1 or not again:
            return
        if not self.said and not await _began_before(info):
            return  # it was paused before its first attempt
        self.said = self.said or {_SENT: 1}
        # Each of them had a number, the last one also if it said nothing.
        before = max(self.attempt, *(self.said.get(each, 0) for each in _NUMBERS))
        self.said, self.attempt = self.said | {_BEFORE: before}, info.attempt + before
        await self._keep()

    @property
    def _waited(self) -> bool:
        return self.said.get(_PUT_OFF) == self.attempt - 1

    async def spread_deaths(self, step: str, most: int) -> None:
        """Put this attempt off if `most` or more before it took their workers along.

        Each time for twice as long. The pauses are drawn, so that what ran beside the guilty one,
        and died with it, does not meet it again each time. The number is kept when this returns.

        Raises:
            ApplicationError: if it is put off; `DIED`.
            RPCError: as `mark_sent`.
        """
        if not self.deaths:
            return
        if self.deaths >= most and not self._waited:
            longest = min(PAUSE * 2 ** min(self.deaths - most, 30), _LONGEST_PAUSE)
            self.said = self._known() | {_PUT_OFF: self.attempt}
            raise ApplicationError(
                f"its worker died or was cut off {self.deaths} times in a row while {step} ran: "
                "out of memory, or an exit; see the end of its log",
                type=DIED,
                next_retry_delay=longest * random.uniform(0.5, 1),  # noqa: S311  # no secret
            )
        if self.deaths == most - 1:
            # Apart from what died beside it. If its worker dies meanwhile, it has run nothing.
            self.said = self._known() | {_PUT_OFF: self.attempt}
            await self._keep()
            await asyncio.sleep(APART.total_seconds() * random.random())  # noqa: S311  # no secret
        waited = (_PUT_OFF, self.attempt)
        self.said = dict(each for each in self._known().items() if each != waited)
        await self._keep()

    def mark_ended(self) -> None:
        """Say, as the attempt fails, that its worker lives."""
        if self.said.get(_PUT_OFF) != self.attempt:
            self.said = {k: v for k, v in self.said.items() if k != _DEATHS} | {
                _ENDED: self.attempt
            }
        activity.heartbeat(self.said)

    def _known(self) -> dict[str, Any]:
        return self.said | ({_DEATHS: self.deaths} if self.deaths else {})

    def nothing_sent(self, *, marked: bool, abandoned: int = 0) -> bool:
        """Whether no attempt before this one has sent anything that may have an effect.

        `marked`: each marks it before it sends; of the others only one that ended knew it.
        `abandoned`: up to which one the ledger knows that they ended without an effect.
        """
        if marked:
            return self.said.get(_SENT, 0) <= abandoned
        last = self.attempt - 1
        return abandoned >= last or self.said.get(_UNSENT) == last

    @property
    def sent_by(self) -> str:
        """The name, in the ledger, of the attempt that sent something last; empty if not known."""
        return str(self.said.get(_BY, ""))

    async def mark_sent(self, owner: str) -> None:
        """Have Temporal keep that `owner` sends something now. It is kept when this returns.

        Raises:
            RPCError: if the server does not answer, or takes this attempt for over.
        """
        self.said = self._known() | {_SENT: self.attempt, _BY: owner}
        await self._keep()

    async def _keep(self) -> None:
        handle = _own_handle()
        if handle is None:
            return
        # Those on their way in the SDK, which sends them when it likes, must not say less.
        activity.heartbeat(self.said)
        # What has begun is carried to its end, also when its case is stopped.
        with contextlib.suppress(AsyncActivityCancelledError):
            await handle.heartbeat(self.said)

    def thinks(self, words: str) -> None:
        """Have the next ones show the end of what a model has said so far: it is in no history."""
        self.said = self.said | {THINKING: words[-_SHOWN:]}

    async def superseded(self) -> bool:
        """Whether Temporal took this attempt for over, so that another may have followed it.

        It is asked only of one that went on for longer than it may be silent.
        """
        now, handle = (time.monotonic(), time.time()), _own_handle()
        since = max(each - began for each, began in zip(now, self.began, strict=True))
        if handle is None or since < HEARTBEAT.total_seconds():
            return False
        try:
            await handle.heartbeat(*([self.said] if self.said else []), rpc_timeout=_PATIENCE)
        except AsyncActivityCancelledError:
            return False  # its case is ending, and waits for it
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    async def require_current(self) -> None:
        """See that no attempt has followed this one, which waited for long and seemed dead.

        It would take what that one is to do, and have it fail and wait anew.

        Raises:
            NotDone: if one has.
        """
        if await self.superseded():
            raise NotDone("another attempt has followed this one, which was taken for dead")

    def mark_unsent(self, *, marked: bool) -> None:
        """Have `mark_ended` say that nothing was sent so far, if that is known."""
        if not self.sent and self.nothing_sent(marked=marked):
            self.said = self.said | {_UNSENT: self.attempt}


def _kept(details: Sequence[Any], attempt: int) -> dict[str, Any]:
    """What the attempts before one said, of whom the last may have sent something if that is none.

    Whoever reaches the server can say anything in their name.
    """
    said: Any = details[0] if details else {}
    if isinstance(said, dict):
        known = cast("dict[str, Any]", said)
        numbers = [known.get(each, 0) for each in (*_NUMBERS, _DEATHS, _BEFORE)]
        sound = all(type(each) is int and each <= _MOST for each in numbers)
        if sound and isinstance(known.get(_BY, ""), str):
            return known
    return {_SENT: attempt - 1}


async def _began_before(info: activity.Info) -> bool:
    """Whether an attempt of an activity came before the one that runs, or the server is away."""
    case = activity.client().get_workflow_handle(
        info.workflow_id or "", run_id=info.workflow_run_id
    )
    try:
        found = (await case.describe()).raw_description.pending_activities
    except RPCError:
        return True
    own = (each for each in found if each.activity_id == info.activity_id)
    return any(each.HasField("last_attempt_complete_time") for each in own)


def _own_handle() -> AsyncActivityHandle | None:
    """The activity that runs, as the server has it; None if no server handed it out."""
    info = activity.info() if activity.in_activity() else None
    if info is None or info.started_time.timestamp() <= 0:
        return None
    return activity.client().get_async_activity_handle(task_token=info.task_token)


_current: ContextVar[Heartbeats] = ContextVar("handrail_heartbeats")


def current_heartbeats() -> Heartbeats:
    """Those of the activity that runs; outside of one those of a first attempt."""
    return _current.get(None) or Heartbeats()


def heartbeats_begin() -> Heartbeats:
    """Make those of the running activity the current ones."""
    made = Heartbeats.of_activity()
    _current.set(made)
    return made
