"""Proven rulings, mandates and their uses."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables; effects stay as they are."""
    op.create_table(
        "handrail_rulings",
        sa.Column("jti", sa.String(64), primary_key=True),
        sa.Column("case_id", sa.String(300), nullable=False, index=True),
        sa.Column("gate", sa.String(64), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("stands_for", sa.String(200)),
        sa.Column("verb", sa.String(20), nullable=False),
        sa.Column("kid", sa.String(100), nullable=False),
        sa.Column("via", sa.String(20), nullable=False),
        sa.Column("looked", sa.Float),
        sa.Column("at", sa.Float, nullable=False, index=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("step", sa.String(100), nullable=False),
        sa.Column("ruling", sa.Text, nullable=False),
        sa.Column("effect", sa.String(400)),
        sa.Column("planted", sa.Boolean),
        sa.Index("handrail_rulings_by_at", "by", "at"),
    )
    op.create_table(
        "handrail_mandates",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("to", sa.String(200)),
        sa.Column("begins", sa.Float, nullable=False),
        sa.Column("ends", sa.Float, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("revoked", sa.Float),
        sa.Column("revoked_by", sa.String(200)),
        sa.Index("handrail_mandates_live", "agent", "ends"),
    )
    op.create_table(
        "handrail_mandate_uses",
        sa.Column("mandate", sa.String(64), primary_key=True),
        sa.Column("effect", sa.String(400), primary_key=True, index=True),
        sa.Column("at", sa.Float, nullable=False),
    )
