"""What became of every case, what people did instead, and what was told about it is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    _cases()
    _decisions()
    _questions()
    _errors()
    _presence()
    _outcomes()
    _baselines()
    _alerts()


def _cases() -> None:
    op.create_table(
        "handrail_cases",
        sa.Column("case_id", sa.String(300), primary_key=True),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("build", sa.String(200), nullable=False),
        sa.Column("policy", sa.String(200), nullable=False),
        sa.Column("trigger", sa.String(200), nullable=False),
        sa.Column("event_digest", sa.String(64), nullable=False),
        sa.Column("requester", sa.String(200)),
        sa.Column("parent", sa.String(300)),
        sa.Column("begun", sa.Float, nullable=False),
        sa.Column("ended", sa.Float),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("seconds", sa.Text, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.String(40), nullable=False),
        sa.Column("currency", sa.String(10), nullable=False),
        sa.Column("value", sa.String(40)),
        sa.Column("pilot", sa.Boolean, nullable=False),
        sa.Column("writes", sa.Integer, nullable=False),
        sa.Column("questions", sa.Integer, nullable=False),
        sa.Column("escalated", sa.Integer, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
    )
    op.create_index("handrail_cases_agent_begun", "handrail_cases", ["agent", "begun"])
    op.create_index("handrail_cases_agent_ended", "handrail_cases", ["agent", "ended"])


def _decisions() -> None:
    op.create_table(
        "handrail_decisions",
        sa.Column("case_id", sa.String(300), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("step", sa.String(100), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("inputs", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(200)),
        sa.Column("digest", sa.String(64)),
        sa.Column("confidence", sa.Float),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.String(40), nullable=False),
    )
    op.create_index("handrail_decisions_agent_at", "handrail_decisions", ["agent", "at"])


def _questions() -> None:
    op.create_table(
        "handrail_questions",
        sa.Column("case_id", sa.String(300), primary_key=True),
        sa.Column("gate", sa.String(64), primary_key=True),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("step", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("asked", sa.Float, nullable=False),
        sa.Column("reminded", sa.Float),
        sa.Column("escalated", sa.Float),
        sa.Column("ended", sa.Float),
        sa.Column("how", sa.String(20)),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("proven", sa.Boolean),
        sa.Column("looked", sa.Float),
    )
    op.create_index("handrail_questions_agent_asked", "handrail_questions", ["agent", "asked"])


def _errors() -> None:
    op.create_table(
        "handrail_errors",
        sa.Column("case_id", sa.String(300), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("step", sa.String(100), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer),
        sa.Column("what", sa.Text, nullable=False),
    )
    op.create_index("handrail_errors_agent_at", "handrail_errors", ["agent", "at"])


def _presence() -> None:
    op.create_table(
        "handrail_presence",
        sa.Column("worker", sa.String(200), primary_key=True),
        sa.Column("agent", sa.String(100), primary_key=True),
        sa.Column("since", sa.Float, primary_key=True),
        sa.Column("build", sa.String(200), nullable=False),
        sa.Column("last", sa.Float, nullable=False),
    )
    op.create_index("handrail_presence_agent_last", "handrail_presence", ["agent", "last"])


def _outcomes() -> None:
    op.create_table(
        "handrail_outcomes",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("case_id", sa.String(300), nullable=False),
        sa.Column("step", sa.String(100), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("received", sa.Float, nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("action", sa.Text),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("judged", sa.String(20)),
        sa.Column("judged_by", sa.String(200)),
        sa.Column("judged_at", sa.Float),
        sa.Column("judged_why", sa.Text),
    )
    op.create_index("handrail_outcomes_agent_case", "handrail_outcomes", ["agent", "case_id"])


def _baselines() -> None:
    op.create_table(
        "handrail_baselines",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("amount", sa.String(40), nullable=False),
        sa.Column("unit", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("replaced", sa.Float),
    )
    op.create_index("handrail_baselines_agent_name", "handrail_baselines", ["agent", "name"])


def _alerts() -> None:
    op.create_table(
        "handrail_alerts",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("rule", sa.String(200), nullable=False),
        sa.Column("began", sa.Float, nullable=False),
        sa.Column("value", sa.String(200), nullable=False),
        sa.Column("limit", sa.String(200), nullable=False),
        sa.Column("cases", sa.Text, nullable=False),
        sa.Column("told", sa.Float),
        sa.Column("acknowledged", sa.Float),
        sa.Column("acknowledged_by", sa.String(200)),
        sa.Column("ended", sa.Float),
    )
    op.create_index("handrail_alerts_agent_ended", "handrail_alerts", ["agent", "ended"])
