"""Effects: each write's intent and receipt."""

from handrail.ledger.migrations import run

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first table."""
    run(_SQL)


_SQL = """
CREATE TABLE handrail_effects (
    key VARCHAR(400) NOT NULL, case_id VARCHAR(300) NOT NULL, agent VARCHAR(100) NOT NULL,
    step VARCHAR(100) NOT NULL, digest VARCHAR(64) NOT NULL, action TEXT NOT NULL,
    policy VARCHAR(200) NOT NULL, state VARCHAR(20) NOT NULL, owner VARCHAR(200) NOT NULL,
    deadline FLOAT NOT NULL, begun FLOAT NOT NULL, ended FLOAT, receipt TEXT, error TEXT,
    PRIMARY KEY (key)
);
CREATE INDEX handrail_effects_window ON handrail_effects (agent, step, begun);
CREATE INDEX ix_handrail_effects_case_id ON handrail_effects (case_id);
"""
