"""A fake outside world, with a ledger of its own that tests count against.

It is an SQLite file, so that steps in any process reach it, and what it took is there
after a kill -9 of whoever called. Steps find it by `Outside.current()`; a test puts one
there with `Outside.installed`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

from handrail.testing.stage import eventually

_VARIABLE = "OUTSIDE_WORLD"
"""Says where it is to steps in this process and in its children."""

_POLL = timedelta(milliseconds=20)

_TABLES = """
pragma journal_mode=wal;
create table if not exists calls (
    number integer primary key, surface text, key text, body text, result text, new integer
);
create table if not exists faults (surface text, at text, left integer, says text);
create table if not exists shut (surface text primary key);
"""


class OutsideError(ConnectionError):
    """What a caller gets from an outside system that fails: nobody knows whether it did it."""


@dataclass(frozen=True)
class Call:
    """One call that the outside world took. `new`: it had an effect, it was no repetition."""

    surface: str
    key: str
    body: Any
    new: bool


class Outside:
    """The outside world: any number of surfaces ("bank", "post"), each of one of three kinds.

    `put` takes a key and does nothing twice. `do` does it every time. What either did is
    found again by `find`. A surface can fail before or after it has done what was asked,
    and can keep a caller waiting.
    """

    def __init__(self, path: Path) -> None:
        """Open the world in that file, made if it is not there."""
        self.path = path
        if not path.exists():
            with contextlib.closing(sqlite3.connect(path, timeout=10)) as db:
                db.executescript(_TABLES)

    @classmethod
    def current(cls) -> Self:
        """The world that is installed.

        Raises:
            LookupError: if none is.
        """
        if _VARIABLE not in os.environ:
            raise LookupError("no outside world is installed; use `with outside.installed():`")
        return cls(Path(os.environ[_VARIABLE]))

    @contextlib.contextmanager
    def installed(self) -> Generator[Self]:
        """Let steps find this world, here and in processes started from now on."""
        before = os.environ.get(_VARIABLE)
        os.environ[_VARIABLE] = str(self.path)
        try:
            yield self
        finally:
            os.environ.pop(_VARIABLE)
            if before is not None:
                os.environ[_VARIABLE] = before

    # What steps call

    async def put(self, surface: str, key: str, body: Any = None) -> str:
        """Do it once for each key; the same key again returns what the first call did.

        Raises:
            OutsideError: as `break_down` planned.
        """
        return await self._call(surface, key, body, once=True)

    async def do(self, surface: str, reference: str, body: Any = None) -> str:
        """Do it, however often it was done before.

        Raises:
            OutsideError: as `break_down` planned.
        """
        return await self._call(surface, reference, body, once=False)

    async def find(self, surface: str, reference: str) -> str | None:
        """What the first call with this reference returned, or None if there was none.

        Raises:
            OutsideError: as `break_down` planned for the surface `find`.
        """
        await asyncio.to_thread(self._fail, "find", "before")
        return await asyncio.to_thread(self._find, surface, reference)

    # What tests plan

    def break_down(
        self,
        surface: str,
        at: Literal["before", "after"] = "before",
        *,
        times: int = 1,
        says: str = "connection reset",
    ) -> None:
        """Let the next calls fail before, or after, they have done what was asked."""
        with self._open() as db:
            db.execute("insert into faults values (?, ?, ?, ?)", (surface, at, times, says))

    def mend(self, surface: str) -> None:
        """Let it fail no more."""
        with self._open() as db:
            db.execute("delete from faults where surface = ?", (surface,))

    @contextlib.contextmanager
    def kept_waiting(self, surface: str) -> Generator[None]:
        """Keep callers of the surface waiting, before anything is done, in this context."""
        with self._open() as db:
            db.execute("insert or ignore into shut values (?)", (surface,))
        try:
            yield
        finally:
            with self._open() as db:
                db.execute("delete from shut where surface = ?", (surface,))

    def forget(self) -> None:
        """Forget every call, as if nothing had happened yet."""
        with self._open() as db:
            db.execute("delete from calls")

    # What tests count

    def calls(self, surface: str | None = None) -> list[Call]:
        """Every call that was taken, in order, repetitions too."""
        with self._open() as db:
            rows = db.execute("select surface, key, body, new from calls order by number")
            found = [Call(s, k, json.loads(b), bool(n)) for s, k, b, n in rows]
        return [call for call in found if surface in {None, call.surface}]

    def effects(self, surface: str | None = None) -> list[str]:
        """The keys of what was really done, in order, each as often as it was done."""
        return [call.key for call in self.calls(surface) if call.new]

    def doubled(self) -> list[tuple[str, str]]:
        """What was done more than once, as surface and key. It should be empty."""
        done = Counter((call.surface, call.key) for call in self.calls() if call.new)
        return [what for what, times in done.items() if times > 1]

    async def arrived(self, surface: str) -> None:
        """Wait until somebody is kept waiting at the surface.

        Raises:
            TimeoutError: if nobody comes in time.
        """

        async def somebody() -> bool:
            return self._waiting(surface).exists()

        await eventually(somebody, what=f"a call of {surface}")

    async def _call(self, surface: str, key: str, body: Any, *, once: bool) -> str:
        await asyncio.to_thread(self._fail, surface, "before")
        while await asyncio.to_thread(self._is_shut, surface):
            self._waiting(surface).touch()
            await asyncio.sleep(_POLL.total_seconds())
        self._waiting(surface).unlink(missing_ok=True)
        # In one go: whoever gives up meanwhile does not keep the world from doing it.
        result = await asyncio.to_thread(self._take, surface, key, body, once=once)
        await asyncio.to_thread(self._fail, surface, "after")
        return result

    def _take(self, surface: str, key: str, body: Any, *, once: bool) -> str:
        with self._open() as db:
            first = self._first(db, surface, key) if once else None
            number = db.execute("select count(*) from calls").fetchone()[0] + 1
            result = first or f"{surface}-{number}"
            values = (number, surface, key, json.dumps(body), result, first is None)
            db.execute("insert into calls values (?, ?, ?, ?, ?, ?)", values)
            return result

    def _find(self, surface: str, reference: str) -> str | None:
        with self._open() as db:
            return self._first(db, surface, reference)

    def _first(self, db: sqlite3.Connection, surface: str, key: str) -> str | None:
        query = "select result from calls where surface = ? and key = ? order by number limit 1"
        row = db.execute(query, (surface, key)).fetchone()
        return row[0] if row else None

    def _fail(self, surface: str, at: str) -> None:
        with self._open() as db:
            query = "select rowid, says from faults where surface = ? and at = ? and left > 0"
            row = db.execute(query, (surface, at)).fetchone()
            if row is None:
                return
            db.execute("update faults set left = left - 1 where rowid = ?", (row[0],))
        raise OutsideError(row[1])

    def _is_shut(self, surface: str) -> bool:
        with self._open() as db:
            return (
                db.execute("select 1 from shut where surface = ?", (surface,)).fetchone()
                is not None
            )

    def _waiting(self, surface: str) -> Path:
        return self.path.with_suffix(f".{surface}.waiting")

    @contextlib.contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        """One transaction, committed to the disk at its end."""
        db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            db.execute("pragma synchronous=full")
            db.execute("begin immediate")
            yield db
            if db.in_transaction:
                db.execute("commit")
        finally:
            db.close()
