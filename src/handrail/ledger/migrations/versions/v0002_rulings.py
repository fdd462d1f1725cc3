"""Proven rulings, mandates and their uses."""

from handrail.ledger.migrations import run

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables; effects stay as they are."""
    run(_SQL)


_SQL = """
CREATE TABLE handrail_rulings (
    jti VARCHAR(64) NOT NULL, case_id VARCHAR(300) NOT NULL, gate VARCHAR(64) NOT NULL,
    "by" VARCHAR(200) NOT NULL, stands_for VARCHAR(200), verb VARCHAR(20) NOT NULL,
    kid VARCHAR(100) NOT NULL, via VARCHAR(20) NOT NULL, looked FLOAT, at FLOAT NOT NULL,
    digest VARCHAR(64) NOT NULL, agent VARCHAR(100) NOT NULL, step VARCHAR(100) NOT NULL,
    ruling TEXT NOT NULL, effect VARCHAR(400), planted BOOLEAN, PRIMARY KEY (jti)
);
CREATE INDEX handrail_rulings_by_at ON handrail_rulings (by, at);
CREATE INDEX ix_handrail_rulings_at ON handrail_rulings (at);
CREATE INDEX ix_handrail_rulings_case_id ON handrail_rulings (case_id);
CREATE TABLE handrail_mandates (
    id VARCHAR(64) NOT NULL, kind VARCHAR(20) NOT NULL, agent VARCHAR(100) NOT NULL,
    "by" VARCHAR(200) NOT NULL, "to" VARCHAR(200), begins FLOAT NOT NULL, ends FLOAT NOT NULL,
    text TEXT NOT NULL, revoked FLOAT, revoked_by VARCHAR(200), PRIMARY KEY (id)
);
CREATE INDEX handrail_mandates_live ON handrail_mandates (agent, ends);
CREATE TABLE handrail_mandate_uses (
    mandate VARCHAR(64) NOT NULL, effect VARCHAR(400) NOT NULL, at FLOAT NOT NULL,
    PRIMARY KEY (mandate, effect)
);
CREATE INDEX ix_handrail_mandate_uses_effect ON handrail_mandate_uses (effect);
"""
