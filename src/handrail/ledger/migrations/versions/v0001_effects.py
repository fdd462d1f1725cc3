"""Effects: each write's intent and receipt."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first table."""
    op.create_table(
        "handrail_effects",
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
