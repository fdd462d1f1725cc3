"""What the guards remember; effects know what they were decided by."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# SQLite numbers rows by itself only where the key is exactly INTEGER.
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables, and the columns of effects."""
    op.add_column("handrail_effects", sa.Column("evidence", sa.Text))
    op.add_column("handrail_effects", sa.Column("confidence", sa.Float))
    op.add_column("handrail_effects", sa.Column("alone", sa.Boolean))
    op.add_column("handrail_effects", sa.Column("share", sa.Float))
    op.create_table(
        "handrail_verdicts",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("case_id", sa.String(300), nullable=False, index=True),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("step", sa.String(100), nullable=False),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("findings", sa.Text, nullable=False),
        sa.Column("policy", sa.String(200), nullable=False),
        sa.Column("autonomy", sa.String(40), nullable=False),
        sa.Column("pilot", sa.Boolean, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("basis", sa.Text),
        sa.Column("requester", sa.String(200)),
        sa.Index("handrail_verdicts_agent_at", "agent", "at"),
        sa.Index("handrail_verdicts_kind_at", "agent", "step", "kind", "at"),
    )
    op.create_table(
        "handrail_policies",
        sa.Column("agent", sa.String(100), primary_key=True),
        sa.Column("sha", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("first", sa.Float, nullable=False),
        sa.Column("loaded", sa.Float, nullable=False),
    )
    op.create_table(
        "handrail_orders",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("step", sa.String(100)),
        sa.Column("case_id", sa.String(300)),
        sa.Column("level", sa.String(20)),
        sa.Column("rollout", sa.Integer),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("proofs", sa.Text, nullable=False),
        sa.Column("ended", sa.Float),
        sa.Column("ended_by", sa.String(200)),
        sa.Column("ended_why", sa.Text),
        sa.Column("ended_proofs", sa.Text),
        sa.Index("handrail_orders_live", "agent", "ended"),
    )
    op.create_table(
        "handrail_counters",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("step", sa.String(100), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Index("handrail_counters_named", "agent", "step", "name", unique=True),
    )
    op.create_table(
        "handrail_counted",
        sa.Column("counter", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("grp", sa.String(300), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("effect", sa.String(400), nullable=False, index=True),
        sa.Column("amount", sa.Text, nullable=False),
        sa.Column("total", sa.Text, nullable=False),
        sa.Column("of_at", sa.Float),
        sa.Index("handrail_counted_window", "counter", "grp", "at", "seq"),
        sa.Index(
            "handrail_counted_given_back",
            "counter",
            "grp",
            "at",
            sqlite_where=sa.text("of_at IS NOT NULL"),
            postgresql_where=sa.text("of_at IS NOT NULL"),
        ),
    )
    op.create_table(
        "handrail_spending",
        sa.Column("id", sa.String(400), primary_key=True),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("case_id", sa.String(300), nullable=False, index=True),
        sa.Column("step", sa.String(100), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.String(40), nullable=False),
        sa.Column("currency", sa.String(10), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Index("handrail_spending_agent_at", "agent", "at"),
    )
    op.create_table(
        "handrail_reviews",
        sa.Column("key", sa.String(400), primary_key=True),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("step", sa.String(100), nullable=False),
        sa.Column("case_id", sa.String(300), nullable=False, index=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("role", sa.String(200), nullable=False),
        sa.Column("people", sa.Text, nullable=False),
        sa.Column("requester", sa.String(200)),
        sa.Column("answer", sa.String(20)),
        sa.Column("by", sa.String(200)),
        sa.Column("answered", sa.Float),
        sa.Column("note", sa.Text),
        sa.Column("proof", sa.Text),
        sa.Index("handrail_reviews_agent_at", "agent", "at"),
    )
    op.create_table(
        "handrail_review_answers",
        sa.Column("key", sa.String(400), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("answer", sa.String(20), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("proof", sa.Text, nullable=False),
    )
    op.create_table(
        "handrail_incidents",
        sa.Column("id", sa.String(400), primary_key=True),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("step", sa.String(100), nullable=False),
        sa.Column("case_id", sa.String(300), nullable=False, index=True),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("closed", sa.Float),
        sa.Column("closed_by", sa.String(200)),
        sa.Column("closed_why", sa.Text),
        sa.Index("handrail_incidents_kind_at", "agent", "step", "kind", "at"),
    )
