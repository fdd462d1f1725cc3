"""The ledger's connection: its threads, its transactions, and what is said when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from handrail.exceptions import ConfigurationError, LedgerUnavailable, NotKept, RowConflict
from handrail.ledger.one_writer import OneWriter
from handrail.ledger.schema import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from handrail.ledger.rows import Rows

T = TypeVar("T")

BUSY = timedelta(seconds=5)
"""How long a write waits for a locked SQLite file before it fails and is retried."""

PRESSING = timedelta(seconds=15)
"""How long what must not wait behind others tries to get a locked SQLite file."""

_SAFE = ("fsync", "full_page_writes")
"""Settings of PostgreSQL that must be on: with others a crash loses what was committed."""

_READERS = 4
"""Threads that read an SQLite file beside its writer."""

_READS = "handrail_reads"
_AGAIN = 0.0005

_FIX_VALUE = "the ledger cannot keep a value, and nothing was written; correct what made it"


class Database:
    """One SQL database. Each transaction is one function that runs whole in a thread.

    On SQLite that costs a third of what an async driver costs, which changes threads for
    every statement. What only reads takes no lock there: it sees what is committed, however long
    it reads, and no writer waits for it, nor it for one.
    """

    def __init__(self, url: str) -> None:
        """Take an SQLAlchemy URL: `sqlite:///path` or `postgresql+psycopg://…`.

        Raises:
            ConfigurationError: if it is none of these.
        """
        self._engine = engine_of(url)
        self._sqlite = self._engine.dialect.name == "sqlite"
        # SQLite has one writer at a time; more threads would only wait for each other.
        self._threads: OneWriter | ThreadPoolExecutor = (
            OneWriter(self._transact) if self._sqlite else ThreadPoolExecutor(8, "handrail-ledger")
        )
        self._path = _path(self._engine)
        # A database in memory is its connection's own: there it is read by the writer.
        reads = self._sqlite and self._path is not None
        self._readers = ThreadPoolExecutor(_READERS, "handrail-reads") if reads else None
        self._kept: dict[bool, list[sa.Connection]] = {True: [], False: []}
        self._file: tuple[int, int] | None = None

    async def __aenter__(self) -> Self:
        """Create the tables that are missing; bring those of an older version up to date.

        Raises:
            ConfigurationError: if the database belongs to a newer version of Handrail.
            LedgerUnavailable: if it cannot be opened or written.
        """
        try:
            await self._run(prepare)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what runs, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        if self._readers is not None:
            await asyncio.to_thread(self._readers.shutdown)
        for connection in (*self._kept[True], *self._kept[False]):
            connection.close()
        self._engine.dispose()

    async def require_durable(self) -> None:
        """See that what it commits is there after a crash of the database, too.

        Raises:
            ConfigurationError: if the database is set to risk it.
            LedgerUnavailable: if it cannot be asked.
        """

        def look(connection: sa.Connection) -> list[str]:
            asked = ((name, connection.exec_driver_sql(f"show {name}").scalar()) for name in _SAFE)
            return [name for name, value in asked if value != "on"]

        off = [] if self._sqlite else await self._run(look)
        if off:
            raise ConfigurationError(
                f"the ledger's database has {' and '.join(off)} = off: a crash would lose what it "
                "has committed, and writes would be done twice; fix: set them on in postgresql.conf"
            )

    async def _run(self, transaction: Callable[[sa.Connection], T], *, short: bool = False) -> T:
        """Run a transaction in a thread. `short`: it may share its commit with others."""
        if isinstance(self._threads, OneWriter):
            return await self._threads.submit(transaction, short=short)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._transact, transaction)

    async def _read(self, look: Callable[[sa.Connection], T]) -> T:
        """Run what only reads: on SQLite beside the writer, and what would write fails there."""
        if self._readers is None:
            return await self._run(look)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, partial(self._transact, look, reads=True))

    async def _all(
        self, rows: Rows[T], query: sa.Select[*tuple[Any, ...]], *, strict: bool = False
    ) -> list[T]:
        """What a query finds, as rows, in a transaction of its own."""
        return await self._read(lambda connection: rows.all(connection, query, strict=strict))

    async def _one(self, rows: Rows[T], query: sa.Select[*tuple[Any, ...]]) -> T | None:
        """The row that a query finds, if any; the same."""
        return await self._read(lambda connection: rows.one(connection, query))

    async def _changes(self, update: sa.Update) -> bool:
        """Whether an update changed a row; the same."""
        return await self._run(lambda connection: connection.execute(update).rowcount == 1)

    async def _run_at_once(self, transaction: Callable[[sa.Connection], T]) -> T:
        """Run what must not wait behind others.

        Whoever waits for a locked SQLite file looks again ever less often, and under load can
        go without it for seconds; this looks every half millisecond.
        """
        if not self._sqlite:
            return await self._run(transaction)
        return await asyncio.to_thread(self._press, transaction)

    def _press(self, transaction: Callable[[sa.Connection], T]) -> T:
        end = time.monotonic() + PRESSING.total_seconds()
        try:
            with self._engine.connect() as connection:
                own: Any = connection.connection.driver_connection
                own.execute("pragma busy_timeout=0")
                # No other transaction shall get it, and wait for nothing either.
                connection.detach()
                while True:
                    try:
                        with connection.begin():
                            return transaction(connection)
                    except OperationalError as error:
                        if "locked" not in str(error) or time.monotonic() > end:
                            raise
                    time.sleep(_AGAIN)
        except (DBAPIError, OSError) as error:
            raise LedgerUnavailable(_explain(error, self._engine)) from error

    @contextlib.contextmanager
    def _connected(self, *, reads: bool) -> Generator[sa.Connection]:
        """A connection. SQLite's threads keep theirs until one fails.

        Taking one from a pool and giving it back costs as much as a statement.
        """
        if not self._sqlite:
            with self._engine.connect() as connection:
                yield connection
            return
        self._require_same_file()
        kept = self._kept[reads]
        connection = kept.pop() if kept else self._opened(reads=reads)
        self._file = self._file or _file(self._path)
        failed = False
        try:
            yield connection
        except (SQLAlchemyError, OSError):
            failed = True
            raise
        finally:
            connection.close() if failed else kept.append(connection)

    def _opened(self, *, reads: bool) -> sa.Connection:
        connection = self._engine.connect()
        if reads:
            connection.execution_options(**{_READS: True})
            own: Any = connection.connection.driver_connection
            own.execute("pragma query_only=1")
            # It writes for nobody, and so never goes back to where others are taken from.
            connection.detach()
        return connection

    def _require_same_file(self) -> None:
        """See that the path still leads to the file that was opened first.

        SQLite goes on with a file that was moved or deleted, and what it is told would be gone
        with the process; in another file everything that was done would be unknown.

        Raises:
            OSError: if it does not.
        """
        if self._file is not None and self._file != _file(self._path):
            raise OSError("its file was replaced or deleted while it was open")

    def _transact(self, transaction: Callable[[sa.Connection], T], *, reads: bool = False) -> T:
        try:
            with self._connected(reads=reads) as connection, connection.begin():
                return transaction(connection)
        except (DataError, OverflowError, UnicodeError) as error:
            raise NotKept(f"{_FIX_VALUE}: {getattr(error, 'orig', None) or error}") from error
        except IntegrityError as error:
            raise RowConflict(_explain(error, self._engine)) from error
        except (DBAPIError, OSError) as error:
            raise LedgerUnavailable(_explain(error, self._engine)) from error
        except SQLAlchemyError as error:
            raise LedgerUnavailable(f"the ledger failed: {error}") from error


def engine_of(url: str) -> sa.Engine:
    """The engine of a ledger.

    Raises:
        ConfigurationError: if the URL is none of an SQLite or PostgreSQL database.
    """
    try:
        parsed = sa.make_url(url)
        # A pooler (PgBouncer) gives each transaction another session: one that was prepared in
        # the last may be unknown there, or be another statement under the same name.
        more = {"prepare_threshold": None} if parsed.get_driver_name() == "psycopg" else {}
        engine = sa.create_engine(
            parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite", connect_args=more
        )
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigurationError(
            f"HANDRAIL_LEDGER_URL={url!r} cannot be used: {error}; "
            "give sqlite:///path or postgresql+psycopg://user@host/database "
            "(and install handrail[postgres] for the latter)"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "begin", _commit_durably)
    return engine


def _commit_durably(connection: sa.Connection) -> None:
    # Off is common for speed, and then a crash of the database loses what it has confirmed. For
    # each transaction: behind a pooler the session is another one each time.
    connection.exec_driver_sql("set local synchronous_commit = on")


def _path(engine: sa.Engine) -> str | None:
    """The path of an SQLite database; None if it has none."""
    path = engine.url.database or ""
    return None if path.startswith("file:") or path in {"", ":memory:"} else path


def _file(path: str | None) -> tuple[int, int] | None:
    """Which file a path leads to now; None if to none."""
    if path is None:
        return None
    try:
        status = os.stat(path)  # noqa: PTH116  # at every transaction: a Path costs as much again
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


def _prepare_sqlite(connection: Any, _: object) -> None:
    # The driver's own transaction handling begins too late for a read followed by a write.
    connection.isolation_level = None
    connection.execute(f"pragma busy_timeout={BUSY // timedelta(milliseconds=1)}")
    _write_ahead(connection)
    connection.execute("pragma synchronous=full")
    connection.create_aggregate("decimal_sum", 1, _DecimalSum)


class _DecimalSum:
    """The exact sum of numbers in text, which SQLite would add as floats."""

    def __init__(self) -> None:
        self._sum = Decimal(0)

    def step(self, value: str) -> None:
        self._sum += Decimal(value)

    def finalize(self) -> str:
        return str(self._sum)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Have a database write ahead.

    Of several that open a new one at once some are told that it is locked, and SQLite does not
    wait for that by itself.
    """
    end = time.monotonic() + BUSY.total_seconds()
    while True:
        try:
            connection.execute("pragma journal_mode=wal")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
        else:
            return
        time.sleep(_AGAIN)


def _begin_sqlite(connection: sa.Connection) -> None:
    own: Any = connection.connection.dbapi_connection
    how = "begin" if _READS in connection.get_execution_options() else "begin immediate"
    try:
        # At every transaction: by the way of statements it would cost three times as much.
        own.execute(how)
    except sqlite3.Error as error:
        raise OperationalError(how, None, error) from error


def _explain(error: BaseException, engine: sa.Engine) -> str:
    where = engine.url.render_as_string(hide_password=True)
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    fixes = {
        "locked": "another process holds it (`fuser` names it): end it, or try again later; steps "
        "do so by themselves",
        "readonly": "make it writable for this user",
        "read-only": "make it writable for this user",
        "full": "free some space, and try again; steps do so by themselves",
        "disk i/o": "look whether its disk is full (`df`) or broken; steps try again by themselves",
        "replaced": "put the file back, or start again if it shall be another one",
        "unable to open": "create its directory, and make it writable",
        "connect": "start the database, or correct HANDRAIL_LEDGER_URL",
    }
    fix = next((say for word, say in fixes.items() if word in text.lower()), "see its log")
    return f"the ledger {where} cannot be used: {text}; fix: {fix}; nothing was written"
