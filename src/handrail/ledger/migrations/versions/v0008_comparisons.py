"""Proposals of pilots are kept beside what people did, so that figures of them are sums."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_TABLE = "handrail_comparisons"


def upgrade() -> None:
    """Make the table. What is there already is compared when somebody looks."""
    op.create_table(
        _TABLE,
        sa.Column("agent", sa.String(100), primary_key=True),
        sa.Column("case_id", sa.String(300), primary_key=True),
        sa.Column("step", sa.String(100), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("rule", sa.String(64)),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("at", sa.Float),
        sa.Column("kind", sa.String(200), nullable=False),
        sa.Column("stand", sa.String(20), nullable=False),
        sa.Column("outcome", sa.String(64)),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("late", sa.Integer, nullable=False),
        sa.Column("hindsight", sa.Integer, nullable=False),
        sa.Column("several", sa.Integer, nullable=False),
        sa.Column("amounts", sa.Text, nullable=False),
        sa.Column("above", sa.Text, nullable=False),
    )
    op.create_index("handrail_comparisons_rule", _TABLE, ["agent", "step", "rule"])
    op.create_index("handrail_comparisons_stand", _TABLE, ["agent", "stand", "at"])
    op.execute(
        "INSERT INTO handrail_comparisons (agent, case_id, step, number, key, kind, stand, fields, "
        "late, hindsight, several, amounts, above) "
        "SELECT agent, case_id, step, 0, '', '', '', '[]', 0, 0, 0, '{}', '{}' FROM ("
        "SELECT agent, case_id, step FROM handrail_verdicts WHERE pilot AND key <> '' "
        "UNION SELECT agent, case_id, step FROM handrail_outcomes) AS places"
    )
