"""The ledger's schema version: a new ledger is made at the latest, an older one brought there.

`handrail_schema` holds one number. It is the revision of `handrail.ledger.migrations` too, so a
ledger from before there were migrations needs no other mark to be recognised, and a Handrail
from before them refuses one that is newer than itself.
"""

from __future__ import annotations

import sqlalchemy as sa

from handrail.exceptions import ConfigurationError
from handrail.ledger.tables import meta

SCHEMA_VERSION = 4
"""The number of the latest revision in `handrail.ledger.migrations.versions`."""

_SCHEMA_LOCK = 0x68616E6472
"""Any number that other programs on the same database do not lock on."""

# Apart from the tables: alembic keeps it.
schema = sa.Table(
    "handrail_schema", sa.MetaData(), sa.Column("version", sa.Integer, primary_key=True)
)


def prepare(connection: sa.Connection) -> None:
    """Bring a ledger up to date, in the transaction of whoever calls.

    Raises:
        ConfigurationError: if the database belongs to a newer Handrail; it is left as it is.
    """
    hold(connection)
    schema.create(connection, checkfirst=True)
    version = connection.execute(sa.select(schema.c.version)).scalar()
    if version is None:
        meta.create_all(connection)
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


def hold(connection: sa.Connection) -> None:
    """Let nobody else make or change tables until the transaction ends.

    Workers that start together on a new database would make its tables at once. SQLite has one
    writer at a time anyway.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
