"""Is this ledger the agent's, and as high as it was? Temporal and the worker know both.

A ledger of another machine, or one that was put back or failed over, knows nothing of what was
written since: the door would write it again, limits would be empty, and stops lifted. The agent's
steward, in Temporal, holds which ledger it is and how high it was last; the cases hold it in
their receipts; and the worker remembers what it saw itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from handrail.actions import LedgerMark
from handrail.exceptions import HandrailError

HeldLedger = Callable[[timedelta], Awaitable[LedgerMark | None]]
"""Asks which ledger an agent's steward holds; None where there is none, or it holds none yet. For
the latter it is waited so long."""

ASK_AGAIN = timedelta(seconds=10)
"""How old what is known of the steward may be."""

FIRST = timedelta(seconds=5)
"""How long a steward that has just begun is waited for, which a worker must look for."""

_SOON = timedelta(seconds=1)


class LedgerMismatch(HandrailError):
    """This ledger is not the one that the agent's writes are in, or lacks some of them."""


@dataclass
class LedgerWatch:
    """What one worker knows of one agent's ledger. `known`: the highest that was right."""

    agent: str = ""
    held: HeldLedger | None = None
    known: LedgerMark | None = None

    def __post_init__(self) -> None:
        """Nobody was asked yet."""
        self._ask_at = 0.0
        self._asking = asyncio.Lock()

    async def expected(self) -> LedgerMark | None:
        """The least that a look which begins now must find; None if nobody knows.

        Raises:
            RPCError: if the server does not answer.
        """
        if self.held is None or time.monotonic() < self._ask_at:
            return self.known
        async with self._asking:
            if time.monotonic() >= self._ask_at:
                told = await self.held(timedelta(0) if self._ask_at else FIRST)
                self._ask_at = time.monotonic() + ASK_AGAIN.total_seconds()
                self.learn(told)
        return self.known

    def require(
        self, mark: LedgerMark, expected: LedgerMark | None, of_case: LedgerMark | None = None
    ) -> None:
        """See that a ledger is the agent's, and as high as was `expected` before it was looked at.

        `of_case`: that of its last receipt.

        Raises:
            LedgerMismatch: if it is another, or is lower.
        """
        # Of an earlier ledger of the agent a case knows nothing that still counts.
        if of_case is not None and of_case.id == mark.id:
            self._compare(mark, of_case)
        if expected is not None:
            self._compare(mark, expected)
        self.learn(mark)

    def learn(self, mark: LedgerMark | None) -> None:
        """Remember how high the agent's ledger was seen."""
        if mark is None:
            return
        if self.known is None or mark.id != self.known.id or mark.height > self.known.height:
            self.known = mark

    def _compare(self, mark: LedgerMark, known: LedgerMark) -> None:
        fix = f"`handrail ledger accept {self.agent} --by ... --why ...` goes on with this one"
        if mark.id != known.id:
            self._ask_soon()
            raise LedgerMismatch(
                f"this worker has another ledger than the agent's ({mark.id[:12]}, and "
                f"{self.agent} writes in {known.id[:12]}); nothing was written; fix: give "
                f"HANDRAIL_LEDGER_URL the agent's ledger, the same for each of its workers; {fix}"
            )
        if mark.height < known.height:
            self._ask_soon()
            raise LedgerMismatch(
                f"the ledger of {self.agent} went back in time: its height is {mark.height}, and "
                f"was {known.height}; it was put back, or failed over, and lacks writes; nothing "
                f"was written; fix: put back what it lacks, or see what that was; then {fix}"
            )

    def _ask_soon(self) -> None:
        self._ask_at = min(self._ask_at, time.monotonic() + _SOON.total_seconds())
