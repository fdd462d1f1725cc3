"""What came in from outside and could not be started yet is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "handrail_intake",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("received", sa.Float, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("raw", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("requested_by", sa.String(200), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("case_id", sa.String(400)),
        sa.Column("ended", sa.Float),
        sa.Column("ended_by", sa.String(200)),
        sa.Column("ended_why", sa.Text),
    )
    op.create_index("handrail_intake_state", "handrail_intake", ["state", "received"])
