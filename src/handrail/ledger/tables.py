"""The tables of the ledger, and the types of their columns.

Whoever changes a table writes a migration, in `handrail.ledger.migrations`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from typing_extensions import override

from handrail.actions import Basis, Finding, Kind, Level, Receipt
from handrail.text import first_line
from handrail.wire import fit

if TYPE_CHECKING:
    from collections.abc import Callable

# SQLite numbers rows by itself only where the key is exactly INTEGER.
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class EffectState(StrEnum):
    """How far an effect got, as far as the ledger knows."""

    INTENDED = "intended"
    """The effect may have happened: no receipt, no word that it did not."""
    DONE = "done"
    NOT_DONE = "not_done"
    """It certainly did not happen."""
    TAKEN_BACK = "taken_back"
    """It must not begin any more; an undo is taking back what there may have been."""


# Types of columns


def keepable(text: str, most: int | None = None) -> str:
    """A text as every database keeps it: the character 0 and halves of characters spelt out.

    `most`: cut after so many characters.
    """
    plain = text.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()
    return plain[:most]


class SafeText(sa.TypeDecorator[str]):
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


@dataclass(frozen=True)
class Unreadable:
    """What stands for a value of the ledger that is none of its column's: `why` says what it is.

    Raised at once it would hide all other rows that are read with it.
    """

    why: str


class _Readable(sa.TypeDecorator[Any]):
    """A column whose values are made of what the database holds, which may be anything."""

    impl = sa.Text
    cache_ok = True

    def read(self, value: Any) -> Any:
        """What a value of the database stands for; whatever it raises, it is unreadable."""
        raise NotImplementedError

    @override
    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        try:
            return self.read(value)
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
            return Unreadable(f"{str(value)[:80]!r}: {first_line(str(error))}")


class Timestamp(_Readable):
    """A moment, as seconds since 1970, UTC."""

    impl = sa.Float
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> float | None:
        return None if value is None else value.timestamp()

    @override
    def read(self, value: float | None) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value, UTC)


class Json(_Readable):
    """A value as JSON in text; NULL is None, or an empty tuple where `into` makes tuples."""

    cache_ok = True

    def __init__(self, into: Callable[[Any], Any] | None = None) -> None:
        """`into`: what is made of a value that was read."""
        super().__init__()
        self.into = into

    @override
    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    @override
    def read(self, value: str | None) -> Any:
        found = json.loads(value) if value else None
        if self.into is None:
            return found
        return self.into(found or ())


class JsonModel(_Readable):
    """What pydantic knows, as its JSON in text."""

    cache_ok = True

    def __init__(self, of: Any) -> None:
        """`of`: the model, or a type made of models."""
        super().__init__()
        self.of = of

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.of)

    @override
    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else self._adapter.dump_json(fit(value)).decode()

    @override
    def read(self, value: str | None) -> Any:
        return self._adapter.validate_json(value) if value else None


class Choice(_Readable):
    """One of an enumeration's values, as text."""

    impl = sa.String(20)
    cache_ok = True

    def __init__(self, of: type[StrEnum]) -> None:
        """`of`: the enumeration."""
        super().__init__(20)
        self.of = of

    @override
    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else self.of(value).value

    @override
    def read(self, value: str | None) -> StrEnum | None:
        return None if value is None else self.of(value)


def _index_where(where: str, name: str, *columns: str) -> sa.Index:
    """An index of some rows alone."""
    return sa.Index(name, *columns, sqlite_where=sa.text(where), info={"where": where})


# Tables

meta = sa.MetaData()
effects = sa.Table(
    "handrail_effects",
    meta,
    sa.Column("key", sa.String(400), primary_key=True),
    sa.Column("case_id", sa.String(300), nullable=False, index=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("action", Json(dict), nullable=False),
    sa.Column("policy", sa.String(200), nullable=False),
    sa.Column("state", Choice(EffectState), nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("deadline", Timestamp, nullable=False),
    sa.Column("begun", Timestamp, nullable=False),
    sa.Column("ended", Timestamp),
    sa.Column("receipt", JsonModel(Receipt)),
    sa.Column("error", SafeText()),
    sa.Column("evidence", Json),
    sa.Column("confidence", sa.Float),
    sa.Column("alone", sa.Boolean),
    # The chance, 0..1, with which it is put before a human afterwards; NULL: no review was on.
    sa.Column("share", sa.Float),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="1"),
    sa.Index("handrail_effects_window", "agent", "step", "begun"),
)
identity = sa.Table("handrail_identity", meta, sa.Column("id", sa.String(32), primary_key=True))
"""One row: which ledger this is."""

heights = sa.Table(
    "handrail_heights",
    meta,
    sa.Column("agent", sa.String(100), primary_key=True),
    sa.Column("height", sa.BigInteger, nullable=False),
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
    sa.Column("at", Timestamp, nullable=False, index=True),
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
    sa.Column("begins", Timestamp, nullable=False),
    sa.Column("ends", Timestamp, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("revoked", Timestamp),
    sa.Column("revoked_by", sa.String(200)),
    sa.Index("handrail_mandates_live", "agent", "ends"),
)
mandate_uses = sa.Table(
    "handrail_mandate_uses",
    meta,
    sa.Column("mandate", sa.String(64), primary_key=True),
    sa.Column("effect", sa.String(400), primary_key=True, index=True),
    sa.Column("at", Timestamp, nullable=False),
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
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("kind", Choice(Kind), nullable=False),
    sa.Column("findings", JsonModel(tuple[Finding, ...]), nullable=False),
    sa.Column("policy", sa.String(200), nullable=False),
    sa.Column("autonomy", sa.String(40), nullable=False),
    sa.Column("pilot", sa.Boolean, nullable=False),
    sa.Column("action", Json(dict), nullable=False),
    sa.Column("basis", JsonModel(Basis)),
    sa.Column("requester", SafeText(200)),
    # What the fields of action and evidence are in; NULL: nobody said so then.
    sa.Column("units", Json(dict)),
    sa.Index("handrail_verdicts_agent_at", "agent", "at"),
    sa.Index("handrail_verdicts_kind_at", "agent", "step", "kind", "at"),
    _index_where("pilot", "handrail_verdicts_piloted", "agent", "case_id"),
)
policies = sa.Table(
    "handrail_policies",
    meta,
    sa.Column("agent", sa.String(100), primary_key=True),
    sa.Column("sha", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("label", sa.String(200), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("first", Timestamp, nullable=False),
    sa.Column("loaded", Timestamp, nullable=False),
)
orders = sa.Table(
    "handrail_orders",
    meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100)),
    sa.Column("case_id", sa.String(300)),
    sa.Column("level", Choice(Level)),
    sa.Column("rollout", sa.Integer),
    sa.Column("by", sa.String(200), nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("why", SafeText(), nullable=False),
    sa.Column("proofs", Json(tuple), nullable=False),
    sa.Column("ended", Timestamp),
    sa.Column("ended_by", sa.String(200)),
    sa.Column("ended_why", SafeText()),
    sa.Column("ended_proofs", Json(tuple)),
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
    _index_where("of_at IS NOT NULL", "handrail_counted_given_back", "counter", "grp", "at"),
)
spending = sa.Table(
    "handrail_spending",
    meta,
    sa.Column("id", sa.String(400), primary_key=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("case_id", sa.String(300), nullable=False, index=True),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.String(40), nullable=False),
    sa.Column("currency", sa.String(10), nullable=False),
    sa.Column("model", SafeText(200), nullable=False),
    sa.Index("handrail_spending_agent_at", "agent", "at"),
)
reviews = sa.Table(
    "handrail_reviews",
    meta,
    sa.Column("key", sa.String(400), primary_key=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("step", sa.String(100), nullable=False),
    sa.Column("case_id", sa.String(300), nullable=False, index=True),
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("why", SafeText(), nullable=False),
    sa.Column("share", sa.Float, nullable=False),
    sa.Column("role", sa.String(200), nullable=False),
    sa.Column("people", Json(tuple), nullable=False),
    sa.Column("requester", SafeText(200)),
    sa.Column("answer", sa.String(20)),
    sa.Column("by", sa.String(200)),
    sa.Column("answered", Timestamp),
    sa.Column("note", SafeText()),
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
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("note", SafeText(), nullable=False),
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
    sa.Column("what", SafeText(), nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("closed", Timestamp),
    sa.Column("closed_by", sa.String(200)),
    sa.Column("closed_why", SafeText()),
    sa.Index("handrail_incidents_kind_at", "agent", "step", "kind", "at"),
)
intake = sa.Table(
    "handrail_intake",
    meta,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("agent", sa.String(100), nullable=False),
    sa.Column("source", SafeText(200), nullable=False),
    sa.Column("received", Timestamp, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("raw", sa.Boolean, nullable=False),
    sa.Column("body", SafeText(), nullable=False),
    sa.Column("headers", Json(dict), nullable=False),
    sa.Column("requested_by", SafeText(200), nullable=False),
    sa.Column("why", SafeText(), nullable=False),
    sa.Column("case_id", SafeText(400)),
    sa.Column("ended", Timestamp),
    sa.Column("ended_by", SafeText(200)),
    sa.Column("ended_why", SafeText()),
    sa.Index("handrail_intake_state", "state", "received"),
)


# The schema and its version

schema = sa.Table(
    "handrail_schema", sa.MetaData(), sa.Column("version", sa.Integer, primary_key=True)
)
"""One number: the revision of `handrail.ledger.migrations` too, which keeps it. So a ledger from
before there were migrations needs no other mark, and an older Handrail refuses a newer ledger."""
