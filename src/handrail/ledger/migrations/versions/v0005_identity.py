"""A ledger knows which it is, and how far each agent's writes in it have come."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables, with an id, and a height that is at least what was written."""
    op.add_column(
        "handrail_effects",
        sa.Column("attempt", sa.Integer, nullable=False, server_default="1"),
    )
    identity = op.create_table(
        "handrail_identity", sa.Column("id", sa.String(32), primary_key=True)
    )
    op.bulk_insert(identity, [{"id": uuid4().hex}])
    op.create_table(
        "handrail_heights",
        sa.Column("agent", sa.String(100), primary_key=True),
        sa.Column("height", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "handrail_verdicts_piloted",
        "handrail_verdicts",
        ["agent", "case_id"],
        sqlite_where=sa.text("pilot"),
        postgresql_where=sa.text("pilot"),
    )
    op.execute(
        "INSERT INTO handrail_heights (agent, height) "
        "SELECT agent, count(*) FROM handrail_effects GROUP BY agent"
    )
