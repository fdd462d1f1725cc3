"""The recorder of a worker process: it keeps the records of cases in the ledger, beside the cases.

What it has not written yet is lost with its process, and found again by a sweep over the histories.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from handrail.exceptions import LedgerUnavailable, RowConflict
from handrail.runtime.records import RecordInterceptor

if TYPE_CHECKING:
    from handrail.ledger import CaseRecord, Ledger

EVERY = 1.0
"""Seconds between two times that it writes."""

MOST_WAITING = 10_000
"""Records that wait for a ledger that is away; those of more cases are left to the sweep."""

_AT_ONCE = 100
"""Records in one transaction: a write that waits for it meanwhile waits some milliseconds."""

log = logging.getLogger("handrail.recorder")


class CaseRecorder:
    """What waits to be written: of each case its last record."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._new: dict[str, CaseRecord] = {}

    def put(self, record: CaseRecord) -> None:
        """Take a record, from any thread; it never waits."""
        case = record.case.case
        if case in self._new or len(self._new) < MOST_WAITING:
            self._new[case] = record

    async def flush(self) -> None:
        """Write all that waits. What a ledger that is away does not take is tried the next time."""
        while self._new:
            batch = [self._new.pop(case) for case in list(self._new)[:_AT_ONCE]]
            if not await self._write(batch):
                return

    async def _write(self, batch: list[CaseRecord]) -> bool:
        """Write some at once; where one of them is not taken, each alone. False: it is away."""
        try:
            await self._ledger.record_cases(batch)
        except Exception as error:  # noqa: BLE001  # whatever one of them holds is of its case alone
            if isinstance(error, LedgerUnavailable) and not isinstance(error, RowConflict):
                for each in batch:
                    self._new.setdefault(each.case.case, each)
                return False
            if len(batch) > 1:
                return all([await self._write([each]) for each in batch])
            log.warning("the record of %s is not kept: %s", batch[0].case.case, error)
        return True


@contextlib.asynccontextmanager
async def recording(ledger: Ledger) -> AsyncGenerator[RecordInterceptor]:
    """Keep, once a second and at the end, what the interceptor of workers hands over."""
    recorder = CaseRecorder(ledger)

    ending = asyncio.Event()

    async def write() -> None:
        # Not cancelled: what it has in its hands then would be lost.
        while not ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), EVERY)
            await recorder.flush()

    writing = asyncio.create_task(write())
    try:
        yield RecordInterceptor(recorder.put)
    finally:
        ending.set()
        await writing
