"""Data checks of orders: what the warehouse says decides how they turn out."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from handrail import check
from handrail.testing import Outside
from tests.agents.orders_steps import Pay


@check(timeout=timedelta(milliseconds=300))
async def in_stock(action: Pay) -> str | None:
    """Look at the shelf; `shelf` and its state are put there by tests."""
    state = await Outside.current().find("shelf", action.order)
    if state is None:
        return None
    kept = [call.body for call in Outside.current().calls("shelf") if call.key == action.order]
    if kept[-1] == "raises":
        raise ValueError("the shelf cannot be seen")
    if kept[-1] == "slow":
        await asyncio.sleep(1)
    return "there is none in stock" if kept[-1] == "empty" else None
