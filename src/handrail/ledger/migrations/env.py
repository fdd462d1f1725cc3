"""Alembic's environment: run as a ledger is opened, or by hand on `-x url=…`.

By hand: to draft a revision, or to have the SQL of an upgrade (`upgrade 0003:0004 --sql`) for a
database whose tables only its administrator may change.
"""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from handrail.ledger.database import engine_of
from handrail.ledger.migrations import VERSION_TABLE
from handrail.ledger.schema import hold, say_where
from handrail.ledger.tables import meta


def _plain(kind: str, thing: Any, _: object) -> str | Literal[False]:
    """A type of ours is written as what the database has."""
    ours = kind == "type" and isinstance(thing, sa.TypeDecorator)
    return f"sa.{thing.impl_instance!r}" if ours else False


def _migrate(**how: Any) -> None:
    context.configure(target_metadata=meta, version_table=VERSION_TABLE, render_item=_plain, **how)
    with context.begin_transaction():
        context.run_migrations()


_given = context.config.attributes.get("connection")
_url = context.get_x_argument(as_dictionary=True).get("url", "") if _given is None else ""
if context.is_offline_mode():
    _migrate(url=_url, literal_binds=True)
elif _given is not None:
    _migrate(connection=_given)
else:
    with engine_of(_url).begin() as _connection:
        hold(_connection)
        say_where(_connection)
        _migrate(connection=_connection)
