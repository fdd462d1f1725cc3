"""The ledger's schema: made where there is none, and brought up to date by migrations."""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa

from handrail.exceptions import ConfigurationError
from handrail.ledger.tables import identity, meta, schema

SCHEMA_VERSION = 9
"""The number of the latest revision in `handrail.ledger.migrations.versions`."""

_SCHEMA_LOCK = 0x68616E6472
"""Any number that other programs on the same database do not lock on."""


def prepare(connection: sa.Connection) -> None:
    """Bring a ledger up to date, in the transaction of whoever calls.

    Raises:
        ConfigurationError: if the database belongs to a newer Handrail; it is left as it is.
    """
    hold(connection)
    schema.create(connection, checkfirst=True)
    version = connection.execute(sa.select(schema.c.version)).scalar()
    if version is None:
        say_where(connection)
        meta.create_all(connection)
        connection.execute(sa.insert(identity).values(id=uuid4().hex))
        connection.execute(sa.insert(schema).values(version=SCHEMA_VERSION))
        return
    if not 1 <= version <= SCHEMA_VERSION:
        raise ConfigurationError(
            f"the ledger has schema {version}, this Handrail needs {SCHEMA_VERSION}; "
            "use the version that made it, or give HANDRAIL_LEDGER_URL another database"
        )
    if version < SCHEMA_VERSION:
        # Alembic takes longer to import than a ledger to open.
        from handrail.ledger.migrations import upgrade  # noqa: PLC0415

        upgrade(connection)
    # A ledger that can only be read must be found out now, not at the first write.
    connection.execute(sa.update(schema).values(version=SCHEMA_VERSION))


def say_where(connection: sa.Connection) -> None:
    """Say which indexes are of some rows alone to PostgreSQL, which is to make them.

    Its option is named here and no earlier: its dialect, which knows it, is imported for that.
    """
    if connection.dialect.name == "postgresql":
        for index in (each for table in meta.tables.values() for each in table.indexes):
            if where := index.info.get("where"):
                index.kwargs["postgresql_where"] = sa.text(where)


def hold(connection: sa.Connection) -> None:
    """Let nobody else make or change tables until the transaction ends.

    Workers that start together on a new database would make its tables at once. SQLite has one
    writer at a time anyway.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
