"""What the heartbeats of an activity say: Temporal keeps it for the next attempt of the activity.

It outlives the worker, and the ledger too. Of a write they say whether something was sent: an
attempt that is not the first may find that the ledger knows nothing of the one before it, because
there was nothing to know, or because the ledger has lost it.
"""

from __future__ import annotations

import contextlib
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from temporalio import activity
from temporalio.client import AsyncActivityCancelledError, AsyncActivityHandle
from temporalio.service import RPCError, RPCStatusCode

from handrail.agent.invoke import HEARTBEAT
from handrail.agent.visibility import THINKING
from handrail.exceptions import NotDone

_SENT: Final = "sent"
_UNSENT: Final = "unsent"
_BY: Final = "by"
_SHOWN: Final = 2_000
_PATIENCE: Final = timedelta(seconds=5)


@dataclass
class Heartbeats:
    """What the heartbeats of one attempt say. `attempt`: its number.

    `scheduled`: when its first one was handed out. `said`: what they carry, at first what those of
    the attempt before it carried last. `sent`: whether this attempt has sent anything.
    """

    attempt: int = 1
    scheduled: datetime = field(default_factory=lambda: datetime.now(UTC))
    said: dict[str, Any] = field(default_factory=dict[str, Any])
    sent: bool = False
    began: tuple[float, float] = field(default_factory=lambda: (time.monotonic(), time.time()))
    """When this attempt began, by both clocks: one of them may stand still with its machine."""

    @classmethod
    def of_activity(cls) -> Heartbeats:
        """Those of the activity that runs."""
        info = activity.info()
        said = cast("dict[str, Any]", info.heartbeat_details[0] if info.heartbeat_details else {})
        return cls(info.attempt, info.scheduled_time.astimezone(UTC), said)

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
        self.said = {_SENT: self.attempt, _BY: owner}
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
        self.said = {THINKING: words[-_SHOWN:]}

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
        """Say, as the attempt fails, that nothing was sent so far, if that is known."""
        if not self.sent and self.nothing_sent(marked=marked):
            self.said = {_UNSENT: self.attempt}
            activity.heartbeat(self.said)


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
