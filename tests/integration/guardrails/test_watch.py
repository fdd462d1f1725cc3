"""What is normal, and breakers: through the door of an agent, on the real server."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from handrail.actions import Level
from handrail.client import stewards as autonomy
from handrail.oversight import Trust
from handrail.states import State
from handrail.testing import Human, Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import LEAD, orders, policy
from tests.agents.orders_steps import Order
from tests.integration.inbox.messages_tools import BASE, OWNER, inbox, mail_server, settings

pytestmark = pytest.mark.integration

ANA = "ana@example.com"
NORMAL: dict[str, Any] = {"autonomy": "full", "normal": {"learn": 30, "watch": ["amount", "rate"]}}
REFUSING: dict[str, Any] = {
    "autonomy": "full",
    "refuse": [{"when": "action.amount > 1000", "why": "more than anybody may spend"}],
}


async def past(stage: Stage, count: int = 40) -> None:
    """Payments of about 50, a day apart, as the agent's door would have kept them."""
    rng = random.Random(5)  # noqa: S311  # seeded, not secret
    now = datetime.now(UTC)
    rows = [
        {
            "key": f"orders:p{n}/pay/1",
            "case_id": f"orders:p{n}",
            "agent": "orders",
            "step": "pay",
            "digest": "d" * 64,
            "action": json.dumps({"order": f"p{n}", "amount": f"{rng.uniform(40, 60):.2f}"}),
            "policy": "orders v1",
            "state": "done",
            "owner": "one",
            "deadline": 0.0,
            "begun": (now - timedelta(days=count - n)).timestamp(),
            "ended": (now - timedelta(days=count - n)).timestamp(),
        }
        for n in range(count)
    ]
    engine = sa.create_engine(f"sqlite:///{stage.directory}/ledger.db")
    with engine.begin() as connection:
        connection.execute(sa.insert(sa.table("handrail_effects", *map(sa.column, rows[0]))), rows)
    engine.dispose()


async def test_an_amount_outside_the_agents_own_history_is_held_and_approved_it_teaches(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, policy(actions={"pay": NORMAL}))) as stage:
        await past(stage)
        usual = await stage.start("orders", Order(number="1", amount=Decimal(52)))
        assert (await usual.outcome()).status is State.DONE
        odd = await stage.start("orders", Order(number="2", amount=Decimal(900)))
        gate = await odd.gate()
        assert "amount 900 is far above what is normal: the median of the last 4" in gate.why
        assert len(outside.effects("pay")) == 1
        assert (await Human(ANA).approve(odd)).accepted
        assert (await odd.outcome()).status is State.DONE
        keys, _ = await stage.ledger.past_writes("orders", "pay")
    assert any(key.startswith("orders:2/") for key in keys)


async def test_a_breaker_lowers_the_agents_level_and_its_owner_is_told_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    given = policy(
        actions={"pay": REFUSING},
        roles={"lead": LEAD},
        breakers=[{"after": "3 refusals per hour", "then": "supervised"}],
    )
    trust = Trust(proof="unproven", inbox=BASE)
    async with (
        run_fleet(orders(tmp_path, given), trust=trust) as stage,
        mail_server() as mail,
        inbox(stage, settings(tmp_path, mail)),
    ):
        await autonomy.ensure_stewards(stage.client, stage.fleet.agents)
        first = await stage.start("orders", Order(number="0", amount=Decimal(50)))
        assert (await first.outcome()).status is State.DONE
        for number in range(1, 5):
            case = await stage.start("orders", Order(number=str(number), amount=Decimal(5_000)))
            assert (await case.outcome()).status is State.REFUSED
        later = await stage.start("orders", Order(number="5", amount=Decimal(50)))
        gate = await later.gate()
        assert "supervised" in gate.why
        [order] = await stage.ledger.orders("orders", live=True)
        assert (order.by, order.level) == ("breaker", Level.SUPERVISED)

        async def told() -> bool:
            return bool(mail.to(OWNER))

        await eventually(told, what="a mail to the owner")
        steward = stage.client.get_workflow_handle("autonomy:orders")

        async def shown() -> bool:
            return "set by breaker" in str(await steward.query("autonomy"))

        await eventually(shown, what="the breaker on the steward's page")
    assert len(mail.to(OWNER)) == 1
    assert len(outside.effects("pay")) == 1


async def test_a_breaker_stops_the_agent(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    given = policy(
        actions={"pay": REFUSING}, breakers=[{"after": "2 refusals per hour", "then": "stop"}]
    )
    async with run_fleet(orders(tmp_path, given)) as stage:
        for number in range(2):
            case = await stage.start("orders", Order(number=str(number), amount=Decimal(5_000)))
            assert (await case.outcome()).status is State.REFUSED
        stopped = await stage.start("orders", Order(number="9", amount=Decimal(50)))
        view = await stopped.until(lambda view: view.state is State.PAUSED)
        assert "2 refusals in an hour" in str(view)
        assert len(outside.effects("pay")) == 0
        [order] = await stage.ledger.orders("orders", live=True)
        assert await stage.ledger.end_order(order.id, ANA, datetime.now(UTC), "it is mended")
        await stopped.send("resume", {"by": ANA})
        assert (await stopped.outcome()).status is State.DONE
    assert len(outside.effects("pay")) == 1
