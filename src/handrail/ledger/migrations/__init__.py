"""Migrations of the ledger, by alembic: one revision for each schema version.

To add one, change `tables.py`, write `versions/vNNNN_….py` (`alembic -x url=… revision
--autogenerate` drafts it) and raise `schema.SCHEMA_VERSION`; tests compare what comes out of every
revision with a ledger made new. There is no way down: what a newer ledger knows, an older
Handrail would lose.
"""

from __future__ import annotations

import threading
from typing import Any

import sqlalchemy as sa
from alembic import command, op
from alembic.config import Config
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.ddl.sqlite import SQLiteImpl
from typing_extensions import override

from handrail.ledger.tables import schema

_one_at_a_time = threading.Lock()
"""Alembic keeps what it works on in global variables; ledgers open in threads."""


def upgrade(connection: sa.Connection) -> None:
    """Bring a ledger to the latest revision, in the transaction of whoever calls."""
    config = Config()
    config.set_main_option("script_location", "handrail.ledger:migrations")
    config.attributes["connection"] = connection
    with _one_at_a_time:
        command.upgrade(config, "head")


def run(statements: str) -> None:
    """Run the SQL of a revision from before alembic. `{number}`: a key that numbers itself."""
    sqlite = op.get_context().dialect.name == "sqlite"
    text = statements.replace("{number}", "INTEGER" if sqlite else "BIGSERIAL")
    for statement in text.strip().removesuffix(";").split(";\n"):
        op.execute(statement)


class _Revision(sa.TypeDecorator[str]):
    """A revision id, such as `0003`, kept as the number that it is."""

    impl = sa.Integer
    cache_ok = True

    @override
    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else f"{value:04}"


_version_table = sa.Table(
    schema.name,
    sa.MetaData(),
    sa.Column("version", _Revision, key="version_num", primary_key=True),
)


VERSION_TABLE = _version_table.name
"""Where alembic keeps the revision of a ledger."""


def _or_ours(theirs: sa.Table) -> sa.Table:
    return _version_table if theirs.name == VERSION_TABLE else theirs


class LedgerOnSqlite(SQLiteImpl):
    """Alembic's ways with SQLite; but a ledger's revision stands in the ledger's own table."""

    __dialect__ = "sqlite"

    @override
    def version_table_impl(self, **kw: Any) -> sa.Table:
        return _or_ours(super().version_table_impl(**kw))


class LedgerOnPostgresql(PostgresqlImpl):
    """The same of PostgreSQL."""

    __dialect__ = "postgresql"

    @override
    def version_table_impl(self, **kw: Any) -> sa.Table:
        return _or_ours(super().version_table_impl(**kw))
