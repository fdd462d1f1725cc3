"""Orders as they are kept: stops and levels, who gave them, when and why, and how they ended.

What an order says, and whether it was signed by those who may, is in `oversight.orders` and
`oversight.orders`. Here a stop is in force until its row says that it was lifted, whoever gave
it: it cannot lapse.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from handrail.actions import LedgerMark
from handrail.ledger.database import Database
from handrail.ledger.entries import FLEET, OrderRow
from handrail.ledger.rows import InsertNew, Rows, narrowed
from handrail.ledger.tables import counters, heights, identity
from handrail.ledger.tables import orders as _orders
from handrail.ledger.verdicts import any_piloted, latest, piloted

if TYPE_CHECKING:
    from collections.abc import Sequence

_STOP_LOCK = 0x73746F70
"""Any number that other programs on the same database do not lock on."""

GAP = 1_000_000
"""Above the height that was known before, where a ledger goes on that went back in time: above
all that cases may have seen since that was known."""

_TICK = timedelta(milliseconds=1)
"""Between two levels that one clock would give at the same time, or in wrong order."""


@dataclass(frozen=True)
class Controls:
    """Controls in force for an agent and its case, of one moment.

    `orders`: its stops and levels, the oldest first. `label` and `sha`: of the agent's policy in
    force; None before any was loaded. `counted`: whether anything is counted of what it does.
    `piloted`: whether a write of the case was only recorded; without one, of any case.
    `mark`: which ledger this is, and how high it is.
    """

    orders: tuple[OrderRow, ...]
    label: str | None
    sha: str | None
    counted: bool
    piloted: bool
    mark: LedgerMark = field(compare=False)

    @property
    def stops(self) -> tuple[OrderRow, ...]:
        """The stops among its orders. Signed or not, each counts."""
        return tuple(order for order in self.orders if order.kind == "stop")

    @property
    def levels(self) -> tuple[OrderRow, ...]:
        """The levels among its orders."""
        return tuple(order for order in self.orders if order.kind == "level")


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
                ends = _ended(row.by, row.at, f"replaced by {row.id}", row.proofs)
                connection.execute(_END.where(_orders.c.id.in_(replacing)).values(ends))
            return new

        return await self._run_at_once(transaction)

    async def end_order(
        self, order_id: str, by: str, at: datetime, why: str = "", proofs: Sequence[str] = ()
    ) -> bool:
        """Lift a stop, or take back a level. False if there is none in force of that id."""
        this = _END.where(_orders.c.id == order_id)
        return await self._changes(this.values(_ended(by, at, why, proofs)))

    async def order_back(self, case: str, by: str, at: datetime, why: str = "") -> None:
        """Keep that somebody ordered a case to be rolled back: its undos go past stops.

        The first order of a case stays.
        """
        row = OrderRow(_back(case), "roll_back", case.partition(":")[0], by, at, case=case, why=why)
        await self._run(lambda connection: give_ended(connection, row))

    async def rolled_back(self, case: str) -> bool:
        """Whether somebody ordered a case to be rolled back."""
        row = await self.order_of(_back(case))
        return row is not None and (row.kind, row.case) == ("roll_back", case)

    async def mark(self, agent: str) -> LedgerMark:
        """Which ledger this is, and how high it is for an agent."""
        look = sa.select(*_MARK)
        found = await self._read(lambda c: c.execute(look, {"b_agent": agent}).one())
        return LedgerMark(id=found.ledger, height=found.height)

    async def marks(self, agents: Sequence[str]) -> dict[str, LedgerMark]:
        """The same of several agents, in one look."""
        own = sa.select(heights.c.agent, heights.c.height).where(heights.c.agent.in_(agents))

        def look(connection: sa.Connection) -> dict[str, LedgerMark]:
            ledger = connection.execute(sa.select(identity.c.id)).scalar_one()
            found = connection.execute(own)
            return {agent: LedgerMark(id=ledger, height=height) for agent, height in found}

        return await self._read(look)

    async def go_on_above(self, row: OrderRow, height: int) -> LedgerMark:
        """Raise an agent's height well above one that a ledger had which knew more.

        `row`: the order that says so, which is kept.
        """
        agent = row.agent
        much = {"agent": agent, "height": height + GAP}

        def raise_it(connection: sa.Connection) -> None:
            here = heights.c.agent == agent
            low = sa.update(heights).where(here, heights.c.height < height + GAP)
            if not _insert_height(connection, much):
                connection.execute(low.values(height=height + GAP))
            over = _ended(row.by, row.at, f"goes on from height {height + GAP}", ())
            _insert(connection, _rows.values(row) | over)

        await self._run(raise_it)
        return await self.mark(agent)

    async def orders(
        self, agent: str | None = None, *, live: bool = False, kind: str | None = None
    ) -> list[OrderRow]:
        """Orders, the oldest first: of one agent with those for all; with `live` in force now."""
        query = narrowed(_ALL, {_orders.c.kind: kind})
        if agent is not None:
            query = query.where(_orders.c.agent.in_((agent, FLEET)))
        if live:
            query = query.where(_orders.c.ended.is_(None))
        return await self._all(_rows, query)

    async def order_of(self, order_id: str) -> OrderRow | None:
        """One order, in force or not."""
        return await self._read(lambda connection: order_in(connection, order_id))


def order_in(connection: sa.Connection, order_id: str) -> OrderRow | None:
    """One order, in force or not, in the transaction of whoever calls."""
    return _rows.one(connection, _rows.select.where(_orders.c.id == order_id))


def give(connection: sa.Connection, row: OrderRow) -> bool:
    """Put an order in force, in the transaction of whoever calls; see `Orders.order`.

    A level is kept with a time after that of those in force.
    """
    if row.kind == "stop" and connection.dialect.name != "sqlite":
        # Waits for the intents that are being written, and they for it.
        connection.execute(_EXCLUSIVE)
    if row.kind == "level":
        # The last one counts, and clocks differ: none is put behind one that was there before.
        last = connection.execute(_LAST_LEVEL, {"b_agent": row.agent}).scalar()
        row = replace(row, at=max(row.at, last + _TICK)) if isinstance(last, datetime) else row
    return _rows.insert(connection, row)


def give_ended(connection: sa.Connection, row: OrderRow) -> bool:
    """Keep an order that is over with being given. False if there is one of its id already."""
    return _insert(connection, _rows.values(row) | _ended(row.by, row.at, "", ()))


def hold(connection: sa.Connection) -> None:
    """Let no stop come between now and the end of the transaction: call it before an intent."""
    if connection.dialect.name != "sqlite":
        # SQLite has one writer at a time anyway.
        connection.execute(_SHARED)


def controls_in_force(connection: sa.Connection, agent: str, case: str | None = None) -> Controls:
    """The controls in force for a case; without one with the orders of all cases.

    It is asked before every write and once more with its intent, so it is one statement.

    Raises:
        UnreadableRow: if one of them cannot be read: it may be a stop.
    """
    given = {"b_agent": agent, "b_case": case}
    found = connection.execute(_OF_ALL if case is None else _OF_CASE, given).all()
    # With no order there is one row without one.
    label, sha, counted, piloted, ledger, height, order_id = found[0][:7]
    rows = () if order_id is None else tuple(_rows.make(row[6:]) for row in found)
    mark = LedgerMark(id=ledger, height=height)
    return Controls(rows, label, sha, bool(counted), bool(piloted), mark)


_in_force = sa.and_(
    sa.or_(_orders.c.agent == sa.bindparam("b_agent"), _orders.c.agent == FLEET),
    _orders.c.ended.is_(None),
)
"""That an order is for the agent `b_agent`, and in force."""

_insert = InsertNew(_orders)
_insert_height = InsertNew(heights)
_EXCLUSIVE = sa.select(sa.func.pg_advisory_xact_lock(_STOP_LOCK))
_SHARED = sa.select(sa.func.pg_advisory_xact_lock_shared(_STOP_LOCK))
_rows: Rows[OrderRow] = Rows(
    OrderRow, _orders, later=("ended", "ended_by", "ended_why", "ended_proofs")
)
_ALL = _rows.select.order_by(_orders.c.at, _orders.c.id)
_LAST_LEVEL = sa.select(sa.func.max(_orders.c.at)).where(
    _orders.c.agent == sa.bindparam("b_agent"),
    _orders.c.kind == "level",
    _orders.c.ended.is_(None),
)
_END = sa.update(_orders).where(_orders.c.ended.is_(None))


def _back(case: str) -> str:
    """The id of the order that a case is rolled back."""
    return f"back-{hashlib.sha256(case.encode()).hexdigest()[:40]}"


def _ended(by: str, at: datetime, why: str, proofs: Sequence[str]) -> dict[str, Any]:
    return {"ended": at, "ended_by": by, "ended_why": why, "ended_proofs": proofs}


_MARK = (
    sa.select(identity.c.id).scalar_subquery().label("ledger"),
    sa.func.coalesce(
        sa.select(heights.c.height)
        .where(heights.c.agent == sa.bindparam("b_agent"))
        .scalar_subquery(),
        0,
    ).label("height"),
)


def _statement(
    which: sa.ColumnElement[bool], piloted: sa.ColumnElement[bool]
) -> sa.Select[*tuple[Any, ...]]:
    policy = latest.subquery()
    one = sa.select(sa.literal(1).label("one")).subquery()
    counted = sa.exists().where(counters.c.agent == sa.bindparam("b_agent"))
    known = (policy.c.label.label("policy"), policy.c.sha, counted, piloted.label("piloted"))
    columns: list[Any] = [*known, *_MARK, *_rows.columns]
    return (
        sa.select(*columns)
        .select_from(one.outerjoin(policy, sa.true()).outerjoin(_orders, which))
        .order_by(_orders.c.at, _orders.c.id)
    )


_OF_ALL = _statement(_in_force, any_piloted)
_OF_CASE = _statement(
    sa.and_(
        _in_force, sa.or_(_orders.c.case_id.is_(None), _orders.c.case_id == sa.bindparam("b_case"))
    ),
    piloted,
)
