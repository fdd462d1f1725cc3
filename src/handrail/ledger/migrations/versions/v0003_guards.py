"""What the guards remember; effects know what they were decided by."""

from handrail.ledger.migrations import run

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the columns and the tables."""
    run(_SQL)


_SQL = """
ALTER TABLE handrail_effects ADD COLUMN evidence TEXT;
ALTER TABLE handrail_effects ADD COLUMN confidence FLOAT;
ALTER TABLE handrail_effects ADD COLUMN alone BOOLEAN;
ALTER TABLE handrail_effects ADD COLUMN share FLOAT;
CREATE TABLE handrail_verdicts (
    id {number} NOT NULL, case_id VARCHAR(300) NOT NULL, agent VARCHAR(100) NOT NULL,
    step VARCHAR(100) NOT NULL, key VARCHAR(400) NOT NULL, digest VARCHAR(64) NOT NULL,
    at FLOAT NOT NULL, kind VARCHAR(20) NOT NULL, findings TEXT NOT NULL,
    policy VARCHAR(200) NOT NULL, autonomy VARCHAR(40) NOT NULL, pilot BOOLEAN NOT NULL,
    action TEXT NOT NULL, basis TEXT, requester VARCHAR(200), PRIMARY KEY (id)
);
CREATE INDEX handrail_verdicts_agent_at ON handrail_verdicts (agent, at);
CREATE INDEX handrail_verdicts_kind_at ON handrail_verdicts (agent, step, kind, at);
CREATE INDEX ix_handrail_verdicts_case_id ON handrail_verdicts (case_id);
CREATE TABLE handrail_policies (
    agent VARCHAR(100) NOT NULL, sha VARCHAR(64) NOT NULL, version INTEGER NOT NULL,
    label VARCHAR(200) NOT NULL, text TEXT NOT NULL, first FLOAT NOT NULL, loaded FLOAT NOT NULL,
    PRIMARY KEY (agent, sha)
);
CREATE TABLE handrail_orders (
    id VARCHAR(64) NOT NULL, kind VARCHAR(20) NOT NULL, agent VARCHAR(100) NOT NULL,
    step VARCHAR(100), case_id VARCHAR(300), level VARCHAR(20), rollout INTEGER,
    "by" VARCHAR(200) NOT NULL, at FLOAT NOT NULL, why TEXT NOT NULL, proofs TEXT NOT NULL,
    ended FLOAT, ended_by VARCHAR(200), ended_why TEXT, ended_proofs TEXT, PRIMARY KEY (id)
);
CREATE INDEX handrail_orders_live ON handrail_orders (agent, ended);
CREATE TABLE handrail_counters (
    id {number} NOT NULL, agent VARCHAR(100) NOT NULL, step VARCHAR(100) NOT NULL,
    name TEXT NOT NULL, since FLOAT NOT NULL, PRIMARY KEY (id)
);
CREATE UNIQUE INDEX handrail_counters_named ON handrail_counters (agent, step, name);
CREATE TABLE handrail_counted (
    counter BIGINT NOT NULL, grp VARCHAR(300) NOT NULL, seq BIGINT NOT NULL, at FLOAT NOT NULL,
    effect VARCHAR(400) NOT NULL, amount TEXT NOT NULL, total TEXT NOT NULL, of_at FLOAT,
    PRIMARY KEY (counter, grp, seq)
);
CREATE INDEX handrail_counted_given_back
    ON handrail_counted (counter, grp, at) WHERE of_at IS NOT NULL;
CREATE INDEX handrail_counted_window ON handrail_counted (counter, grp, at, seq);
CREATE INDEX ix_handrail_counted_effect ON handrail_counted (effect);
CREATE TABLE handrail_spending (
    id VARCHAR(400) NOT NULL, agent VARCHAR(100) NOT NULL, case_id VARCHAR(300) NOT NULL,
    step VARCHAR(100) NOT NULL, at FLOAT NOT NULL, tokens BIGINT NOT NULL,
    cost VARCHAR(40) NOT NULL, currency VARCHAR(10) NOT NULL, model VARCHAR(200) NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX handrail_spending_agent_at ON handrail_spending (agent, at);
CREATE INDEX ix_handrail_spending_case_id ON handrail_spending (case_id);
CREATE TABLE handrail_reviews (
    key VARCHAR(400) NOT NULL, agent VARCHAR(100) NOT NULL, step VARCHAR(100) NOT NULL,
    case_id VARCHAR(300) NOT NULL, at FLOAT NOT NULL, why TEXT NOT NULL, share FLOAT NOT NULL,
    role VARCHAR(200) NOT NULL, people TEXT NOT NULL, requester VARCHAR(200), answer VARCHAR(20),
    "by" VARCHAR(200), answered FLOAT, note TEXT, proof TEXT, PRIMARY KEY (key)
);
CREATE INDEX handrail_reviews_agent_at ON handrail_reviews (agent, at);
CREATE INDEX ix_handrail_reviews_case_id ON handrail_reviews (case_id);
CREATE TABLE handrail_review_answers (
    key VARCHAR(400) NOT NULL, number INTEGER NOT NULL, answer VARCHAR(20) NOT NULL,
    "by" VARCHAR(200) NOT NULL, at FLOAT NOT NULL, note TEXT NOT NULL, proof TEXT NOT NULL,
    PRIMARY KEY (key, number)
);
CREATE TABLE handrail_incidents (
    id VARCHAR(400) NOT NULL, agent VARCHAR(100) NOT NULL, step VARCHAR(100) NOT NULL,
    case_id VARCHAR(300) NOT NULL, key VARCHAR(400) NOT NULL, kind VARCHAR(20) NOT NULL,
    what TEXT NOT NULL, at FLOAT NOT NULL, closed FLOAT, closed_by VARCHAR(200), closed_why TEXT,
    PRIMARY KEY (id)
);
CREATE INDEX handrail_incidents_kind_at ON handrail_incidents (agent, step, kind, at);
CREATE INDEX ix_handrail_incidents_case_id ON handrail_incidents (case_id);
"""
