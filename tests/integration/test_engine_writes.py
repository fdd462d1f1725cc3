"""Once-only effects: whatever happens around a write, the world sees it once."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail import State
from handrail.testing import Outside
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration


async def test_the_same_event_twice_is_one_case(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        first = await stage.start(
            "orders", Order(number="1", parts=("pay", "ship", "post", "tell"))
        )
        again = await stage.start("orders", Order(number="1", parts=("pay",)))
        assert (first.duplicate, again.duplicate) == (False, True)
        outcome = await first.outcome()
        assert outcome.status is State.DONE
        assert outcome.why == "fulfilled"
        late = await stage.start("orders", Order(number="1"))
        assert late.duplicate
        assert outside.effects() == [
            "1",
            "orders:1/pay/1",
            "orders:1/ship/2",
            "orders:1/post/3",
            "orders:1/tell/1",
        ]
        assert [r.key for r in outcome.receipts] == outside.effects()[1:4]
