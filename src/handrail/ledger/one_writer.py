"""SQLite's one writer: short transactions that wait for it at once share a commit.

The disk is waited for once for all of them (a group commit); nobody waits for company. Who asked
hears of it when it is committed, as of one that was alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

_MOST: Final = 64
"""Transactions that share a commit."""


@dataclass(eq=False)
class _Job:
    """One transaction, and who asked for it. `error`: what it raised instead of an answer."""

    transaction: Callable[[sa.Connection], Any]
    short: bool
    asked: asyncio.Future[Any]
    answer: Any = None
    error: BaseException | None = None

    def tell(self) -> None:
        """Tell whoever asked, in whose loop this runs."""
        if self.asked.done():
            return  # nobody asks any more
        if self.error is None:
            self.asked.set_result(self.answer)
        else:
            self.asked.set_exception(self.error)


class _OneFailed(Exception):
    """One of those that were to share a commit has raised: nothing of any is kept."""


class OneWriter:
    """Runs transactions one after the other, in a thread of its own."""

    def __init__(self, transact: Callable[[Callable[[sa.Connection], Any]], Any]) -> None:
        """`transact`: runs one function in a transaction, and commits it."""
        self._transact = transact
        self._thread = ThreadPoolExecutor(1, "handrail-ledger")
        self._lock = threading.Lock()
        self._waiting = deque[_Job]()
        self._works = False

    def submit(
        self, transaction: Callable[[sa.Connection], Any], *, short: bool
    ) -> asyncio.Future[Any]:
        """Have a transaction run. `short`: others need not wait long for it, and it not for them.

        One that shares a commit with one that raises is run once more, by itself.
        """
        job = _Job(transaction, short, asyncio.get_running_loop().create_future())
        with self._lock:
            self._waiting.append(job)
            works, self._works = self._works, True
        if not works:
            self._thread.submit(self._work)
        return job.asked

    def shutdown(self) -> None:
        """Finish what was asked."""
        self._thread.shutdown()

    def _work(self) -> None:
        while jobs := self._next():
            self._run([job for job in jobs if not job.asked.cancelled()])
            _tell(jobs)

    def _next(self) -> list[_Job]:
        """The one that waits longest; if that is short, with the short ones right behind it."""
        with self._lock:
            found = list[_Job]()
            while self._waiting and len(found) < _MOST:
                if found and not (found[-1].short and self._waiting[0].short):
                    break
                found.append(self._waiting.popleft())
            self._works = bool(found)
        return found

    def _run(self, jobs: list[_Job]) -> None:
        if len(jobs) > 1:
            try:
                answers = self._transact(lambda connection: _all(jobs, connection))
            except _OneFailed:
                pass
            except BaseException as error:  # noqa: BLE001  # of the commit: it is of all of them
                for job in jobs:
                    job.error = error
                return
            else:
                for job, answer in zip(jobs, answers, strict=True):
                    job.answer = answer
                return
        for job in jobs:
            try:
                job.answer = self._transact(job.transaction)
            except BaseException as error:  # noqa: BLE001  # whoever asked is told
                job.error = error


def _tell(jobs: list[_Job]) -> None:
    """Tell those who asked: to wake a loop costs as much as a statement, so each is woken once."""
    asking: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        asking.setdefault(job.asked.get_loop(), []).append(job)
    for loop, of_it in asking.items():
        with contextlib.suppress(RuntimeError):  # it is closed, and nobody asks any more
            loop.call_soon_threadsafe(_tell_each, of_it)


def _tell_each(jobs: list[_Job]) -> None:
    for job in jobs:
        job.tell()


def _all(jobs: list[_Job], connection: sa.Connection) -> list[Any]:
    try:
        return [job.transaction(connection) for job in jobs]
    except Exception as error:
        raise _OneFailed from error
