"""Orders as they are kept: stops and levels, who gave them, when and why, and how they ended.

What an order says, and whether it was signed by those who may, is in `oversight.orders` and
`oversight.orders`. Here a stop is in force until its row says that it was lifted, whoever gave
it: it cannot lapse.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from handrail.actions import Level
from handrail.ledger.database import Database, Insert
from handrail.ledger.tables import orders as _orders

if TYPE_CHECKING:
    from collections.abc import Sequence

FLEET = "*"
"""The agent of an order that is for all of them."""

_STOP_LOCK = 0x73746F70
"""Any number that other programs on the same database do not lock on."""

_TICK = 0.001
"""Seconds between two levels that one clock would give at the same time, or in wrong order."""


@dataclass(frozen=True)
class OrderRow:
    """One order. `proofs` are signed statements; the columns beside them prove nothing.

    `agent` is `*` for all of them. Without a `step` it is for every write, without a `case` for
    every case. `rollout`: of `full`, in hundredths of a percent of the cases; None is all.
    `ended`: when it was lifted, or replaced by another level.
    """

    id: str
    kind: Literal["stop", "level"]
    agent: str
    by: str
    at: datetime
    step: str | None = None
    case: str | None = None
    level: Level | None = None
    rollout: int | None = None
    why: str = ""
    proofs: tuple[str, ...] = ()
    ended: datetime | None = None
    ended_by: str | None = None
    ended_why: str | None = None
    ended_proofs: tuple[str, ...] = ()


class Orders(Database):
    """The orders of a ledger."""

    async def order(self, row: OrderRow, *, replacing: Sequence[str] = ()) -> bool:
        """Put an order in force. False if there is one of its id already, which stays as it is.

        When this returns, no write that a stop is for begins any more: one whose intent was
        not committed before finds the stop. `replacing`: the ids of orders that end with it.

        Raises:
            LedgerUnavailable: if the database cannot be written; nothing is in force then.
        """

        def transaction(connection: sa.Connection) -> bool:
            new = give(connection, row)
            if new and replacing:
                why, proofs = f"replaced by {row.id}", json.dumps(row.proofs)
                ends = _ended(row.by, row.at, why, proofs)
                connection.execute(_END.where(_orders.c.id.in_(replacing)).values(ends))
            return new

        return await self._run_at_once(transaction)

    async def end_order(
        self, order_id: str, by: str, at: datetime, why: str = "", proofs: Sequence[str] = ()
    ) -> bool:
        """Lift a stop, or take back a level. False if there is none in force of that id."""
        ends = _ended(by, at, why, json.dumps(list(proofs)))
        statement = _END.where(_orders.c.id == order_id).values(ends)
        return await self._run(lambda connection: connection.execute(statement).rowcount == 1)

    async def orders(self, agent: str | None = None, *, live: bool = False) -> list[OrderRow]:
        """Orders, the oldest first: of one agent with those for all; with `live` in force now."""
        query = _SELECT
        if agent is not None:
            query = query.where(_orders.c.agent.in_((agent, FLEET)))
        if live:
            query = query.where(_orders.c.ended.is_(None))
        return await self._run(lambda c: [row_of(found) for found in c.execute(query).mappings()])

    async def order_of(self, order_id: str) -> OrderRow | None:
        """One order, in force or not."""
        return await self._run(lambda connection: order_in(connection, order_id))


def order_in(connection: sa.Connection, order_id: str) -> OrderRow | None:
    """One order, in force or not, in the transaction of whoever calls."""
    query = _SELECT.where(_orders.c.id == order_id)
    found = connection.execute(query).mappings().one_or_none()
    return None if found is None else row_of(found)


def give(connection: sa.Connection, row: OrderRow) -> bool:
    """Put an order in force, in the transaction of whoever calls; see `Orders.order`.

    A level is kept with a time after that of those in force.
    """
    if row.kind == "stop" and connection.dialect.name != "sqlite":
        # Waits for the intents that are being written, and they for it.
        connection.execute(_EXCLUSIVE)
    values = _values(row)
    if row.kind == "level":
        # The last one counts, and clocks differ: none is put behind one that was there before.
        last = connection.execute(_LAST_LEVEL, {"b_agent": row.agent}).scalar()
        values["at"] = values["at"] if last is None else max(values["at"], last + _TICK)
    return _insert(connection, values)


def hold(connection: sa.Connection) -> None:
    """Let no stop come between now and the end of the transaction: call it before an intent."""
    if connection.dialect.name != "sqlite":
        # SQLite has one writer at a time anyway.
        connection.execute(_SHARED)


in_force = sa.and_(
    sa.or_(_orders.c.agent == sa.bindparam("b_agent"), _orders.c.agent == FLEET),
    _orders.c.ended.is_(None),
)
"""That an order is for the agent `b_agent`, and in force."""

_EXCLUSIVE = sa.select(sa.func.pg_advisory_xact_lock(_STOP_LOCK))
_SHARED = sa.select(sa.func.pg_advisory_xact_lock_shared(_STOP_LOCK))
_insert = Insert(_orders)
_SELECT = sa.select(_orders).order_by(_orders.c.at, _orders.c.id)
_LAST_LEVEL = sa.select(sa.func.max(_orders.c.at)).where(
    _orders.c.agent == sa.bindparam("b_agent"),
    _orders.c.kind == "level",
    _orders.c.ended.is_(None),
)
_END = sa.update(_orders).where(_orders.c.ended.is_(None))


def _ended(by: str, at: datetime, why: str, proofs: str) -> dict[str, Any]:
    return {"ended": at.timestamp(), "ended_by": by, "ended_why": why, "ended_proofs": proofs}


def _values(row: OrderRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "agent": row.agent,
        "step": row.step,
        "case_id": row.case,
        "level": row.level,
        "rollout": row.rollout,
        "by": row.by,
        "at": row.at.timestamp(),
        "why": row.why,
        "proofs": json.dumps(row.proofs),
        "ended": None,
        "ended_by": None,
        "ended_why": None,
        "ended_proofs": None,
    }


def row_of(found: Any) -> OrderRow:
    """An order as a row has it, by the names of its columns."""
    return OrderRow(
        id=found["id"],
        kind=found["kind"],
        agent=found["agent"],
        step=found["step"],
        case=found["case_id"],
        level=None if found["level"] is None else Level(found["level"]),
        rollout=found["rollout"],
        by=found["by"],
        at=datetime.fromtimestamp(found["at"], UTC),
        why=found["why"],
        proofs=_texts(found["proofs"]),
        ended=None if found["ended"] is None else datetime.fromtimestamp(found["ended"], UTC),
        ended_by=found["ended_by"],
        ended_why=found["ended_why"],
        ended_proofs=_texts(found["ended_proofs"]),
    )


def _texts(written: str | None) -> tuple[str, ...]:
    return tuple(json.loads(written)) if written else ()
