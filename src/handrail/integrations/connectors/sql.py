"""Steps made of SQL statements, on any database that SQLAlchemy reaches.

    crm = SQL("CRM_DATABASE")

    account = crm.read("account", "select id, balance from accounts where id = :id", row=Account)
    credit = crm.write(
        "credit", "update accounts set balance = balance + :amount where id = :account",
        action=Credit, undo="update accounts set balance = balance - :amount where id = :account",
    )

A write and its key are one transaction, in a table of keys of the same database. So it happens
exactly once, wherever a process dies: either both are there, or neither is. A key without a
result stands for a write that was taken back before it was done, and keeps it from being done.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy import exc

from handrail.actions import Action, Effect
from handrail.agent import Read, Write, read, secret, write
from handrail.exceptions import Final, HandrailError, StepError
from handrail.integrations.connectors.declare import as_function
from handrail.text import one_line

LARGEST = 1_000
"""Rows of the largest answer that is taken."""

KEYS = sa.Table(
    "handrail_keys",
    sa.MetaData(),
    sa.Column("key", sa.String(700), primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("result", sa.Text),
)
"""The keys of the writes that were done. It is made at the first write, where it is not there."""

_NEVER = (exc.IntegrityError, exc.DataError, exc.ProgrammingError, exc.NotSupportedError)
_SQLITE_ERROR = 1
"""SQLite's code of a statement that cannot run: one class of error is of that and of a lock."""

_KINDS = (str, int, float, bool, Decimal, datetime, type(None))


class DatabaseAway(HandrailError):
    """A database did not say whether it did something: tried again under the same key."""


@dataclass(frozen=True)
class SQL:
    """A database, as steps. `secret`: the name of the secret that is its SQLAlchemy URL."""

    secret: str

    def read(
        self,
        name: str,
        statement: str,
        /,
        *,
        row: type[BaseModel],
        timeout: timedelta = timedelta(seconds=10),
    ) -> Read[..., Any]:
        """A step that selects rows: `await self.read(account, id="7")`, a list of `row`.

        Its parameters are those of the statement. Whatever it does is rolled back. Mark free text
        of the row as `Untrusted`.

        Raises:
            StepError: if it cannot be a step.
        """
        names = _parameters(statement)

        async def step(*values: Any) -> Any:
            given = dict(zip(names, map(_bound, values), strict=True))
            return await asyncio.to_thread(_select, _engine(self._url()), statement, given)

        taken = dict.fromkeys(names, (Any, ...))
        fn = as_function(step, name, f"Select {name}", taken, list[row])
        return read(timeout=timeout, secrets=(self.secret,))(fn)

    def write(
        self,
        name: str,
        statement: str,
        /,
        *,
        action: type[Action],
        rows: int | None = 1,
        undo: str | None = None,
        timeout: timedelta = timedelta(seconds=30),
        **options: Any,
    ) -> Write[Any, int]:
        """A step that changes rows, exactly once; it returns how many.

        The statement's parameters are fields of the action, and `:key`, the key of the effect.
        `rows`: how many must change; where it would be another number nothing is changed. `undo`:
        the statement that takes it back. `options`: as those of `handrail.write`.

        Raises:
            StepError: if it cannot be a step, or a parameter is no field of the action.
        """
        names = [_fields(name, each, action) for each in (statement, undo) if each is not None]

        async def step(act: Any, effect: Effect) -> int:
            given = {n: _bound(_value(n, act, effect)) for n in names[0]}
            change = _Change(_engine(self._url()), statement, given, rows)
            return await asyncio.to_thread(change.done, effect.key)

        taken = {"action": (action, ...), "effect": (Effect, ...)}
        doc = (action.__doc__ or name).strip()
        back = None
        if undo is not None:
            taking_back: str = undo

            async def take_back(act: Any, effect: Effect) -> None:
                assert effect.undoes is not None  # noqa: S101  # the door has looked
                given = {n: _bound(_value(n, act, effect)) for n in names[1]}
                change = _Change(_engine(self._url()), taking_back, given, rows)
                await asyncio.to_thread(change.taken_back, effect.key, effect.undoes.key)

            fn = as_function(take_back, f"undo_{name}", f"Undo: {doc}", taken, type(None))
            back = write(idempotent=True, timeout=timeout, secrets=(self.secret,))(fn)
        fn = as_function(step, name, doc, taken, int)
        secrets = (self.secret,)
        return write(undo=back, idempotent=True, timeout=timeout, secrets=secrets, **options)(fn)

    def _url(self) -> str:
        return secret(self.secret).get_secret_value()


# In a thread: a driver blocks. What goes on after its time commits under the same key


@functools.lru_cache(maxsize=20)
def _engine(url: str) -> sa.Engine:
    try:
        if sa.make_url(url).get_dialect().is_async:
            raise StepError(
                "the driver of the URL is an asynchronous one; fix: name another, such as "
                "postgresql+psycopg:// or sqlite://, or none"
            )
        return sa.create_engine(url, poolclass=sa.NullPool)
    except (exc.ArgumentError, exc.NoSuchModuleError):
        raise StepError(
            "the secret is no URL of a database; fix: postgresql+psycopg://..."
        ) from None
    except ModuleNotFoundError as error:
        raise StepError(f"the driver {error.name} is not there; fix: install it") from None


def _select(engine: sa.Engine, statement: str, given: dict[str, Any]) -> list[dict[str, Any]]:
    with _errors(), engine.connect() as opened:
        connection = opened.execution_options(**_read_only(engine))
        if engine.dialect.name == "sqlite":
            connection.execute(sa.text("pragma query_only = on"))
        found = connection.execute(sa.text(statement), _for(engine, given)).mappings()
        kept = [dict(each) for each in found.fetchmany(LARGEST + 1)]
        connection.rollback()
    if len(kept) > LARGEST:
        raise Final(f"more than {LARGEST} rows; fix: say in the statement which are wanted")
    return kept


def _read_only(engine: sa.Engine) -> dict[str, Any]:
    return {"postgresql_readonly": True} if engine.dialect.name == "postgresql" else {}


@dataclass(frozen=True)
class _Change:
    """A statement that changes so many rows, or nothing."""

    engine: sa.Engine
    statement: str
    given: dict[str, Any]
    rows: int | None

    def done(self, key: str) -> int:
        """The number of rows that it changed under this key, now or before."""
        with _errors():
            return _once(self.engine, key, self._run)

    def taken_back(self, key: str, of: str) -> None:
        """Run it, if what it takes back was done; see that it is not done any more."""

        def back(connection: sa.Connection) -> int:
            if _kept(connection, of) is None:
                _claim(connection, of, None)
                return 0
            return self._run(connection)

        with _errors():
            _once(self.engine, key, back)

    def _run(self, connection: sa.Connection) -> int:
        given = _for(self.engine, self.given)
        changed = connection.execute(sa.text(self.statement), given).rowcount
        if self.rows is not None and changed != self.rows:
            raise Final(f"it would change {changed} rows, and not {self.rows}; nothing was changed")
        return changed


def _once(engine: sa.Engine, key: str, do: Callable[[sa.Connection], int]) -> int:
    if not sa.inspect(engine).has_table(KEYS.name):
        # Another worker may make it at the same moment.
        with contextlib.suppress(exc.DatabaseError):
            KEYS.create(engine, checkfirst=True)
    with engine.begin() as connection:
        known = _kept(connection, key)
        if known is None:
            _claim(connection, key, "0")
            done = do(connection)
            named = KEYS.update().where(KEYS.c.key == key)
            connection.execute(named.values(result=json.dumps(done)))
            return done
    if known.result is None:
        raise Final("it was taken back before it was done")
    return int(json.loads(known.result))


def _claim(connection: sa.Connection, key: str, result: str | None) -> None:
    try:
        connection.execute(KEYS.insert().values(key=key, at=datetime.now(UTC), result=result))
    except exc.IntegrityError as error:
        raise DatabaseAway(f"{key} is being done by another attempt") from error


def _kept(connection: sa.Connection, key: str) -> Any:
    return connection.execute(KEYS.select().where(KEYS.c.key == key)).one_or_none()


@contextlib.contextmanager
def _errors() -> Generator[None]:
    """The one place that tells what a database never does from what nobody knows of it."""
    try:
        yield
    except exc.DBAPIError as error:
        said = one_line(str(error.orig), 300)
        never = isinstance(error, _NEVER)
        never = never or getattr(error.orig, "sqlite_errorcode", None) == _SQLITE_ERROR
        if never and not error.connection_invalidated:
            raise Final(f"the database refused it: {said}") from None
        raise DatabaseAway(said) from None
    except OverflowError as error:
        raise Final(f"the database takes no such number: {error}") from None
    except exc.SQLAlchemyError as error:
        raise StepError(f"the statement cannot be run: {one_line(str(error), 300)}") from None


# Parameters


def _parameters(statement: str) -> tuple[str, ...]:
    return tuple(sa.text(statement).compile().params)


def _fields(name: str, statement: str, action: type[Action]) -> tuple[str, ...]:
    found = _parameters(statement)
    unknown = [each for each in found if each not in {*action.model_fields, "key"}]
    if unknown:
        raise StepError(
            f"{name}: {', '.join(unknown)} is no field of {action.__name__}; "
            f"it has {', '.join(action.model_fields)}"
        )
    return found


def _value(name: str, act: Any, effect: Effect) -> Any:
    return effect.key if name == "key" else getattr(act, name)


def _bound(value: Any) -> Any:
    found: Any = value.value if isinstance(value, Enum) else value
    if not isinstance(found, _KINDS) and not hasattr(found, "isoformat"):
        raise Final(
            f"{type(found).__name__} is no value of a parameter; fix: give a text or number"
        )
    return found


def _for(engine: sa.Engine, given: dict[str, Any]) -> dict[str, Any]:
    """SQLite knows no exact numbers, dates and times: it takes them as texts."""
    if engine.dialect.name != "sqlite":
        return given
    return {
        n: str(v) if isinstance(v, Decimal) or hasattr(v, "isoformat") else v
        for n, v in given.items()
    }
