"""The owner of the agent: stops it, lifts the stop, and turns its autonomy, as the commands do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from handrail.actions import Level
from handrail.client import ensure_stewards, order_became, order_signal, tell_steward
from handrail.oversight import (
    Order,
    Target,
    level_order,
    lift_order,
    order_row,
    stop_order,
)

if TYPE_CHECKING:
    from temporalio.client import Client

    from handrail.ledger import Ledger, OrderRow
    from handrail.oversight import Change

AGENT = "shipments"
OWNER = "logistics@example.com"
SECOND = "cy@example.com"


@dataclass(frozen=True)
class Owner:
    """Gives orders: a stop through the ledger, everything else through the agent's steward."""

    client: Client
    ledger: Ledger

    async def stop(self, what: str, why: str) -> OrderRow:
        """`handrail stop`: in the ledger first, which every door reads."""
        order = stop_order(Target.of(what), OWNER, datetime.now(UTC), why)
        row = order_row(order, [order.model_dump_json()])
        await self.ledger.order(row)
        await ensure_stewards(self.client, [AGENT])
        return row

    async def lift(self, row: OrderRow) -> Change:
        """`handrail lift`."""
        return await self._give(lift_order(row, OWNER, datetime.now(UTC), "it is found out"))

    async def level(self, level: Level, why: str, rollout: int | None = None) -> Change:
        """`handrail autonomy shipments rebook LEVEL`. `rollout`: in hundredths of a percent."""
        target = Target(AGENT, step="rebook")
        order = level_order(target, level, rollout, OWNER, datetime.now(UTC), why=why)
        return await self._give(order)

    async def second(self, change: Change, why: str) -> Change:
        """`handrail autonomy --second`: another person says the same."""
        body = {"id": change.order.id, "by": SECOND, "why": why}
        await tell_steward(self.client, AGENT, "second", body)
        return await self._judged(change.order, said_by=len(change.statements) + 1)

    async def full(self, why: str, rollout: int | None = None) -> tuple[Change, Change]:
        """Turn it up to full, which takes two: what became of it after each."""
        first = await self.level(Level.FULL, why, rollout)
        return first, await self.second(first, why)

    async def _give(self, order: Order) -> Change:
        await tell_steward(self.client, AGENT, order.kind, order_signal(order, None))
        return await self._judged(order)

    async def _judged(self, order: Order, *, said_by: int = 1) -> Change:
        change = await order_became(self.client, AGENT, order.id, said_by=said_by)
        if change is None:
            raise TimeoutError(f"nobody judged the order {order.kind} of {order.by}")
        return change
