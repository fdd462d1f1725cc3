"""The tables of evidence: what became of cases, what people did instead, what was told about it.

The first four hold nothing that the history of a case has not: they can be made again from it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from handrail.ledger.tables import Json, SafeText, Timestamp, meta

cases = sa.Table(
    "handrail_cases",
    meta,
    sa.Column("case_id", sa.String(300), primary_key=True),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("build", SafeText(200), nullable=False),
    sa.Column("policy", SafeText(200), nullable=False),
    sa.Column("trigger", SafeText(200), nullable=False),
    sa.Column("event_digest", sa.String(64), nullable=False),
    sa.Column("requester", SafeText(200)),
    sa.Column("parent", SafeText(300)),
    sa.Column("begun", Timestamp, nullable=False),
    sa.Column("ended", Timestamp),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("why", SafeText(), nullable=False),
    sa.Column("seconds", Json(dict), nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.String(40), nullable=False),
    sa.Column("currency", SafeText(10), nullable=False),
    sa.Column("value", sa.String(40)),
    sa.Column("pilot", sa.Boolean, nullable=False),
    sa.Column("writes", sa.Integer, nullable=False),
    sa.Column("questions", sa.Integer, nullable=False),
    sa.Column("escalated", sa.Integer, nullable=False),
    sa.Column("errors", sa.Integer, nullable=False),
    sa.Index("handrail_cases_agent_begun", "agent", "begun"),
    sa.Index("handrail_cases_agent_ended", "agent", "ended"),
)
decisions = sa.Table(
    "handrail_decisions",
    meta,
    sa.Column("case_id", sa.String(300), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("inputs", sa.String(64), nullable=False),
    # The class of the action; NULL: nothing to do.
    sa.Column("kind", sa.String(200)),
    sa.Column("digest", sa.String(64)),
    sa.Column("confidence", sa.Float),
    sa.Column("model", SafeText(200), nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.String(40), nullable=False),
    sa.Index("handrail_decisions_agent_at", "agent", "at"),
)
questions = sa.Table(
    "handrail_questions",
    meta,
    sa.Column("case_id", sa.String(300), primary_key=True),
    sa.Column("gate", sa.String(64), primary_key=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("roles", Json(tuple), nullable=False),
    sa.Column("asked", Timestamp, nullable=False),
    sa.Column("reminded", Timestamp),
    sa.Column("escalated", Timestamp),
    sa.Column("ended", Timestamp),
    sa.Column("how", sa.String(20)),
    sa.Column("by", Json(tuple), nullable=False),
    sa.Column("proven", sa.Boolean),
    # Seconds for which those who closed it had it before them, as far as they said so.
    sa.Column("looked", sa.Float),
    sa.Index("handrail_questions_agent_asked", "agent", "asked"),
)
errors = sa.Table(
    "handrail_errors",
    meta,
    sa.Column("case_id", sa.String(300), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    # NULL: not known.
    sa.Column("attempts", sa.Integer),
    sa.Column("what", SafeText(), nullable=False),
    sa.Index("handrail_errors_agent_at", "agent", "at"),
)
presence = sa.Table(
    "handrail_presence",
    meta,
    sa.Column("worker", SafeText(200), primary_key=True),
    sa.Column("agent", sa.String(100), primary_key=True),
    sa.Column("since", Timestamp, primary_key=True),
    sa.Column("build", SafeText(200), nullable=False),
    sa.Column("last", Timestamp, nullable=False),
    sa.Index("handrail_presence_agent_last", "agent", "last"),
)
outcomes = sa.Table(
    "handrail_outcomes",
    meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("case_id", SafeText(300), nullable=False),
    sa.Column("step", SafeText(100), nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("received", Timestamp, nullable=False),
    sa.Column("source", SafeText(200), nullable=False),
    sa.Column("by", SafeText(200), nullable=False),
    # NULL: they did nothing.
    sa.Column("action", Json),
    sa.Column("raw", SafeText(), nullable=False),
    sa.Column("judged", sa.String(20)),
    sa.Column("judged_by", SafeText(200)),
    sa.Column("judged_at", Timestamp),
    sa.Column("judged_why", SafeText()),
    sa.Index("handrail_outcomes_agent_case", "agent", "case_id"),
)
comparisons = sa.Table(
    "handrail_comparisons",
    meta,
    sa.Column("agent", sa.String(100), primary_key=True),
    sa.Column("case_id", SafeText(300), primary_key=True),
    sa.Column("step", SafeText(100), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    # By what it was compared. NULL: something came in since, it is to be compared again.
    sa.Column("rule", sa.String(64)),
    sa.Column("key", sa.String(400), nullable=False),
    sa.Column("at", Timestamp),
    sa.Column("kind", SafeText(200), nullable=False),
    sa.Column("stand", sa.String(20), nullable=False),
    sa.Column("outcome", sa.String(64)),
    sa.Column("fields", Json(tuple), nullable=False),
    sa.Column("late", sa.Integer, nullable=False),
    sa.Column("hindsight", sa.Integer, nullable=False),
    sa.Column("several", sa.Integer, nullable=False),
    # By their names, as decimal numbers: of the proposal, and how far they are above those done.
    sa.Column("amounts", Json(dict), nullable=False),
    sa.Column("above", Json(dict), nullable=False),
    sa.Index("handrail_comparisons_rule", "agent", "step", "rule"),
    sa.Index("handrail_comparisons_stand", "agent", "stand", "at"),
)
"""Proposals of pilots beside what people did: made of both, and made again as either changes."""

baselines = sa.Table(
    "handrail_baselines",
    meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("name", SafeText(100), nullable=False),
    sa.Column("amount", sa.String(40), nullable=False),
    sa.Column("unit", SafeText(40), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("source", SafeText(), nullable=False),
    sa.Column("by", SafeText(200), nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    # NULL: it is in force.
    sa.Column("replaced", Timestamp),
    sa.Index("handrail_baselines_agent_name", "agent", "name"),
)
alerts = sa.Table(
    "handrail_alerts",
    meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("rule", SafeText(200), nullable=False),
    sa.Column("began", Timestamp, nullable=False),
    sa.Column("value", SafeText(200), nullable=False),
    sa.Column("limit", SafeText(200), nullable=False),
    sa.Column("cases", Json(tuple), nullable=False),
    sa.Column("told", Timestamp),
    sa.Column("acknowledged", Timestamp),
    sa.Column("acknowledged_by", SafeText(200)),
    sa.Column("ended", Timestamp),
    sa.Index("handrail_alerts_agent_ended", "agent", "ended"),
)

ERASED_WORDS: dict[sa.Table, dict[str, Any]] = {
    cases: {"why": "", "requester": None},
    errors: {"what": ""},
}
"""What the record of a case loses when it is erased: what came from outside, or was made of it."""
