"""Mapped rows: one way from a frozen dataclass to a row of its table, and back.

What a value looks like in the database is said once, by the type of its column. SQLAlchemy's own
mapped dataclasses cannot be frozen, and a row that other rooms hold must not change under them.
"""

from __future__ import annotations

import logging
from dataclasses import fields, replace
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from handrail.exceptions import LedgerUnavailable
from handrail.ledger.tables import SafeText, Unreadable
from handrail.text import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy.dialects import postgresql

log = logging.getLogger("handrail.ledger")

R = TypeVar("R")
S = TypeVar("S", bound="sa.Select[*tuple[Any, ...]]")


_ANY = sqlite.dialect()
"""Texts are spelt out alike for each."""


def insert_into(table: sa.Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    """`INSERT ... ON CONFLICT` as a kind of database has it, which is imported when it is used."""
    if dialect == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415

    return insert(table)


class InsertNew:
    """An INSERT that leaves alone what is there already, for both kinds of database."""

    def __init__(self, table: sa.Table) -> None:
        """Prepare it once: building a statement costs more than running it."""
        self._for = cache(partial(_insert_new, table))

    def __call__(self, connection: sa.Connection, values: dict[str, Any]) -> bool:
        """Insert one row. False if there was one."""
        return connection.execute(self._for(connection.dialect.name), values).rowcount == 1


def _insert_new(table: sa.Table, dialect: str) -> sa.Insert:
    # Whether a row was inserted is only known of an INSERT when that is asked for.
    counted = {} if dialect == "sqlite" else {"preserve_rowcount": True}
    return insert_into(table, dialect).on_conflict_do_nothing().execution_options(**counted)


class UnreadableRow(LedgerUnavailable):
    """A row holds what is none of its column's: by hand, or by a program of others."""

    def __init__(self, table: str, row: str, name: str, why: str) -> None:
        """Name the `row` of the `table`, and the field in which it holds what it must not."""
        super().__init__(
            f"the ledger holds a row in {table} that cannot be read, {row}: its {name} is {why}; "
            "nothing was written; fix: put back that row, or ask whoever changed it"
        )


@lru_cache(maxsize=1_000)
def leave_out(why: str) -> None:
    """Say, once, that a row is left out of those that people are shown, or that are counted."""
    log.warning("%s; it is left out", one_line(why))


class Rows(Generic[R]):
    """The rows of a table as dataclasses of one kind.

    A field is the column of its name; `case` is `case_id` in every table, and `columns` are the
    others that are not. A field without a column is not kept. `later`: fields that are set after
    a row was inserted, never with it.
    """

    def __init__(
        self,
        kind: Any,
        table: sa.Table,
        *,
        later: Collection[str] = (),
        **columns: sa.ColumnElement[Any],
    ) -> None:
        """Prepare the statements, from the fields of a dataclass."""
        self._kind: type[R] = kind
        named = {
            each.name: "case_id" if each.name == "case" else each.name for each in fields(kind)
        }
        columns = {name: table.c[of] for name, of in named.items() if of in table.c} | columns
        columns = {name: columns[name] for name in named if name in columns}
        self._table, self._names = table.name, tuple(columns)
        self._kept = {
            column.name: name
            for name, column in columns.items()
            if isinstance(column, sa.Column) and name not in later
        }
        self._insert = InsertNew(table)
        self.columns = tuple(columns.values())
        self.select = sa.select(*self.columns)

    def values(self, row: R) -> dict[str, Any]:
        """A row by the names of its columns, without what is set later."""
        return {column: getattr(row, name) for column, name in self._kept.items()}

    def insert(self, connection: sa.Connection, row: R) -> bool:
        """Insert a row. False if there is one of its key already, which stays as it is."""
        return self._insert(connection, self.values(row))

    def kept(self, row: R) -> R:
        """A row as it is read back, where its texts are spelt out or cut."""
        texts = {
            name: column.type.process_bind_param(getattr(row, name), _ANY)
            for name, column in zip(self._names, self.columns, strict=True)
            if isinstance(column.type, SafeText)
        }
        return replace(cast("Any", row), **texts)

    def make(self, found: Sequence[Any]) -> R:
        """A row from the values of its `columns`.

        Raises:
            UnreadableRow: if it cannot be read.
        """
        for name, value in zip(self._names, found, strict=True):
            if isinstance(value, Unreadable):
                raise UnreadableRow(self._table, str(found[0]), name, value.why)
        return self._kind(*found)

    def all(
        self,
        connection: sa.Connection,
        query: sa.Select[*tuple[Any, ...]],
        *,
        strict: bool = False,
        **given: Any,
    ) -> list[R]:
        """The rows that a query finds: one made from `select`, with what its parameters are.

        One that cannot be read hides no other: it is left out, and the log says which. Not where
        that would make a verdict milder (`strict`).

        Raises:
            UnreadableRow: if one cannot be read, and it is `strict`.
        """
        made: list[R] = []
        for found in connection.execute(query, given):
            try:
                made.append(self.make(found))
            except UnreadableRow as error:
                if strict:
                    raise
                leave_out(str(error))
        return made

    def one(
        self, connection: sa.Connection, query: sa.Select[*tuple[Any, ...]], **given: Any
    ) -> R | None:
        """The row that such a query finds, if any.

        Raises:
            UnreadableRow: if it cannot be read.
        """
        found = connection.execute(query, given).one_or_none()
        return None if found is None else self.make(found)


def narrowed(query: S, wanted: Mapping[sa.ColumnElement[Any], Any]) -> S:
    """A query for rows with these values alone; None asks for nothing."""
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    return query
