"""Texts of people are TEXT on PostgreSQL too; some were VARCHAR, by how old the ledger is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TEXTS = {
    "handrail_effects": ["error"],
    "handrail_orders": ["why", "ended_why"],
    "handrail_reviews": ["why", "note"],
    "handrail_review_answers": ["note"],
    "handrail_incidents": ["what", "closed_why"],
}


def upgrade() -> None:
    """Change the columns' type, which rewrites no row."""
    if op.get_context().dialect.name == "sqlite":
        return
    for table, columns in _TEXTS.items():
        for column in columns:
            op.alter_column(table, column, type_=sa.Text)
