"""What an agent has shown of one write, added up where it lies: promotions rest on it.

There may be years of writes, and somebody waits for the page: of each no more is read than what
is counted, and no row is made of one that is only counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from handrail.ledger.database import Database
from handrail.ledger.evidence_tables import questions as _questions
from handrail.ledger.rows import Rows, narrowed
from handrail.ledger.tables import EffectState
from handrail.ledger.tables import effects as _effects
from handrail.ledger.tables import verdicts as _verdicts

Drawn = Callable[[str, str, str, float], bool]
"""Whether a write is drawn: by its agent, its step, its key, and with what chance."""


@dataclass(frozen=True)
class AutonomousWrite:
    """A write that was made without asking anybody: when it began, and its chance of review."""

    key: str
    agent: str
    step: str
    begun: datetime
    share: float


@dataclass(frozen=True)
class RuledCounts:
    """How many questions people ruled on, the `first` of them asked then; and how many approved."""

    ruled: int = 0
    approved: int = 0
    first: datetime | None = None


class EvidenceQueries(Database):
    """What the agents of a ledger have shown."""

    async def drawn_writes(
        self, agent: str, step: str | None, drawn: Drawn
    ) -> list[AutonomousWrite]:
        """The writes made without asking anybody that are drawn for a review, as they began."""
        e = _effects.c
        query = _alone(sa.select(e.step, e.key, e.share), agent, step).where(e.share > 0)

        def look(connection: sa.Connection) -> list[AutonomousWrite]:
            keys = [
                key for of, key, share in connection.execute(query) if drawn(agent, of, key, share)
            ]
            parts = (keys[at : at + _AT_ONCE] for at in range(0, len(keys), _AT_ONCE))
            found = [
                row
                for part in parts
                for row in _WRITES.all(connection, _WRITES.select.where(e.key.in_(part)))
            ]
            return sorted(found, key=lambda row: (row.begun, row.key))

        return await self._read(look)

    async def alone_by_share(
        self,
        agent: str,
        step: str | None,
        before: AutonomousWrite | None = None,
        since: datetime | None = None,
    ) -> list[tuple[float, int]]:
        """How many were made without asking anybody, by their chance of review (0: of none).

        In the order in which each chance was first in force; `before`: those made before that,
        `since`: those that began then or later.
        """
        e = _effects.c
        share, begun = sa.func.coalesce(e.share, 0.0).label("chance"), _seconds(e.begun)
        query = _alone(sa.select(share, sa.func.count()), agent, step)
        if since is not None:
            query = query.where(begun >= since.timestamp())
        if before is not None:
            at = before.begun.timestamp()
            tied = sa.and_(begun == at, e.key < before.key)
            query = query.where(sa.or_(begun < at, tied))
        query = query.group_by(sa.literal_column(share.name)).order_by(sa.func.min(begun))
        return await self._read(lambda c: [tuple(row) for row in c.execute(query)])

    async def first_alone(
        self, agent: str, step: str, since: datetime | None = None
    ) -> tuple[datetime | None, int]:
        """When the first write began that was made without asking anybody, and how many were."""
        begun = _seconds(_effects.c.begun)
        query = _alone(sa.select(sa.func.min(begun), sa.func.count()), agent, step)
        if since is not None:
            query = query.where(begun >= since.timestamp())

        def look(connection: sa.Connection) -> tuple[datetime | None, int]:
            first, number = connection.execute(query).one()
            return _moment(first), number

        return await self._read(look)

    async def ruled(
        self, agent: str, step: str, how: Collection[str], since: datetime | None = None
    ) -> RuledCounts:
        """How people answered the questions of a step that ended as one of those."""
        q = _questions.c
        asked = _seconds(q.asked)
        approved = sa.func.sum(sa.case((q.how == "approved", 1), else_=0))
        query = sa.select(sa.func.count(), approved, sa.func.min(asked))
        query = query.where(q.agent == agent, q.step == step, q.how.in_(sorted(how)))
        if since is not None:
            query = query.where(asked >= since.timestamp())

        def look(connection: sa.Connection) -> RuledCounts:
            number, agreed, first = connection.execute(query).one()
            return RuledCounts(number, int(agreed or 0), _moment(first))

        return await self._read(look)

    async def proposed_since(self, agent: str, step: str, since: datetime) -> dict[str, int]:
        """How many writes of a step were proposed in each case."""
        v = _verdicts.c
        query = sa.select(v.case_id, sa.func.count(sa.distinct(v.key)))
        query = query.where(*_proposed(agent, step), v.at >= since).group_by(v.case_id)
        return await self._read(lambda c: dict(iter(c.execute(query))))

    async def proposed_values(
        self, agent: str, step: str, field: str, since: datetime
    ) -> tuple[Counter[str], Counter[str]]:
        """How many writes of a step were proposed with each value, before a moment and after.

        `field`: such as `action.amount`, `evidence.goods` or `confidence`. Of a write its last
        verdict counts.
        """
        v, (of, _, name) = _verdicts.c, field.partition(".")
        last = sa.select(sa.func.max(v.id)).where(*_proposed(agent, step)).group_by(v.key)
        late = sa.case((_seconds(v.at) > since.timestamp(), 1), else_=0)

        def look(connection: sa.Connection) -> tuple[Counter[str], Counter[str]]:
            column, path = (v.action, [name]) if of == "action" else (v.basis, field.split("."))
            value = _field(connection, column, path)
            each = sa.select(late.label("late"), value.label("value")).where(v.id.in_(last))
            one = each.subquery()
            query = sa.select(one.c.late, one.c.value, sa.func.count())
            found = (Counter[str](), Counter[str]())
            for is_late, said, n in connection.execute(query.group_by(one.c.late, one.c.value)):
                found[is_late][str(said)] += n
            return found

        return await self._read(look)


_AT_ONCE = 500


def _alone(
    query: sa.Select[*tuple[Any, ...]], agent: str, step: str | None
) -> sa.Select[*tuple[Any, ...]]:
    e = _effects.c
    query = query.where(e.agent == agent, e.state == EffectState.DONE, e.alone.is_(True))
    return narrowed(query, {e.step: step})


def _proposed(agent: str, step: str) -> tuple[sa.ColumnElement[bool], ...]:
    v = _verdicts.c
    return v.agent == agent, v.step == step, v.key != ""


def _field(
    connection: sa.Connection, column: sa.Column[Any], path: Sequence[str]
) -> sa.ColumnElement[Any]:
    """A field of what a column holds as JSON, as text."""
    if connection.dialect.name == "sqlite":
        named = "".join(f'."{name}"' for name in path)
        # One that is none would hide all others.
        return sa.case((sa.func.json_valid(column), sa.func.json_extract(column, f"${named}")))
    return sa.func.json_extract_path_text(sa.cast(column, sa.JSON), *path)


def _seconds(column: sa.Column[Any]) -> sa.ColumnElement[float]:
    """A moment as the number that the database holds."""
    return sa.type_coerce(column, sa.Float)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


_WRITES: Rows[AutonomousWrite] = Rows(AutonomousWrite, _effects)
