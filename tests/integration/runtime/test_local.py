"""Steps inside the workflow task: what becomes of them when they fail, and on a stop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from handrail import Agent, Fleet, State
from handrail.testing import Outside, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents import bells
from tests.agents.fleets import LEAD, orders
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration

TRIES = 3
"""How often a step is tried inside the workflow task."""


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    policy = tmp_path / "bells.yaml"
    owner = {"agent": "bells", "version": 1, "owner": "boss@example.com"}
    policy.write_text(json.dumps(owner | {"actions": {}, "roles": {"lead": LEAD}}))
    return Fleet(Agent("bells", bells.BellAgent, steps=bells, policy=policy))


@pytest.mark.parametrize("surface", ["look", "ring"])
async def test_a_step_that_fails_locally_goes_on_where_it_can_be_seen(
    run_fleet: RunFleet, outside: Outside, fleet: Fleet, surface: str
) -> None:
    outside.break_down(surface, times=TRIES + 1)
    async with run_fleet(fleet) as stage:
        case = await stage.start("bells", bells.Ring(bell="1"))
        outcome = await case.outcome()
        history = await case.history()
    assert (outcome.status, outcome.unsent) == (State.DONE, ())
    assert outside.effects(surface) == ["1"]
    scheduled = [
        e for e in history.events if e.HasField("activity_task_scheduled_event_attributes")
    ]
    assert len(scheduled) == 1


async def test_a_notification_that_fails_for_good_does_not_fail_the_case(
    run_fleet: RunFleet, outside: Outside, fleet: Fleet
) -> None:
    outside.break_down("ring", says="broken for good")
    async with run_fleet(fleet) as stage:
        outcome = await (await stage.start("bells", bells.Ring(bell="1"))).outcome()
    assert outcome.status is State.DONE
    assert outcome.unsent == ("ring: broken for good",)
    assert outside.effects("ring") == []


async def test_a_read_that_fails_for_good_fails_the_case(
    run_fleet: RunFleet, outside: Outside, fleet: Fleet
) -> None:
    outside.break_down("look", says="broken for good")
    async with run_fleet(fleet) as stage:
        outcome = await (await stage.start("bells", bells.Ring(bell="1"))).outcome()
    assert (outcome.status, outcome.why) == (State.FAILED, "look_at: broken for good")
    assert outside.effects("ring") == []


@pytest.mark.parametrize("order", ["stop", "roll_back"])
async def test_no_write_follows_a_notification_that_an_operator_broke_off(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, order: str
) -> None:
    outside.break_down("tell", times=1_000)
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("tell", "pay")))

        async def openly() -> bool:
            events = (await case.history()).events
            return any(e.HasField("activity_task_scheduled_event_attributes") for e in events)

        await eventually(openly, what="the notification as an ordinary activity")
        await case.send(order)
        outcome = await case.outcome()
    assert outcome.status is (State.STOPPED if order == "stop" else State.ROLLED_BACK)
    assert outside.effects("pay") == []
