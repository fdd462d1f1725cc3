"""Mandates as they are kept: signed statements, when they were revoked, and each of their uses.

What a mandate says is in `handrail.oversight.mandates`; here it is a signed text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from handrail.exceptions import HandrailError
from handrail.ledger.database import Database, Insert
from handrail.ledger.tables import mandate_uses, mandates

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class MandateRow:
    """One mandate. `text` is the signed statement; the columns beside it prove nothing.

    `used`: how many writes have begun by it, without those that certainly did not happen.
    """

    id: str
    kind: str
    agent: str
    by: str
    to: str | None
    begins: datetime
    ends: datetime
    text: str
    revoked: datetime | None = None
    revoked_by: str | None = None
    used: int = 0


class MandateSpent(HandrailError):  # says what happened, and is caught by the door
    """A mandate does not allow this write any more; nothing was recorded."""

    def __init__(self, mandate: str, how: Literal["used up", "revoked", "unknown"]) -> None:
        """Say which one, and how it ended."""
        self.mandate = mandate
        self.how = how
        why = "is not in the ledger" if how == "unknown" else f"is {how}"
        super().__init__(f"the mandate {mandate} {why}; ask again")


class Mandates(Database):
    """The mandates of a ledger."""

    async def add_mandate(self, row: MandateRow) -> bool:
        """Keep a mandate. False if there is one of its id already, which stays as it is."""
        return await self._run(lambda connection: _insert(connection, _values(row)))

    async def mandate(self, mandate_id: str) -> MandateRow | None:
        """One mandate, live or not."""
        query = _SELECT.where(mandates.c.id == mandate_id)

        def look(connection: sa.Connection) -> MandateRow | None:
            found = connection.execute(query).mappings().one_or_none()
            return None if found is None else _row(found)

        return await self._run(look)

    async def mandates(
        self, agent: str | None = None, live_at: datetime | None = None
    ) -> list[MandateRow]:
        """Mandates, the last to end first; with `live_at` only those in force at that time."""
        query = _SELECT.order_by(mandates.c.ends.desc(), mandates.c.id)
        if agent is not None:
            query = query.where(mandates.c.agent == agent)
        if live_at is not None:
            query = query.where(
                mandates.c.ends > live_at.timestamp(),
                mandates.c.begins <= live_at.timestamp(),
                mandates.c.revoked.is_(None),
            )
        return await self._run(lambda c: [_row(found) for found in c.execute(query).mappings()])

    async def mandate_uses(self, mandate_id: str) -> list[tuple[str, datetime]]:
        """The keys of the writes that began by a mandate, each with when, in that order."""
        uses = mandate_uses.c
        query = sa.select(uses.effect, uses.at).where(uses.mandate == mandate_id)
        ordered = query.order_by(uses.at, uses.effect)

        def look(connection: sa.Connection) -> list[tuple[str, datetime]]:
            found = connection.execute(ordered)
            return [(key, datetime.fromtimestamp(at, UTC)) for key, at in found]

        return await self._run(look)

    async def revoke_mandate(self, mandate_id: str, by: str, at: datetime) -> bool:
        """End a mandate: no write begins by it any more. False if it is none, or has been."""
        statement = (
            sa.update(mandates)
            .where(mandates.c.id == mandate_id, mandates.c.revoked.is_(None))
            .values(revoked=at.timestamp(), revoked_by=by)
        )
        return await self._run(lambda connection: connection.execute(statement).rowcount == 1)


def use(connection: sa.Connection, wanted: Sequence[tuple[str, int]], key: str) -> None:
    """Count the write `key` against each mandate, in the transaction of its intent.

    Raises:
        MandateSpent: if one has had its most uses, is revoked, or does not exist.
    """
    # In one order, so that two writes by the same ones cannot lock each other out.
    for mandate, most in sorted(set(wanted)):
        # The lock makes others wait that count, or revoke, the same one.
        found = connection.execute(_LOCK, {"b_id": mandate}).one_or_none()
        if found is None:
            raise MandateSpent(mandate, "unknown")
        if found.revoked is not None:
            raise MandateSpent(mandate, "revoked")
        at = datetime.now(UTC).timestamp()
        _insert_use(connection, {"mandate": mandate, "effect": key, "at": at})
        if connection.execute(_COUNT, {"b_id": mandate}).scalar_one() > most:
            raise MandateSpent(mandate, "used up")


def give_back(connection: sa.Connection, key: str) -> None:
    """A write that certainly did not happen has used nothing."""
    connection.execute(_GIVE_BACK, {"b_key": key})


_insert = Insert(mandates)
_insert_use = Insert(mandate_uses)
_used = (
    sa.select(sa.func.count())
    .select_from(mandate_uses)
    .where(mandate_uses.c.mandate == mandates.c.id)
    .scalar_subquery()
)
_SELECT = sa.select(mandates, _used.label("used"))
_LOCK = sa.select(mandates.c.revoked).where(mandates.c.id == sa.bindparam("b_id")).with_for_update()
_COUNT = (
    sa.select(sa.func.count())
    .select_from(mandate_uses)
    .where(mandate_uses.c.mandate == sa.bindparam("b_id"))
)
_GIVE_BACK = sa.delete(mandate_uses).where(mandate_uses.c.effect == sa.bindparam("b_key"))


def _values(row: MandateRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "agent": row.agent,
        "by": row.by,
        "to": row.to,
        "begins": row.begins.timestamp(),
        "ends": row.ends.timestamp(),
        "text": row.text,
        "revoked": None,
        "revoked_by": None,
    }


def _row(found: Any) -> MandateRow:
    return MandateRow(
        id=found["id"],
        kind=found["kind"],
        agent=found["agent"],
        by=found["by"],
        to=found["to"],
        begins=datetime.fromtimestamp(found["begins"], UTC),
        ends=datetime.fromtimestamp(found["ends"], UTC),
        text=found["text"],
        revoked=_time(found["revoked"]),
        revoked_by=found["revoked_by"],
        used=found["used"],
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
