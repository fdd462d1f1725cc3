"""What an operator can do to a case, and what they see of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata

from handrail import State
from handrail.agent.visibility import (
    AGENT_ATTRIBUTE,
    DEADLINE_ATTRIBUTE,
    REASON_ATTRIBUTE,
    RISK_ATTRIBUTE,
    STATE_ATTRIBUTE,
    WAITING_FOR_ATTRIBUTE,
)
from handrail.testing import CaseHandle, Human, Outside
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order
from tests.agents.tools import by_hand

pytestmark = pytest.mark.integration

ANA = Human("ana@example.com")
LARGE = Order(number="1", amount=Decimal(300))


async def attributes(case: CaseHandle) -> dict[str, object]:
    found = (await case.handle.describe()).typed_search_attributes
    known: dict[str, object] = {
        AGENT_ATTRIBUTE.name: found.get(AGENT_ATTRIBUTE),
        STATE_ATTRIBUTE.name: found.get(STATE_ATTRIBUTE),
        RISK_ATTRIBUTE.name: found.get(RISK_ATTRIBUTE),
        REASON_ATTRIBUTE.name: found.get(REASON_ATTRIBUTE),
        WAITING_FOR_ATTRIBUTE.name: found.get(WAITING_FOR_ATTRIBUTE),
        DEADLINE_ATTRIBUTE.name: found.get(DEADLINE_ATTRIBUTE),
    }
    return {name: value for name, value in known.items() if value is not None}


async def test_a_paused_case_takes_an_approval_and_writes_after_the_pause(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", LARGE)
        seen = await case.gate()
        await case.send("pause", {"by": "ops@example.com", "why": "audit"})
        await case.until(lambda view: view.state is State.PAUSED)
        assert (await attributes(case))["HandrailState"] == "paused"
        assert (await ANA.approve(case, seen)).accepted
        await asyncio.sleep(0.5)
        assert outside.effects("pay") == []
        await case.send("resume")
        outcome = await case.outcome()
        states = [move.state for move in (await case.view()).moves]
    assert outcome.status is State.DONE
    assert states == ["working", "waiting", "paused", "working", "done"]
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_a_pause_while_working_begins_no_further_step(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        with outside.kept_waiting("pay"):
            case = await stage.start("orders", Order(number="1", parts=("pay", "post")))
            await outside.arrived("pay")
            await case.send("pause")
        await case.until(lambda view: view.receipts)
        await asyncio.sleep(0.5)
        assert (await case.view()).state is State.PAUSED
        assert outside.effects("post") == []
        await case.send("resume")
        assert (await case.outcome()).status is State.DONE


async def test_a_gate_that_expires_in_a_pause_stays_expired(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", LARGE)
        await case.gate()
        await case.send("pause")
        await case.pass_time(timedelta(hours=8))
        await case.send("resume")
        assert (await case.outcome()).status is State.EXPIRED
    assert outside.effects("pay") == []


async def test_a_stop_while_waiting_ends_the_case_and_its_question(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", amount=Decimal(300), parts=("pay",)))
        await case.gate()
        await case.send("stop", {"by": "ops@example.com", "why": "customer called"})
        outcome = await case.outcome()
        shown = await attributes(case)
    assert outcome.status is State.STOPPED
    assert outcome.why == "stopped by ops@example.com (unproven): customer called"
    assert shown == {
        "HandrailAgent": "orders",
        "HandrailState": "stopped",
        "HandrailReason": outcome.why,
    }
    assert outside.effects("pay") == []


async def test_a_stop_waits_for_a_write_in_flight_and_keeps_its_receipt(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        with outside.kept_waiting("pay"):
            case = await stage.start("orders", Order(number="1", parts=("pay", "post")))
            await outside.arrived("pay")
            await case.send("stop")
            await asyncio.sleep(0.5)
        outcome = await case.outcome()
    assert outcome.status is State.STOPPED
    assert [receipt.key for receipt in outcome.receipts] == ["orders:1/pay/1"]
    assert outside.effects("refund") == []
    assert outside.effects("post") == []


async def test_a_stop_ends_a_write_that_is_tried_again_and_again(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("pay", "before", times=1_000)
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1"))
        await asyncio.sleep(1)
        await case.send("stop")
        outcome = await case.outcome()
    assert outcome.status is State.STOPPED
    assert outcome.receipts == ()


@pytest.mark.parametrize("order", ["stop", "roll_back"])
async def test_an_order_during_a_short_step_lets_nothing_more_begin(
    order: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        with outside.kept_waiting("warehouse"):
            # A short step is part of a workflow task: the signal is heard when that is renewed.
            event = Order(number="1", parts=("pay", "tell"))
            case = await by_hand(stage, "orders:1", event, task_timeout=timedelta(seconds=1))
            await outside.arrived("warehouse")
            await case.send(order)
            await asyncio.sleep(1.5)
        outcome = await case.outcome()
    assert outcome.status is (State.STOPPED if order == "stop" else State.ROLLED_BACK)
    assert outside.effects("pay") + outside.effects("tell") == []


async def test_a_stop_with_a_misspelt_reason_stops_all_the_same(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", LARGE)
        await case.gate()
        await case.send("stop", {"who": "me"}, "and more")
        assert (await case.outcome()).status is State.STOPPED


async def test_a_roll_back_with_a_misspelt_reason_is_ignored_and_noted(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", LARGE)
        await case.gate()
        await case.send("roll_back", {"who": "me"})
        await case.send("roll_back", {}, {})
        view = await case.until(lambda view: "several" in view.log[-1].text)
    assert view.state is State.WAITING


async def test_search_attributes_and_memo_say_what_is_asked_without_a_worker(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", LARGE)
        seen = await case.gate()
    shown = await attributes(case)
    described = await case.handle.describe()
    assert seen.deadline is not None
    assert shown == {
        "HandrailAgent": "orders",
        "HandrailState": "waiting",
        "HandrailRisk": "reversible",
        "HandrailReason": "costs more than 200 EUR: amount 300 > 200",
        "HandrailWaitingFor": ["lead"],
        "HandrailDeadline": seen.deadline,
    }
    gates = await described.memo_value("gates")
    assert gates == [seen.model_dump(mode="json", exclude_defaults=True, exclude={"next"})]
    query = "HandrailAgent = 'orders' AND HandrailWaitingFor = 'lead' AND HandrailState = 'waiting'"
    found = [found.id async for found in stage.client.list_workflows(query)]
    assert found == [case.id]


async def test_at_the_end_nothing_is_asked_any_more(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", LARGE)
        await ANA.approve(case)
        await case.outcome()
    shown = await attributes(case)
    assert shown == {
        "HandrailAgent": "orders",
        "HandrailState": "done",
        "HandrailReason": "fulfilled",
    }


async def test_a_case_started_by_hand_is_found_and_governed_all_the_same(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await by_hand(stage, "orders:1", {"number": "1", "amount": 300})
        seen = await case.gate()
        assert (await attributes(case))["HandrailAgent"] == "orders"
        assert (await ANA.approve(case, seen)).accepted
        assert (await case.outcome()).status is State.DONE


async def test_signals_that_come_before_the_case_begins_are_harmless_and_count(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        case = await stage.start("orders", Order(number="1"))
        await case.send("approve", {"gate": "1", "digest": "0" * 12, "by": "ana@example.com"})
        await case.send("resume")
        await case.send("nonsense", 1, 2, 3)
        await case.send("pause")
        async with stage.fleet.running(stage.client, stage.ledger):
            await case.until(lambda view: view.state is State.PAUSED)
            assert outside.calls() == []
            await case.send("resume")
            outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert [ruling.accepted for ruling in outcome.rulings] == [False]


async def test_details_name_question_answer_and_consequences(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", LARGE)
        seen = await case.gate()
        page = await case.handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    shown = page.current_details
    assert "waiting for lead" in shown
    assert '"amount": "300"' in shown
    assert "costs more than 200 EUR" in shown
    assert seen.digest[:12] in shown
    assert "ana@example.com" in shown
    assert "it expires: the write is not made" in shown
    assert "\\*\\*Trust me.\\*\\*" in shown
