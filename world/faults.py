"""Faults on order, for tests that must hit one exact moment of a write."""

import asyncio
import os
import signal
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

Surface = Literal["bookings", "stickers", "pickups"]


class Moment(StrEnum):
    """When a fault strikes."""

    BEFORE = "before"
    """The call is in the ledger of calls; nothing was done yet."""
    AFTER = "after"
    """The effect is committed; nothing was answered yet."""


class Fault(BaseModel, frozen=True, extra="forbid"):
    """First wait for ``delay``, then do as ``then`` says; for the next ``times`` writes."""

    on: Surface
    at: Moment
    method: Literal["POST", "DELETE"] = "POST"
    delay: timedelta = timedelta()
    """In JSON: seconds, or ISO 8601 (``PT0.5S``)."""
    then: Literal["go_on", "error", "drop", "kill", "echo", "rearrange"] = "go_on"
    """``error`` answers 500, ``drop`` cuts the connection, ``kill`` is kill -9 of the service.
    ``echo`` answers 400 and repeats what it was sent, credentials too. ``rearrange``, after a
    booking: it is confirmed as ordered, and the carrier puts it on a later flight all the same."""
    times: int = Field(default=1, ge=1)
    consignment: str | None = None
    """Only writes for it, where the request names one."""


class Dropped(Exception):
    """Cut the connection instead of answering."""


class Faults:
    """The faults still to come, in the order given. They live and die with the process."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Arm another one."""
        self._pending.append(fault)

    def clear(self) -> None:
        """Disarm all."""
        self._pending.clear()

    def pending(self) -> tuple[Fault, ...]:
        """Those still armed."""
        return tuple(self._pending)

    async def strike(
        self, at: Moment, *, on: Surface, method: str, consignment: str | None = None
    ) -> Fault | None:
        """Do what the first fault that fits says, and return it; nothing if none does.

        What takes more than a pause or an error is left to the caller.

        Raises:
            HTTPException: it says ``error``.
            Dropped: it says ``drop``.
        """
        fault = self._take(at, on=on, method=method, consignment=consignment)
        if fault is None:
            return None
        await asyncio.sleep(fault.delay.total_seconds())
        if fault.then == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.then == "drop":
            raise Dropped
        if fault.then == "error":
            raise HTTPException(500, f"a fault on order, {at} the commit: try again")
        return fault

    def _take(
        self, at: Moment, *, on: Surface, method: str, consignment: str | None
    ) -> Fault | None:
        for index, fault in enumerate(self._pending):
            fits = (fault.at, fault.on, fault.method) == (at, on, method)
            if fits and fault.consignment in (None, consignment):
                left = fault.times - 1
                self._pending[index : index + 1] = (
                    [fault.model_copy(update={"times": left})] if left else []
                )
                return fault
        return None
