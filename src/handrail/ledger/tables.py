"""The ledger's tables. Whoever changes one writes a migration.

Times are seconds since 1970, UTC.
"""

from __future__ import annotations

import sqlalchemy as sa
from typing_extensions import override

# SQLite numbers rows by itself only where the key is exactly INTEGER.
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def keepable(text: str, most: int | None = None) -> str:
    """A text as every database keeps it: the character 0 and halves of characters spelt out.

    `most`: cut after so many characters.
    """
    plain = text.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()
    return plain[:most]


class Words(sa.TypeDecorator[str]):
    """Text of people, models and outside systems, which may hold anything.

    What a database refused would be tried again for ever: a stop for its reason, an error that
    ends an attempt, or what a decision cost, and the decision with it.
    """

    impl = sa.Text
    cache_ok = True

    def __init__(self, most: int | None = None) -> None:
        """`most`: characters that the column takes; what is longer is cut."""
        super().__init__()
        self.most = most
        if most is not None:
            self.impl = sa.String(most)

    @override
    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else keepable(value, self.most)


meta = sa.MetaData()
effects = sa.Table(
    "handrail_effects",
    meta,
    sa.Column("key", sa.String(400), primary_key=True),
    sa.Column("case_id", sa.String(300), nullable=False, index=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("policy", sa.String(200), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("deadline", sa.Float, nullable=False),
    sa.Column("begun", sa.Float, nullable=False),
    sa.Column("ended", sa.Float),
    sa.Column("receipt", sa.Text),
    sa.Column("error", Words()),
    sa.Column("evidence", sa.Text),
    sa.Column("confidence", sa.Float),
    sa.Column("alone", sa.Boolean),
    # The chance, 0..1, with which it is put before a human afterwards; NULL: no review was on.
    sa.Column("share", sa.Float),
    sa.Index("handrail_effects_window", "agent", "step", "begun"),
)
rulings = sa.Table(
    "handrail_rulings",
    meta,
    sa.Column("jti", sa.String(64), primary_key=True),
    sa.Column("case_id", sa.String(300), nullable=False, index=True),
    sa.Column("gate", sa.String(64), nullable=False),
    sa.Column("by", sa.String(200), nullable=False),
    sa.Column("stands_for", sa.String(200)),
    sa.Column("verb", sa.String(20), nullable=False),
    sa.Column("kid", sa.String(100), nullable=False),
    sa.Column("via", sa.String(20), nullable=False),
    sa.Column("looked", sa.Float),
    sa.Column("at", sa.Float, nullable=False, index=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("ruling", sa.Text, nullable=False),
    sa.Column("effect", sa.String(400)),
    sa.Column("planted", sa.Boolean),
    sa.Index("handrail_rulings_by_at", "by", "at"),
)
mandates = sa.Table(
    "handrail_mandates",
    meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("by", sa.String(200), nullable=False),
    sa.Column("to", sa.String(200)),
    sa.Column("begins", sa.Float, nullable=False),
    sa.Column("ends", sa.Float, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("revoked", sa.Float),
    sa.Column("revoked_by", sa.String(200)),
    sa.Index("handrail_mandates_live", "agent", "ends"),
)
mandate_uses = sa.Table(
    "handrail_mandate_uses",
    meta,
    sa.Column("mandate", sa.String(64), primary_key=True),
    sa.Column("effect", sa.String(400), primary_key=True, index=True),
    sa.Column("at", sa.Float, nullable=False),
)
verdicts = sa.Table(
    "handrail_verdicts",
    meta,
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
    sa.Column("requester", Words(200)),
    sa.Index("handrail_verdicts_agent_at", "agent", "at"),
    sa.Index("handrail_verdicts_kind_at", "agent", "step", "kind", "at"),
)
policies = sa.Table(
    "handrail_policies",
    meta,
    sa.Column("agent", sa.String(100), primary_key=True),
    sa.Column("sha", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("label", sa.String(200), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("first", sa.Float, nullable=False),
    sa.Column("loaded", sa.Float, nullable=False),
)
orders = sa.Table(
    "handrail_orders",
    meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100)),
    sa.Column("case_id", sa.String(300)),
    sa.Column("level", sa.String(20)),
    sa.Column("rollout", sa.Integer),
    sa.Column("by", sa.String(200), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("why", Words(), nullable=False),
    sa.Column("proofs", sa.Text, nullable=False),
    sa.Column("ended", sa.Float),
    sa.Column("ended_by", sa.String(200)),
    sa.Column("ended_why", Words()),
    sa.Column("ended_proofs", sa.Text),
    sa.Index("handrail_orders_live", "agent", "ended"),
)
counters = sa.Table(
    "handrail_counters",
    meta,
    sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Index("handrail_counters_named", "agent", "step", "name", unique=True),
)
counted = sa.Table(
    "handrail_counted",
    meta,
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
spending = sa.Table(
    "handrail_spending",
    meta,
    sa.Column("id", sa.String(400), primary_key=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("case_id", sa.String(300), nullable=False, index=True),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.String(40), nullable=False),
    sa.Column("currency", sa.String(10), nullable=False),
    sa.Column("model", Words(200), nullable=False),
    sa.Index("handrail_spending_agent_at", "agent", "at"),
)
reviews = sa.Table(
    "handrail_reviews",
    meta,
    sa.Column("key", sa.String(400), primary_key=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("case_id", sa.String(300), nullable=False, index=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("why", Words(), nullable=False),
    sa.Column("share", sa.Float, nullable=False),
    sa.Column("role", sa.String(200), nullable=False),
    sa.Column("people", sa.Text, nullable=False),
    sa.Column("requester", Words(200)),
    sa.Column("answer", sa.String(20)),
    sa.Column("by", sa.String(200)),
    sa.Column("answered", sa.Float),
    sa.Column("note", Words()),
    sa.Column("proof", sa.Text),
    sa.Index("handrail_reviews_agent_at", "agent", "at"),
)
review_answers = sa.Table(
    "handrail_review_answers",
    meta,
    sa.Column("key", sa.String(400), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("answer", sa.String(20), nullable=False),
    sa.Column("by", sa.String(200), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("note", Words(), nullable=False),
    sa.Column("proof", sa.Text, nullable=False),
)
incidents = sa.Table(
    "handrail_incidents",
    meta,
    sa.Column("id", sa.String(400), primary_key=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("case_id", sa.String(300), nullable=False, index=True),
    sa.Column("key", sa.String(400), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("what", Words(), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("closed", sa.Float),
    sa.Column("closed_by", sa.String(200)),
    sa.Column("closed_why", Words()),
    sa.Index("handrail_incidents_kind_at", "agent", "step", "kind", "at"),
)
