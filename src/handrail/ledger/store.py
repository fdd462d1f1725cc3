"""The ledger's tables and the few statements that Handrail makes on them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from handrail.actions import Limit, Receipt
from handrail.exceptions import ConfigurationError, HandrailError, LedgerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from pydantic import JsonValue

T = TypeVar("T")

SCHEMA_VERSION = 1
_SCHEMA_LOCK = 0x68616E6472
"""Any number that other programs on the same database do not lock on."""

BUSY = timedelta(seconds=5)
"""How long a write waits for a locked SQLite file before it fails and is retried."""


class EffectState(StrEnum):
    """How far an effect got, as far as the ledger knows."""

    INTENDED = "intended"
    """The effect may have happened: no receipt, no word that it did not."""
    DONE = "done"
    NOT_DONE = "not_done"
    """It certainly did not happen."""
    TAKEN_BACK = "taken_back"
    """It must not begin any more; an undo is taking back what there may have been."""


_meta = sa.MetaData()
_schema = sa.Table("handrail_schema", _meta, sa.Column("version", sa.Integer, primary_key=True))
_effects = sa.Table(
    "handrail_effects",
    _meta,
    sa.Column("key", sa.String(400), primary_key=True),
    sa.Column("case_id", sa.String(300), nullable=False, index=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("policy", sa.String(200), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("deadline", sa.Float, nullable=False),
    sa.Column("begun", sa.Float, nullable=False),
    sa.Column("ended", sa.Float),
    sa.Column("receipt", sa.Text),
    sa.Column("error", sa.Text),
    sa.Index("handrail_effects_window", "agent", "step", "begun"),
)


@dataclass(frozen=True)
class Intent:
    """What a worker is about to do. `deadline`: after it, that worker will not begin it."""

    key: str
    case: str
    agent: str
    step: str
    digest: str
    action: Mapping[str, JsonValue]
    policy: str
    owner: str
    deadline: datetime


@dataclass(frozen=True)
class EffectRow:
    """What the ledger knows of one effect."""

    key: str
    case: str
    step: str
    digest: str
    state: EffectState
    owner: str
    deadline: datetime
    begun: datetime
    receipt: Receipt | None
    error: str | None


@dataclass(frozen=True)
class Begun:
    """The intent stands. `before` is None when it is new, or says what was there already."""

    before: EffectRow | None


class OverLimit(HandrailError):  # says what happened, and is caught by the door
    """The intent would exceed a limit; nothing was recorded."""

    def __init__(self, limit: Limit, used: Decimal) -> None:
        """Say which limit, and how much of it is `used` without this intent."""
        self.limit = limit
        self.used = used
        super().__init__(f"limit {limit.text}: {used} of it is used")


class Ledger:
    """The SQL store. Open it with `async with Ledger(url) as ledger`.

    Each transaction is one function that runs whole in a thread: on SQLite that costs a
    third of what an async driver costs, which changes threads for every statement.
    """

    def __init__(self, url: str) -> None:
        """Take an SQLAlchemy URL: `sqlite:///path` or `postgresql+psycopg://…`."""
        self._engine = _engine(url)
        self._sqlite = self._engine.dialect.name == "sqlite"
        # SQLite has one writer at a time; more threads would only wait for each other.
        self._threads = ThreadPoolExecutor(1 if self._sqlite else 8, "handrail-ledger")
        self._kept: sa.Connection | None = None

    async def __aenter__(self) -> Self:
        """Create the tables that are missing.

        Raises:
            ConfigurationError: if the database belongs to another version of Handrail.
            LedgerUnavailable: if it cannot be opened or written.
        """
        try:
            await self._run(_prepare)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what runs, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        if self._kept is not None:
            self._kept.close()
        self._engine.dispose()

    async def begin(self, intent: Intent, limits: Sequence[Limit] = ()) -> Begun:
        """Commit an intent before its effect, or say what is there under its key.

        Limits are counted in the same transaction, including this intent, over
        everything that was done or may have been. An intent that was there and is
        known not to have happened is taken over as new.

        Raises:
            OverLimit: if a limit would be exceeded; nothing is recorded.
            LedgerUnavailable: if the database cannot be written.
        """

        def transaction(connection: sa.Connection) -> Begun:
            if limits and not self._sqlite:
                lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext(intent.agent))
                connection.execute(sa.select(lock))
            before = self._insert(connection, intent)
            if before is not None and before.state is not EffectState.NOT_DONE:
                return Begun(before)
            for limit in limits:
                _within(connection, intent, limit)
            return Begun(None)

        return await self._run(transaction)

    async def preview(self, intent: Intent, limits: Sequence[Limit]) -> None:
        """Say now what `begin` would say of the limits, and record nothing.

        Raises:
            OverLimit: if a limit would be exceeded.
        """

        def transaction(connection: sa.Connection) -> None:
            for limit in limits:
                _within(connection, intent, limit)

        if limits:
            await self._run(transaction)

    async def take_over(self, row: EffectRow, owner: str, deadline: datetime) -> bool:
        """Become the owner of an intent whose owner is gone. False if another was faster."""
        statement = (
            sa.update(_effects)
            .where(_effects.c.key == row.key, _effects.c.owner == row.owner)
            .where(_effects.c.deadline == row.deadline.timestamp())
            .where(_effects.c.state == EffectState.INTENDED)
            .values(owner=owner, deadline=deadline.timestamp())
        )
        return await self._run(lambda connection: connection.execute(statement).rowcount == 1)

    async def release(self, key: str, owner: str, deadline: datetime) -> None:
        """Say that an attempt of `owner` is over and left nothing that is known.

        `deadline`: since when it cannot begin its effect any more.
        """
        statement = (
            sa.update(_effects)
            .where(_effects.c.key == key, _effects.c.owner == owner)
            .where(_effects.c.state == EffectState.INTENDED)
            .values(deadline=deadline.timestamp())
        )
        await self._run(lambda connection: connection.execute(statement))

    async def forbid(self, intent: Intent) -> EffectRow:
        """See to it that an effect never begins that has not begun. Returns how it stands.

        What has begun is left as it is: wait for its end, then `take_back`.
        """

        def transaction(connection: sa.Connection) -> EffectRow:
            values = _values(intent) | {"state": EffectState.TAKEN_BACK.value}
            insert = _INSERT_SQLITE if self._sqlite else _INSERT_POSTGRES
            connection.execute(insert, values)
            connection.execute(_FORBID, {"b_key": intent.key})
            return _row(connection.execute(_ONE, {"b_key": intent.key}).mappings().one())

        return await self._run(transaction)

    async def take_back(self, row: EffectRow) -> bool:
        """Close an intent whose owner is gone, for its undo. False if somebody goes on with it."""
        statement = (
            sa.update(_effects)
            .where(_effects.c.key == row.key, _effects.c.owner == row.owner)
            .where(_effects.c.deadline == row.deadline.timestamp())
            .where(_effects.c.state == EffectState.INTENDED)
            .values(state=EffectState.TAKEN_BACK.value)
        )
        return await self._run(lambda connection: connection.execute(statement).rowcount == 1)

    async def finish(self, receipt: Receipt, error: str | None = None) -> None:
        """Commit the receipt of an effect that happened."""
        await self._end(receipt.key, EffectState.DONE, receipt.model_dump_json(), error)

    async def abandon(self, key: str, owner: str, error: str) -> None:
        """Record that an effect certainly did not happen, and why.

        Only its `owner` may say so: to a later one it may be happening now.
        """
        await self._end(key, EffectState.NOT_DONE, None, error, owner)

    async def effect(self, key: str) -> EffectRow | None:
        """What is known of one effect."""

        def look(connection: sa.Connection) -> EffectRow | None:
            found = connection.execute(_LOOK, {"b_key": key}).mappings().one_or_none()
            return None if found is None else _row(found)

        return await self._run(look)

    async def effects(self, case: str) -> list[EffectRow]:
        """What is known of all effects of a case, in the order they began."""
        return await self._select(_effects.c.case_id == case)

    async def _select(self, condition: sa.ColumnElement[bool]) -> list[EffectRow]:
        query = sa.select(_effects).where(condition).order_by(_effects.c.begun)
        return await self._run(lambda c: [_row(found) for found in c.execute(query).mappings()])

    def _insert(self, connection: sa.Connection, intent: Intent) -> EffectRow | None:
        values = _values(intent)
        insert = _INSERT_SQLITE if self._sqlite else _INSERT_POSTGRES
        if connection.execute(insert, values).rowcount == 1:
            return None
        before = _row(connection.execute(_ONE, {"b_key": intent.key}).mappings().one())
        if before.state is EffectState.NOT_DONE:
            again = values | {"ended": None, "error": None}
            connection.execute(
                sa.update(_effects).where(_effects.c.key == intent.key).values(again)
            )
        return before

    async def _end(
        self,
        key: str,
        state: EffectState,
        receipt: str | None,
        error: str | None,
        owner: str | None = None,
    ) -> None:
        values = {
            "b_key": key,
            "b_state": state.value,
            "b_ended": datetime.now(UTC).timestamp(),
            "b_receipt": receipt,
            "b_error": error,
        }
        statement = _END
        if owner is not None:
            intended = _effects.c.state == EffectState.INTENDED.value
            statement = _END.where(_effects.c.owner == owner, intended)
        await self._run(lambda connection: connection.execute(statement, values))

    async def _run(self, transaction: Callable[[sa.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._transact, transaction)

    @contextlib.contextmanager
    def _connected(self) -> Generator[sa.Connection]:
        """A connection. SQLite's one thread keeps its own until it fails.

        Taking one from a pool and giving it back costs as much as a statement.
        """
        if not self._sqlite:
            with self._engine.connect() as connection:
                yield connection
            return
        if self._kept is None:
            self._kept = self._engine.connect()
        try:
            yield self._kept
        except (SQLAlchemyError, OSError):
            kept, self._kept = self._kept, None
            kept.close()
            raise

    def _transact(self, transaction: Callable[[sa.Connection], T]) -> T:
        try:
            with self._connected() as connection, connection.begin():
                return transaction(connection)
        except (DBAPIError, OSError) as error:
            raise LedgerUnavailable(_explain(error, self._engine)) from error
        except SQLAlchemyError as error:
            raise LedgerUnavailable(f"the ledger failed: {error}") from error


def _values(intent: Intent) -> dict[str, Any]:
    return {
        "key": intent.key,
        "case_id": intent.case,
        "agent": intent.agent,
        "step": intent.step,
        "digest": intent.digest,
        "action": json.dumps(intent.action),
        "policy": intent.policy,
        "state": EffectState.INTENDED.value,
        "owner": intent.owner,
        "deadline": intent.deadline.timestamp(),
        "begun": datetime.now(UTC).timestamp(),
    }


# Whether a row was inserted is only known of an INSERT when that is asked for.
_INSERT_POSTGRES = (
    postgresql.insert(_effects).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
)
_INSERT_SQLITE = sqlite.insert(_effects).on_conflict_do_nothing()
_ONE = sa.select(_effects).where(_effects.c.key == sa.bindparam("b_key")).with_for_update()
_FORBID = (
    sa.update(_effects)
    .where(_effects.c.key == sa.bindparam("b_key"))
    .where(_effects.c.state == EffectState.NOT_DONE.value)
    .values(state=EffectState.TAKEN_BACK.value)
)
_LOOK = sa.select(_effects).where(_effects.c.key == sa.bindparam("b_key"))
_END = (
    sa.update(_effects)
    # A receipt is for ever: nothing that comes late can take it back.
    .where(_effects.c.key == sa.bindparam("b_key"), _effects.c.state != EffectState.DONE.value)
    .values(
        state=sa.bindparam("b_state"),
        ended=sa.bindparam("b_ended"),
        receipt=sa.bindparam("b_receipt"),
        error=sa.bindparam("b_error"),
    )
)


def _prepare(connection: sa.Connection) -> None:
    if connection.dialect.name != "sqlite":
        # Workers that start together on a new database would make its tables at once.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
    _meta.create_all(connection)
    version = connection.execute(sa.select(_schema.c.version)).scalar()
    if version is None:
        connection.execute(sa.insert(_schema).values(version=SCHEMA_VERSION))
    elif version != SCHEMA_VERSION:
        raise ConfigurationError(
            f"the ledger has schema {version}, this Handrail needs {SCHEMA_VERSION}; "
            "use the version that made it, or give HANDRAIL_LEDGER_URL another database"
        )
    else:
        # A ledger that can only be read must be found out now, not at the first write.
        connection.execute(sa.update(_schema).values(version=version))


def _within(connection: sa.Connection, intent: Intent, limit: Limit) -> None:
    """Check one limit. The sum is exact: decimals are added here, not by the database."""
    since = datetime.now(UTC) - limit.window
    others = (
        _effects.c.agent == intent.agent,
        _effects.c.step == intent.step,
        _effects.c.begun > since.timestamp(),
        _effects.c.state.in_([EffectState.INTENDED, EffectState.DONE]),
        _effects.c.key != intent.key,
    )
    if limit.field is None:
        number = sa.select(sa.func.count()).select_from(_effects).where(*others)
        used = Decimal(connection.execute(number).scalar_one())
    else:
        actions = connection.execute(sa.select(_effects.c.action).where(*others)).scalars()
        used = sum((_share(limit, json.loads(text)) for text in actions), Decimal(0))
    if used + _share(limit, intent.action) > limit.cap:
        raise OverLimit(limit, used)


def _share(limit: Limit, action: Mapping[str, JsonValue]) -> Decimal:
    # What is negative gives nothing back: a credit must not make room for more payments.
    return Decimal(1) if limit.field is None else max(Decimal(str(action[limit.field])), Decimal(0))


def _row(found: Any) -> EffectRow:
    return EffectRow(
        key=found["key"],
        case=found["case_id"],
        step=found["step"],
        digest=found["digest"],
        state=EffectState(found["state"]),
        owner=found["owner"],
        deadline=datetime.fromtimestamp(found["deadline"], UTC),
        begun=datetime.fromtimestamp(found["begun"], UTC),
        receipt=Receipt.model_validate_json(found["receipt"]) if found["receipt"] else None,
        error=found["error"],
    )


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        engine = sa.create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigurationError(
            f"HANDRAIL_LEDGER_URL={url!r} cannot be used: {error}; "
            "give sqlite:///path or postgresql+psycopg://user@host/database "
            "(and install handrail[postgres] for the latter)"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    # The driver's own transaction handling begins too late for a read followed by a write.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY // timedelta(milliseconds=1)}",
        "journal_mode=wal",
        "synchronous=full",
    ):
        cursor.execute(f"pragma {pragma}")
    cursor.close()


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("begin immediate")


def _explain(error: BaseException, engine: sa.Engine) -> str:
    where = engine.url.render_as_string(hide_password=True)
    text = str(getattr(error, "orig", None) or error)
    fixes = {
        "locked": "another process holds it; stop it, or wait: the step is retried",
        "readonly": "make it writable for this user",
        "read-only": "make it writable for this user",
        "full": "free some space; the step is retried",
        "unable to open": "create its directory, and make it writable",
        "connect": "start the database, or correct HANDRAIL_LEDGER_URL",
    }
    fix = next((say for word, say in fixes.items() if word in text.lower()), "see its log")
    return f"the ledger {where} cannot be used: {text}; fix: {fix}; nothing was written"
