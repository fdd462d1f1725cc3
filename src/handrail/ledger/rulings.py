"""Proven rulings and mandates: the record for those who look later, and each one's uses.

What a mandate says is in `handrail.oversight.mandates`; here it is a signed text.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa

from handrail.exceptions import HandrailError
from handrail.ledger.database import Database
from handrail.ledger.entries import MandateRow, RulingRow
from handrail.ledger.rows import InsertNew, Rows, narrowed
from handrail.ledger.tables import mandate_uses, mandates, rulings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


class RulingUsed(HandrailError):  # says what happened, and is caught by the door
    """A ruling may be used once, for one write; nothing was recorded."""

    def __init__(self, jti: str, key: str | None) -> None:
        """Name the ruling, and the `key` of the write that used it; None: it is not recorded."""
        self.jti = jti
        self.key = key
        why = f"was used for {key}" if key else "is not in the ledger"
        super().__init__(f"the ruling {jti} {why}; ask again")


class Rulings(Database):
    """The rulings of a ledger."""

    async def record_rulings(self, rows: Iterable[RulingRow]) -> None:
        """Keep proven rulings. One that is there already stays as it is."""
        kept = list(rows)

        def transaction(connection: sa.Connection) -> None:
            for row in kept:
                _rows.insert(connection, row)

        if kept:
            await self._run(transaction)

    async def use_rulings(self, jtis: Sequence[str], key: str) -> None:
        """Mark rulings as used under `key`, beside any intent: answers to a doubt.

        Raises:
            RulingUsed: if one was used under another key, or was never recorded.
        """
        await self._run(lambda connection: use(connection, jtis, key))

    async def rulings(
        self,
        *,
        since: datetime | None = None,
        by: str | None = None,
        case: str | None = None,
        agents: Collection[str] | None = None,
        limit: int | None = None,
        texts: bool = True,
    ) -> list[RulingRow]:
        """Proven rulings, the newest first. `by`: in the spelling of `gate.person`.

        `agents`: of these; with `by` also theirs on any other. Without `texts` what was signed is
        left out of each, where many are only counted.

        Raises:
            UnreadableRow: if one of a `case` cannot be read: it may be a rejection.
        """
        rows = _rows if texts else _untold
        query = narrowed(rows.select, {rulings.c.case_id: case})
        if agents is not None:
            query = query.where(sa.or_(rulings.c.agent.in_(agents), rulings.c.by == by))
        else:
            query = narrowed(query, {rulings.c.by: by})
        if since is not None:
            query = query.where(rulings.c.at >= since)
        ordered = query.order_by(rulings.c.at.desc(), rulings.c.jti)
        return await self._all(rows, ordered.limit(limit), strict=case is not None)


def use(connection: sa.Connection, jtis: Sequence[str], key: str) -> None:
    """Mark rulings as used by the write `key`, in the transaction of its intent.

    Raises:
        RulingUsed: if another write has used one, or it was never recorded.
    """
    wanted = sorted(set(jtis))
    locked = connection.execute(_LOCK, {"b_jtis": wanted})
    users = {row.jti: row.effect for row in locked}
    for jti in wanted:
        if users.get(jti, "") not in {None, key}:
            raise RulingUsed(jti, users.get(jti))
    connection.execute(_MARK, {"b_jtis": wanted, "b_key": key})


# Mandates


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
        return await self._run(lambda connection: _mandates.insert(connection, row))

    async def mandate(self, mandate_id: str) -> MandateRow | None:
        """One mandate, live or not."""
        return await self._one(_mandates, _mandates.select.where(mandates.c.id == mandate_id))

    async def mandates(
        self, agent: str | None = None, live_at: datetime | None = None
    ) -> list[MandateRow]:
        """Mandates, the last to end first; with `live_at` only those in force at that time."""
        query = narrowed(_mandates.select, {mandates.c.agent: agent})
        if live_at is not None:
            query = query.where(
                mandates.c.ends > live_at,
                mandates.c.begins <= live_at,
                mandates.c.revoked.is_(None),
            )
        return await self._all(_mandates, query.order_by(mandates.c.ends.desc(), mandates.c.id))

    async def mandate_uses(self, mandate_id: str) -> list[tuple[str, datetime]]:
        """The keys of the writes that began by a mandate, each with when, in that order."""
        uses = mandate_uses.c
        query = sa.select(uses.effect, uses.at).where(uses.mandate == mandate_id)
        ordered = query.order_by(uses.at, uses.effect)

        def look(connection: sa.Connection) -> list[tuple[str, datetime]]:
            found = connection.execute(ordered)
            return [(key, at) for key, at in found if isinstance(at, datetime)]

        return await self._read(look)

    async def revoke_mandate(self, mandate_id: str, by: str, at: datetime) -> bool:
        """End a mandate: no write begins by it any more. False if it is none, or has been."""
        statement = (
            sa.update(mandates)
            .where(mandates.c.id == mandate_id, mandates.c.revoked.is_(None))
            .values(revoked=at, revoked_by=by)
        )
        return await self._changes(statement)


def use_mandates(connection: sa.Connection, wanted: Sequence[tuple[str, int]], key: str) -> None:
    """Count the write `key` against each mandate, in the transaction of its intent.

    Raises:
        MandateSpent: if one has had its most uses, is revoked, or does not exist.
    """
    # In one order, so that two writes by the same ones cannot lock each other out.
    for mandate, most in sorted(set(wanted)):
        # The lock makes others wait that count, or revoke, the same one.
        found = connection.execute(_LOCK_MANDATE, {"b_id": mandate}).one_or_none()
        if found is None:
            raise MandateSpent(mandate, "unknown")
        if found.revoked is not None:
            raise MandateSpent(mandate, "revoked")
        _insert_use(connection, {"mandate": mandate, "effect": key, "at": datetime.now(UTC)})
        if connection.execute(_COUNT, {"b_id": mandate}).scalar_one() > most:
            raise MandateSpent(mandate, "used up")


def give_back(connection: sa.Connection, key: str) -> None:
    """A write that certainly did not happen has used nothing."""
    connection.execute(_GIVE_BACK, {"b_key": key})


# Only a write's own transaction says that a ruling is used.
_rows: Rows[RulingRow] = Rows(RulingRow, rulings, later=("effect",), text=rulings.c.ruling)
_untold: Rows[RulingRow] = Rows(RulingRow, rulings, text=sa.literal("").label("text"))
_wanted = rulings.c.jti.in_(sa.bindparam("b_jtis", expanding=True))
_LOCK = (
    sa.select(rulings.c.jti, rulings.c.effect)
    .where(_wanted)
    # In one order, so that two writes which bring the same ones cannot lock each other out.
    .order_by(rulings.c.jti)
    .with_for_update()
)
_MARK = (
    sa.update(rulings)
    .where(_wanted, rulings.c.effect.is_(None))
    .values(effect=sa.bindparam("b_key"))
)
_insert_use = InsertNew(mandate_uses)
_used = (
    sa.select(sa.func.count())
    .select_from(mandate_uses)
    .where(mandate_uses.c.mandate == mandates.c.id)
    .scalar_subquery()
)
_mandates: Rows[MandateRow] = Rows(
    MandateRow, mandates, later=("revoked", "revoked_by"), used=_used.label("used")
)
_LOCK_MANDATE = (
    sa.select(mandates.c.revoked).where(mandates.c.id == sa.bindparam("b_id")).with_for_update()
)
_COUNT = sa.select(sa.func.count()).where(mandate_uses.c.mandate == sa.bindparam("b_id"))
_GIVE_BACK = sa.delete(mandate_uses).where(mandate_uses.c.effect == sa.bindparam("b_key"))
