CREATE TABLE handrail_counted (
    counter BIGINT NOT NULL,
    grp VARCHAR(300) NOT NULL,
    seq BIGINT NOT NULL,
    at FLOAT NOT NULL,
    effect VARCHAR(400) NOT NULL,
    amount TEXT NOT NULL,
    total TEXT NOT NULL,
    of_at FLOAT,
    PRIMARY KEY (counter, grp, seq)
);
CREATE INDEX handrail_counted_given_back ON handrail_counted (counter, grp, at) WHERE of_at IS NOT NULL;
CREATE INDEX handrail_counted_window ON handrail_counted (counter, grp, at, seq);
CREATE INDEX ix_handrail_counted_effect ON handrail_counted (effect);
CREATE TABLE handrail_counters (
    id {bigserial} NOT NULL,
    agent VARCHAR(100) NOT NULL,
    step VARCHAR(100) NOT NULL,
    name TEXT NOT NULL,
    since FLOAT NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX handrail_counters_named ON handrail_counters (agent, step, name);
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
    evidence TEXT,
    confidence FLOAT,
    alone BOOLEAN,
    share FLOAT,
    attempt INTEGER DEFAULT '1' NOT NULL,
    PRIMARY KEY (key)
);
CREATE INDEX handrail_effects_window ON handrail_effects (agent, step, begun);
CREATE INDEX ix_handrail_effects_case_id ON handrail_effects (case_id);
CREATE TABLE handrail_heights (
    agent VARCHAR(100) NOT NULL,
    height BIGINT NOT NULL,
    PRIMARY KEY (agent)
);
CREATE TABLE handrail_identity (
    id VARCHAR(32) NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE handrail_incidents (
    id VARCHAR(400) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    step VARCHAR(100) NOT NULL,
    case_id VARCHAR(300) NOT NULL,
    key VARCHAR(400) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    what TEXT NOT NULL,
    at FLOAT NOT NULL,
    closed FLOAT,
    closed_by VARCHAR(200),
    closed_why TEXT,
    PRIMARY KEY (id)
);
CREATE INDEX handrail_incidents_kind_at ON handrail_incidents (agent, step, kind, at);
CREATE INDEX ix_handrail_incidents_case_id ON handrail_incidents (case_id);
CREATE TABLE handrail_intake (
    id VARCHAR(32) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    source VARCHAR(200) NOT NULL,
    received FLOAT NOT NULL,
    state VARCHAR(20) NOT NULL,
    raw BOOLEAN NOT NULL,
    body TEXT NOT NULL,
    headers TEXT NOT NULL,
    requested_by VARCHAR(200) NOT NULL,
    why TEXT NOT NULL,
    case_id VARCHAR(400),
    ended FLOAT,
    ended_by VARCHAR(200),
    ended_why TEXT,
    PRIMARY KEY (id)
);
CREATE INDEX handrail_intake_state ON handrail_intake (state, received);
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
CREATE TABLE handrail_orders (
    id VARCHAR(64) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    step VARCHAR(100),
    case_id VARCHAR(300),
    level VARCHAR(20),
    rollout INTEGER,
    by VARCHAR(200) NOT NULL,
    at FLOAT NOT NULL,
    why TEXT NOT NULL,
    proofs TEXT NOT NULL,
    ended FLOAT,
    ended_by VARCHAR(200),
    ended_why TEXT,
    ended_proofs TEXT,
    PRIMARY KEY (id)
);
CREATE INDEX handrail_orders_live ON handrail_orders (agent, ended);
CREATE TABLE handrail_policies (
    agent VARCHAR(100) NOT NULL,
    sha VARCHAR(64) NOT NULL,
    version INTEGER NOT NULL,
    label VARCHAR(200) NOT NULL,
    text TEXT NOT NULL,
    first FLOAT NOT NULL,
    loaded FLOAT NOT NULL,
    PRIMARY KEY (agent, sha)
);
CREATE TABLE handrail_review_answers (
    key VARCHAR(400) NOT NULL,
    number INTEGER NOT NULL,
    answer VARCHAR(20) NOT NULL,
    by VARCHAR(200) NOT NULL,
    at FLOAT NOT NULL,
    note TEXT NOT NULL,
    proof TEXT NOT NULL,
    PRIMARY KEY (key, number)
);
CREATE TABLE handrail_reviews (
    key VARCHAR(400) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    step VARCHAR(100) NOT NULL,
    case_id VARCHAR(300) NOT NULL,
    at FLOAT NOT NULL,
    why TEXT NOT NULL,
    share FLOAT NOT NULL,
    role VARCHAR(200) NOT NULL,
    people TEXT NOT NULL,
    requester VARCHAR(200),
    answer VARCHAR(20),
    by VARCHAR(200),
    answered FLOAT,
    note TEXT,
    proof TEXT,
    PRIMARY KEY (key)
);
CREATE INDEX handrail_reviews_agent_at ON handrail_reviews (agent, at);
CREATE INDEX ix_handrail_reviews_case_id ON handrail_reviews (case_id);
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
CREATE TABLE handrail_spending (
    id VARCHAR(400) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    case_id VARCHAR(300) NOT NULL,
    step VARCHAR(100) NOT NULL,
    at FLOAT NOT NULL,
    tokens BIGINT NOT NULL,
    cost VARCHAR(40) NOT NULL,
    currency VARCHAR(10) NOT NULL,
    model VARCHAR(200) NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX handrail_spending_agent_at ON handrail_spending (agent, at);
CREATE INDEX ix_handrail_spending_case_id ON handrail_spending (case_id);
CREATE TABLE handrail_verdicts (
    id {bigserial} NOT NULL,
    case_id VARCHAR(300) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    step VARCHAR(100) NOT NULL,
    key VARCHAR(400) NOT NULL,
    digest VARCHAR(64) NOT NULL,
    at FLOAT NOT NULL,
    kind VARCHAR(20) NOT NULL,
    findings TEXT NOT NULL,
    policy VARCHAR(200) NOT NULL,
    autonomy VARCHAR(40) NOT NULL,
    pilot BOOLEAN NOT NULL,
    action TEXT NOT NULL,
    basis TEXT,
    requester VARCHAR(200),
    PRIMARY KEY (id)
);
CREATE INDEX handrail_verdicts_agent_at ON handrail_verdicts (agent, at);
CREATE INDEX handrail_verdicts_kind_at ON handrail_verdicts (agent, step, kind, at);
CREATE INDEX handrail_verdicts_piloted ON handrail_verdicts (agent, case_id) WHERE pilot;
CREATE INDEX ix_handrail_verdicts_case_id ON handrail_verdicts (case_id);
CREATE TABLE handrail_cases (
    case_id VARCHAR(300) NOT NULL,
    run_id VARCHAR(64) NOT NULL,
    events INTEGER NOT NULL,
    agent VARCHAR(100) NOT NULL,
    build VARCHAR(200) NOT NULL,
    policy VARCHAR(200) NOT NULL,
    "trigger" VARCHAR(200) NOT NULL,
    event_digest VARCHAR(64) NOT NULL,
    requester VARCHAR(200),
    parent VARCHAR(300),
    begun FLOAT NOT NULL,
    ended FLOAT,
    state VARCHAR(20) NOT NULL,
    why TEXT NOT NULL,
    seconds TEXT NOT NULL,
    tokens BIGINT NOT NULL,
    cost VARCHAR(40) NOT NULL,
    currency VARCHAR(10) NOT NULL,
    value VARCHAR(40),
    pilot BOOLEAN NOT NULL,
    writes INTEGER NOT NULL,
    questions INTEGER NOT NULL,
    escalated INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    PRIMARY KEY (case_id)
);
CREATE INDEX handrail_cases_agent_begun ON handrail_cases (agent, begun);
CREATE INDEX handrail_cases_agent_ended ON handrail_cases (agent, ended);
CREATE TABLE handrail_decisions (
    case_id VARCHAR(300) NOT NULL,
    number INTEGER NOT NULL,
    agent VARCHAR(100) NOT NULL,
    step VARCHAR(100) NOT NULL,
    at FLOAT NOT NULL,
    inputs VARCHAR(64) NOT NULL,
    kind VARCHAR(200),
    digest VARCHAR(64),
    confidence FLOAT,
    model VARCHAR(200) NOT NULL,
    tokens BIGINT NOT NULL,
    cost VARCHAR(40) NOT NULL,
    PRIMARY KEY (case_id, number)
);
CREATE INDEX handrail_decisions_agent_at ON handrail_decisions (agent, at);
CREATE TABLE handrail_questions (
    case_id VARCHAR(300) NOT NULL,
    gate VARCHAR(64) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    step VARCHAR(100) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    roles TEXT NOT NULL,
    asked FLOAT NOT NULL,
    reminded FLOAT,
    escalated FLOAT,
    ended FLOAT,
    how VARCHAR(20),
    "by" TEXT NOT NULL,
    proven BOOLEAN,
    looked FLOAT,
    PRIMARY KEY (case_id, gate)
);
CREATE INDEX handrail_questions_agent_asked ON handrail_questions (agent, asked);
CREATE TABLE handrail_errors (
    case_id VARCHAR(300) NOT NULL,
    number INTEGER NOT NULL,
    agent VARCHAR(100) NOT NULL,
    step VARCHAR(100) NOT NULL,
    at FLOAT NOT NULL,
    kind VARCHAR(20) NOT NULL,
    attempts INTEGER,
    what TEXT NOT NULL,
    PRIMARY KEY (case_id, number)
);
CREATE INDEX handrail_errors_agent_at ON handrail_errors (agent, at);
CREATE TABLE handrail_presence (
    worker VARCHAR(200) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    since FLOAT NOT NULL,
    build VARCHAR(200) NOT NULL,
    last FLOAT NOT NULL,
    PRIMARY KEY (worker, agent, since)
);
CREATE INDEX handrail_presence_agent_last ON handrail_presence (agent, last);
CREATE TABLE handrail_outcomes (
    id VARCHAR(64) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    case_id VARCHAR(300) NOT NULL,
    step VARCHAR(100) NOT NULL,
    at FLOAT NOT NULL,
    received FLOAT NOT NULL,
    source VARCHAR(200) NOT NULL,
    "by" VARCHAR(200) NOT NULL,
    action TEXT,
    raw TEXT NOT NULL,
    judged VARCHAR(20),
    judged_by VARCHAR(200),
    judged_at FLOAT,
    judged_why TEXT,
    PRIMARY KEY (id)
);
CREATE INDEX handrail_outcomes_agent_case ON handrail_outcomes (agent, case_id);
CREATE TABLE handrail_baselines (
    id VARCHAR(64) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    name VARCHAR(100) NOT NULL,
    amount VARCHAR(40) NOT NULL,
    unit VARCHAR(40) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    source TEXT NOT NULL,
    "by" VARCHAR(200) NOT NULL,
    at FLOAT NOT NULL,
    replaced FLOAT,
    PRIMARY KEY (id)
);
CREATE INDEX handrail_baselines_agent_name ON handrail_baselines (agent, name);
CREATE TABLE handrail_alerts (
    id VARCHAR(64) NOT NULL,
    agent VARCHAR(100) NOT NULL,
    rule VARCHAR(200) NOT NULL,
    began FLOAT NOT NULL,
    value VARCHAR(200) NOT NULL,
    "limit" VARCHAR(200) NOT NULL,
    cases TEXT NOT NULL,
    told FLOAT,
    acknowledged FLOAT,
    acknowledged_by VARCHAR(200),
    ended FLOAT,
    PRIMARY KEY (id)
);
CREATE INDEX handrail_alerts_agent_ended ON handrail_alerts (agent, ended);
INSERT INTO handrail_schema VALUES (8);
INSERT INTO handrail_heights (agent, height)
VALUES ('a', 2);
INSERT INTO handrail_identity (id)
VALUES ('0123456789abcdef0123456789abcdef');
INSERT INTO handrail_counted (counter, grp, seq, at, effect, amount, total, of_at)
VALUES (1, '', 1, 1795854563.439494, 'a:3/pay/1', '10', '10', NULL);
INSERT INTO handrail_counted (counter, grp, seq, at, effect, amount, total, of_at)
VALUES (1, '', 2, 1795854563.456235, 'a:4/pay/1', '10', '20', NULL);
INSERT INTO handrail_counted (counter, grp, seq, at, effect, amount, total, of_at)
VALUES (1, '', 3, 1795854563.461767, 'a:4/pay/1', '-10', '10', 1795854563.456235);
INSERT INTO handrail_counted (counter, grp, seq, at, effect, amount, total, of_at)
VALUES (2, '', 1, 1767270615.123456, 's1', '120', '120', NULL);
INSERT INTO handrail_counted (counter, grp, seq, at, effect, amount, total, of_at)
VALUES (3, '', 1, 1767270615.123456, 's1', '0.0125', '0.0125', NULL);
INSERT INTO handrail_counters (id, agent, step, name, since)
VALUES (1, 'a', 'pay', '["amount", false, [], []]', -1357745436.56827);
INSERT INTO handrail_counters (id, agent, step, name, since)
VALUES (2, 'a', '$spending', 'tokens', 1e+18);
INSERT INTO handrail_counters (id, agent, step, name, since)
VALUES (3, 'a', '$spending', 'EUR', 1e+18);
INSERT INTO handrail_effects (key, case_id, agent, step, digest, action, policy, state, owner, deadline, begun, ended, receipt, error, evidence, confidence, alone, share, attempt)
VALUES ('a:3/pay/1', 'a:3', 'a', 'pay', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', '{"amount": "10", "to": "Zo\u00eb"}', 'a v1', 'done', 'one', 1767270615.123456, 1795854563.430682, 1795854563.450185, '{"key":"a:3/pay/1","step":"pay","digest":"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd","at":"2026-01-01T12:30:15.123456Z","how":"written","result":7}', NULL, '{"vip": true}', 0.5, true, 0.25, 2);
INSERT INTO handrail_effects (key, case_id, agent, step, digest, action, policy, state, owner, deadline, begun, ended, receipt, error, evidence, confidence, alone, share, attempt)
VALUES ('a:4/pay/1', 'a:4', 'a', 'pay', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', '{"amount": "10", "to": "Zo\u00eb"}', 'a v1', 'not_done', 'one', 1767270615.123456, 1795854563.455647, 1795854563.45741, NULL, 'it says no', NULL, NULL, false, NULL, 1);
INSERT INTO handrail_incidents (id, agent, step, case_id, key, kind, what, at, closed, closed_by, closed_why)
VALUES ('i1', 'a', 'pay', 'a:3', 'a:3/pay/1', 'mismatch', 'other amount', 1767270615.123456, 1767270615.123456, 'ana@example.com', 'was late');
INSERT INTO handrail_intake (id, agent, source, received, state, raw, body, headers, requested_by, why, case_id, ended, ended_by, ended_why)
VALUES ('e1', 'a', 'hook:shop', 1767270615.123456, 'waiting', false, '{"number": "1"}', '{"content-type": "application/json"}', 'hook:shop', 'the server is away', NULL, NULL, NULL, NULL);
INSERT INTO handrail_mandate_uses (mandate, effect, at)
VALUES ('m1', 'a:3/pay/1', 1795854563.446196);
INSERT INTO handrail_mandates (id, kind, agent, "by", "to", begins, ends, text, revoked, revoked_by)
VALUES ('m1', 'standing', 'a', 'ana@example.com', NULL, 1767270615.123456, 33303270615.123455, 'signed', NULL, NULL);
INSERT INTO handrail_orders (id, kind, agent, step, case_id, level, rollout, "by", at, why, proofs, ended, ended_by, ended_why, ended_proofs)
VALUES ('o1', 'stop', 'a', 'other', NULL, NULL, NULL, 'ana@example.com', 1767270615.123456, 'look', '["p.q.r"]', 1767270615.123456, 'bo@example.com', 'seen', '["v.w.x"]');
INSERT INTO handrail_orders (id, kind, agent, step, case_id, level, rollout, "by", at, why, proofs, ended, ended_by, ended_why, ended_proofs)
VALUES ('o2', 'level', 'a', NULL, NULL, 'full', 2500, 'ana@example.com', 1767270615.123456, '', '["p.q.r", "s.t.u"]', NULL, NULL, NULL, NULL);
INSERT INTO handrail_policies (agent, sha, version, label, text, first, loaded)
VALUES ('a', 'ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss', 1, 'a v1', 'agent: a
', 1795854563.412929, 1795854563.412929);
INSERT INTO handrail_review_answers (key, number, answer, "by", at, note, proof)
VALUES ('a:3/pay/1', 1, 'right', 'ana@example.com', 1767270615.123456, 'fine', 'a.b.c');
INSERT INTO handrail_reviews (key, agent, step, case_id, at, why, share, role, people, requester, answer, "by", answered, note, proof)
VALUES ('a:3/pay/1', 'a', 'pay', 'a:3', 1767270615.123456, 'drawn', 0.25, 'lead', '["ana@example.com"]', 'bo@example.com', 'right', 'ana@example.com', 1767270615.123456, 'fine', 'a.b.c');
INSERT INTO handrail_rulings (jti, case_id, gate, "by", stands_for, verb, kid, via, looked, at, digest, agent, step, ruling, effect, planted)
VALUES ('j1', 'a:3', 'g1', 'ana@example.com', NULL, 'approve', 'k1', '', NULL, 1767270615.123456, 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 'a', 'pay', '{"gate":"g1","digest":"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd","by":"ana@example.com","why":"","action":null,"answer":null,"result":null,"to":null,"question":null,"via":"","looked":null,"proof":"x.y.z"}', 'a:3/pay/1', false);
INSERT INTO handrail_spending (id, agent, case_id, step, at, tokens, cost, currency, model)
VALUES ('s1', 'a', 'a:3', 'choose', 1767270615.123456, 120, '0.0125', 'EUR', 'm');
INSERT INTO handrail_verdicts (case_id, agent, step, key, digest, at, kind, findings, policy, autonomy, pilot, action, basis, requester)
VALUES ('a:3', 'a', 'pay', 'a:3/pay/1', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 1767270615.123456, 'pass', '[{"check":"limits","kind":"pass","why":"within","role":null}]', 'a v1', 'full', false, '{"amount": "10"}', NULL, 'bo@example.com');
INSERT INTO handrail_cases (case_id, run_id, events, agent, build, policy, trigger, event_digest, requester, parent, begun, ended, state, why, seconds, tokens, cost, currency, value, pilot, writes, questions, escalated, errors)
VALUES ('a:3', 'r1', 20, 'a', 'b1', 'a v1', 'person', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 'bo@example.com', NULL, 1767270615.123456, 1767270615.123456, 'done', '', '{"working": 0.25}', 120, '0.0125', 'EUR', NULL, false, 1, 1, 0, 1);
INSERT INTO handrail_decisions (case_id, number, agent, step, at, inputs, kind, digest, confidence, model, tokens, cost)
VALUES ('a:3', 1, 'a', 'choose', 1767270615.123456, 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 'pay', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 0.5, 'm', 120, '0.0125');
INSERT INTO handrail_questions (case_id, gate, agent, step, kind, roles, asked, reminded, escalated, ended, how, "by", proven, looked)
VALUES ('a:3', 'g1', 'a', 'pay', 'approve', '["lead"]', 1767270615.123456, NULL, NULL, 1767270615.123456, 'approved', '["ana@example.com"]', true, 2.5);
INSERT INTO handrail_errors (case_id, number, agent, step, at, kind, attempts, what)
VALUES ('a:3', 1, 'a', 'pay', 1767270615.123456, 'bug', 3, 'a text');
INSERT INTO handrail_presence (worker, agent, since, build, last)
VALUES ('w1', 'a', 1767270615.123456, 'b1', 1767270615.123456);
INSERT INTO handrail_outcomes (id, agent, case_id, step, at, received, source, "by", action, raw, judged, judged_by, judged_at, judged_why)
VALUES ('o1', 'a', 'a:5', 'pay', 1767270615.123456, 1767270615.123456, 'log', 'bo@example.com', '{"amount": "11"}', '', NULL, NULL, NULL, NULL);
INSERT INTO handrail_baselines (id, agent, name, amount, unit, kind, source, "by", at, replaced)
VALUES ('b1', 'a', 'minutes_per_case', '12', 'minutes', 'declared', 'ana', 'ana@example.com', 1767270615.123456, NULL);
INSERT INTO handrail_alerts (id, agent, rule, began, value, "limit", cases, told, acknowledged, acknowledged_by, ended)
VALUES ('a1', 'a', 'oldest question', 1767270615.123456, '3 h', '2 h', '["a:3"]', 1767270615.123456, NULL, NULL, NULL);
INSERT INTO handrail_verdicts (case_id, agent, step, key, digest, at, kind, findings, policy, autonomy, pilot, action, basis, requester)
VALUES ('a:5', 'a', 'pay', 'a:5/pay/1', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 1767270615.123456, 'pass', '[]', 'a v1', 'pilot', true, '{"amount": "10"}', NULL, NULL);
CREATE TABLE handrail_comparisons (
    agent VARCHAR(100) NOT NULL,
    case_id VARCHAR(300) NOT NULL,
    step VARCHAR(100) NOT NULL,
    number INTEGER NOT NULL,
    rule VARCHAR(64),
    "key" VARCHAR(400) NOT NULL,
    at FLOAT,
    kind VARCHAR(200) NOT NULL,
    stand VARCHAR(20) NOT NULL,
    outcome VARCHAR(64),
    fields TEXT NOT NULL,
    late INTEGER NOT NULL,
    hindsight INTEGER NOT NULL,
    several INTEGER NOT NULL,
    amounts TEXT NOT NULL,
    above TEXT NOT NULL,
    PRIMARY KEY (agent, case_id, step, number)
);
CREATE INDEX handrail_comparisons_rule ON handrail_comparisons (agent, step, rule);
CREATE INDEX handrail_comparisons_stand ON handrail_comparisons (agent, stand, at);
INSERT INTO handrail_comparisons (agent, case_id, step, number, rule, "key", at, kind, stand, outcome, fields, late, hindsight, several, amounts, above)
VALUES ('a', 'a:5', 'pay', 0, NULL, '', NULL, '', '', NULL, '[]', 0, 0, 0, '{}', '{}');
