"""SQLite's one writer: short transactions that wait for it at once share a commit.

The disk is waited for once for all of them (a group commit); nobody waits for company. Who asked
hears of it when it is committed, as of one that was alone.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

_MOST: Final = 64
"""Transactions that share a commit."""


@dataclass(frozen=True)
class _Job:
    transaction: Callable[[sa.Connection], Any]
    short: bool
    future: Future[Any] = field(default_factory=Future[Any])


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

    def submit(self, transaction: Callable[[sa.Connection], Any], *, short: bool) -> Future[Any]:
        """Have a transaction run. `short`: others need not wait long for it, and it not for them.

        One that shares a commit with one that raises is run once more, by itself.
        """
        job = _Job(transaction, short)
        with self._lock:
            self._waiting.append(job)
            works, self._works = self._works, True
        if not works:
            self._thread.submit(self._work)
        return job.future

    def shutdown(self) -> None:
        """Finish what was asked."""
        self._thread.shutdown()

    def _work(self) -> None:
        while jobs := self._next():
            self._run([job for job in jobs if job.future.set_running_or_notify_cancel()])

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
                    job.future.set_exception(error)
                return
            else:
                for job, answer in zip(jobs, answers, strict=True):
                    job.future.set_result(answer)
                return
        for job in jobs:
            try:
                answer = self._transact(job.transaction)
            except BaseException as error:  # noqa: BLE001  # whoever asked is told
                job.future.set_exception(error)
            else:
                job.future.set_result(answer)


def _all(jobs: list[_Job], connection: sa.Connection) -> list[Any]:
    try:
        return [job.transaction(connection) for job in jobs]
    except Exception as error:
        raise _OneFailed from error
