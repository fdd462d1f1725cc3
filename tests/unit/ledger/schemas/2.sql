CREATE TABLE handrail_effects (
    key VARCHAR(400) NOT NULL,
    case_id VARCHAR(300) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    step VARCHAR(100) NOT NULL,
    digest VARCHAR(64) NOT NULL,
    action TEXT NOT NULL,
    policy VARCHAR(200) NOT NULL,
    state VARCHAR(20) NOT NULL,
    owner VARCHAR(200) NOT NULL,
    deadline FLOAT NOT NULL,
    begun FLOAT NOT NULL,
    ended FLOAT,
    receipt TEXT,
    error TEXT,
    PRIMARY KEY (key)
);
CREATE INDEX handrail_effects_window ON handrail_effects (agent, step, begun);
CREATE INDEX ix_handrail_effects_case_id ON handrail_effects (case_id);
CREATE TABLE handrail_mandate_uses (
    mandate VARCHAR(64) NOT NULL,
    effect VARCHAR(400) NOT NULL,
    at FLOAT NOT NULL,
    PRIMARY KEY (mandate, effect)
);
CREATE INDEX ix_handrail_mandate_uses_effect ON handrail_mandate_uses (effect);
CREATE TABLE handrail_mandates (
    id VARCHAR(64) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    by VARCHAR(200) NOT NULL,
    "to" VARCHAR(200),
    begins FLOAT NOT NULL,
    ends FLOAT NOT NULL,
    text TEXT NOT NULL,
    revoked FLOAT,
    revoked_by VARCHAR(200),
    PRIMARY KEY (id)
);
CREATE INDEX handrail_mandates_live ON handrail_mandates (agent, ends);
CREATE TABLE handrail_rulings (
    jti VARCHAR(64) NOT NULL,
    case_id VARCHAR(300) NOT NULL,
    gate VARCHAR(64) NOT NULL,
    by VARCHAR(200) NOT NULL,
    stands_for VARCHAR(200),
    verb VARCHAR(20) NOT NULL,
    kid VARCHAR(100) NOT NULL,
    via VARCHAR(20) NOT NULL,
    looked FLOAT,
    at FLOAT NOT NULL,
    digest VARCHAR(64) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    step VARCHAR(100) NOT NULL,
    ruling TEXT NOT NULL,
    effect VARCHAR(400),
    planted BOOLEAN,
    PRIMARY KEY (jti)
);
CREATE INDEX handrail_rulings_by_at ON handrail_rulings (by, at);
CREATE INDEX ix_handrail_rulings_at ON handrail_rulings (at);
CREATE INDEX ix_handrail_rulings_case_id ON handrail_rulings (case_id);
CREATE TABLE handrail_schema (
    version {serial} NOT NULL,
    PRIMARY KEY (version)
);
INSERT INTO handrail_schema VALUES (2);
INSERT INTO handrail_effects (key, case_id, agent, step, digest, action, policy, state, owner, deadline, begun, ended, receipt, error)
VALUES ('a:3/pay/1', 'a:3', 'a', 'pay', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', '{"amount": "10", "to": "Zo\u00eb"}', 'a v1', 'done', 'one', 1767270615.123456, 1795854563.430682, 1795854563.450185, '{"key":"a:3/pay/1","step":"pay","digest":"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd","at":"2026-01-01T12:30:15.123456Z","how":"written","result":7}', NULL);
INSERT INTO handrail_effects (key, case_id, agent, step, digest, action, policy, state, owner, deadline, begun, ended, receipt, error)
VALUES ('a:4/pay/1', 'a:4', 'a', 'pay', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', '{"amount": "10", "to": "Zo\u00eb"}', 'a v1', 'not_done', 'one', 1767270615.123456, 1795854563.455647, 1795854563.45741, NULL, 'it says no');
INSERT INTO handrail_mandate_uses (mandate, effect, at)
VALUES ('m1', 'a:3/pay/1', 1795854563.446196);
INSERT INTO handrail_mandates (id, kind, agent, "by", "to", begins, ends, text, revoked, revoked_by)
VALUES ('m1', 'standing', 'a', 'ana@example.com', NULL, 1767270615.123456, 33303270615.123455, 'signed', NULL, NULL);
INSERT INTO handrail_rulings (jti, case_id, gate, "by", stands_for, verb, kid, via, looked, at, digest, agent, step, ruling, effect, planted)
VALUES ('j1', 'a:3', 'g1', 'ana@example.com', NULL, 'approve', 'k1', '', NULL, 1767270615.123456, 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 'a', 'pay', '{"gate":"g1","digest":"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd","by":"ana@example.com","why":"","action":null,"answer":null,"result":null,"to":null,"question":null,"via":"","looked":null,"proof":"x.y.z"}', 'a:3/pay/1', false);
