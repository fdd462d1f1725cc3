"""What stands for the writes of a case, of one moment: stops, levels, and the policy in force.

It is asked before every write and once more with its intent, so it is one statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from handrail.ledger.orders import OrderRow, in_force, row_of
from handrail.ledger.policies import latest
from handrail.ledger.tables import counters, orders


@dataclass(frozen=True)
class Standing:
    """`orders`: the stops and levels in force for an agent and its case, the oldest first.

    `label` and `sha`: of the agent's policy in force; None before any was loaded. `counted`:
    whether anything is counted of what the agent does.
    """

    orders: tuple[OrderRow, ...]
    label: str | None
    sha: str | None
    counted: bool

    @property
    def stops(self) -> tuple[OrderRow, ...]:
        """The stops among its orders. Signed or not, each counts."""
        return tuple(order for order in self.orders if order.kind == "stop")

    @property
    def levels(self) -> tuple[OrderRow, ...]:
        """The levels among its orders."""
        return tuple(order for order in self.orders if order.kind == "level")


def standing(connection: sa.Connection, agent: str, case: str | None = None) -> Standing:
    """What stands for a case; without one with the orders of all cases."""
    given = {"b_agent": agent, "b_case": case}
    found = connection.execute(_ALL if case is None else _OF_CASE, given).mappings().all()
    first = found[0]  # with no order there is one row without one
    rows = () if first["id"] is None else tuple(map(row_of, found))
    return Standing(rows, first["policy_label"], first["policy_sha"], bool(first["any_counted"]))


def _statement(which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    policy = latest.subquery()
    one = sa.select(sa.literal(1).label("one")).subquery()
    return (
        sa.select(
            policy.c.label.label("policy_label"),
            policy.c.sha.label("policy_sha"),
            sa.exists().where(counters.c.agent == sa.bindparam("b_agent")).label("any_counted"),
            orders,
        )
        .select_from(one.outerjoin(policy, sa.true()).outerjoin(orders, which))
        .order_by(orders.c.at, orders.c.id)
    )


_THIS_CASE = sa.or_(orders.c.case_id.is_(None), orders.c.case_id == sa.bindparam("b_case"))
_ALL = _statement(in_force)
_OF_CASE = _statement(sa.and_(in_force, _THIS_CASE))
