"""Roll-back: last first, each once, through the door, and never silently incomplete."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from handrail import State
from handrail.oversight import GateKind
from handrail.testing import Human, Outside
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy
from tests.agents.orders_steps import Order
from tests.agents.tools import reset

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("short_grace")]

ANA = Human("ana@example.com")
UNDONE = ["orders:1/call/3/undo", "orders:1/ship/2/undo", "orders:1/pay/1/undo"]


def undone(outside: Outside) -> list[str]:
    return [key for key in outside.effects() if key.endswith("/undo")]


async def test_a_case_that_breaks_undoes_last_first_and_fails(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start(
            "orders", Order(number="1", parts=("pay", "ship", "call", "break"))
        )
        outcome = await case.outcome()
        view = await case.view()
        described = await case.handle.describe()
    assert outcome.status is State.FAILED
    assert outcome.why == "something broke"
    assert undone(outside) == UNDONE
    assert [move.state for move in view.moves] == ["working", "rolling_back", "failed"]
    assert described.status is not None
    assert described.status.name == "FAILED"


async def test_a_final_error_rolls_back_what_was_written_before_it(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("ship", "before", says="final: too heavy")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "ship")))
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert "too heavy" in outcome.why
    assert undone(outside) == ["orders:1/pay/1/undo"]


async def test_what_cannot_be_undone_is_named(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("post", "pay", "break")))
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert outcome.why == "something broke; not undone: post (it cannot be undone)"
    assert undone(outside) == ["orders:1/pay/2/undo"]


async def test_an_operator_rolls_back_a_working_case(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "ship", "wait", "post")))
        await case.until(lambda view: len(view.receipts) == 2)
        await case.send("roll_back", {"by": "ops@example.com", "why": "wrong order"})
        outcome = await case.outcome()
    assert outcome.status is State.ROLLED_BACK
    assert outcome.why == "rolled back by ops@example.com (unproven): wrong order"
    assert undone(outside) == ["orders:1/ship/2/undo", "orders:1/pay/1/undo"]
    assert outside.effects("post") == []


async def test_an_operator_rolls_back_a_waiting_case(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleet = orders(tmp_path, policy(actions={"ship": {"autonomy": "supervised"}}))
    async with run_fleet(fleet) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "ship")))
        seen = await case.gate()
        await case.send("roll_back")
        outcome = await case.outcome()
        late = await case.view()
    assert outcome.status is State.ROLLED_BACK
    assert undone(outside) == ["orders:1/pay/1/undo"]
    assert outside.effects("ship") == []
    assert late.gates == ()
    assert seen.step == "ship"


async def test_a_write_in_flight_is_awaited_and_then_undone(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        with outside.kept_waiting("pay"):
            case = await stage.start("orders", Order(number="1", parts=("pay",)))
            await outside.arrived("pay")
            await case.send("roll_back")
            await asyncio.sleep(1.5)
            assert outside.effects("refund") == []
        outcome = await case.outcome()
    assert outcome.status is State.ROLLED_BACK
    assert [call.surface for call in outside.calls()] == ["warehouse", "pay", "refund"]


async def test_a_write_that_never_works_is_given_up_and_undone_if_it_is_there(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("pay", "before", times=1_000)
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay",)))
        await asyncio.sleep(1)
        await case.send("roll_back")
        outcome = await case.outcome()
        rows = await stage.ledger.effects(case.id)
    assert outcome.status is State.ROLLED_BACK
    assert outside.effects("pay") == []
    assert outside.effects("refund") == []
    assert [row.state for row in rows] == ["taken_back", "done"]


async def test_an_undo_that_fails_parks_the_case_until_a_human_has_it_tried_again(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("refund", "before", says="final: the account is closed")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "call", "break")))
        seen = await case.gate()
        assert (seen.kind, seen.step) == (GateKind.UNDO, "refund")
        assert "the account is closed" in seen.why
        assert undone(outside) == ["orders:1/call/2/undo"]
        assert (await ANA.approve(case, seen)).accepted
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert outcome.why == "something broke"
    assert undone(outside) == ["orders:1/call/2/undo", "orders:1/pay/1/undo"]


async def test_an_undo_that_fails_and_is_left_is_named(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("uncall", "before", says="final: it is on its way")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "call", "break")))
        assert (await ANA.reject(case, why="let it come")).accepted
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert "not undone: call (final: it is on its way" in outcome.why
    assert undone(outside) == ["orders:1/pay/1/undo"]


async def test_an_undo_that_goes_on_failing_asks_after_a_few_tries(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("refund", "before", times=6)
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "break")))
        seen = await case.gate()
        assert seen.kind is GateKind.UNDO
        assert (await ANA.approve(case, seen)).accepted
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert undone(outside) == ["orders:1/pay/1/undo"]


@pytest.mark.parametrize("answer", ["happened", "do it", "drop"])
async def test_an_undo_in_doubt_is_asked_about(
    answer: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    left = answer == "drop"
    result = {"result": "it is back"} if answer == "happened" else {}
    outside.break_down("recall", "before" if answer == "do it" else "after")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("ship", "wait")))
        await case.until(lambda view: view.receipts)
        await case.send("roll_back")
        seen = await case.gate()
        assert (seen.kind, seen.step) == (GateKind.IN_DOUBT, "recall")
        assert (await ANA.answer(case, answer, seen, **result)).accepted
        outcome = await case.outcome()
    assert outcome.status is (State.FAILED if left else State.ROLLED_BACK)
    assert ("not undone: ship" in outcome.why) is left
    assert undone(outside) == ["orders:1/ship/1/undo"]


async def test_a_case_that_is_done_can_be_rolled_back_in_its_window(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, policy(agent="patient"))) as stage:
        case = await stage.start("patient", Order(number="1", parts=("pay", "tell")))
        view = await case.until(lambda view: view.state is State.SETTLING)
        assert view.why == "fulfilled"
        await case.send("roll_back")
        outcome = await case.outcome()
    assert outcome.status is State.ROLLED_BACK
    assert undone(outside) == ["patient:1/pay/1/undo"]


async def test_after_its_window_a_case_is_done(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, policy(agent="patient"))) as stage:
        case = await stage.start("patient", Order(number="1", parts=("pay",)))
        await case.until(lambda view: view.state is State.SETTLING)
        await case.pass_time(timedelta(hours=23))
        assert (await case.view()).state is State.SETTLING
        await case.pass_time(timedelta(hours=1))
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert outcome.seconds[State.SETTLING] == pytest.approx(86_400, abs=60)
    assert undone(outside) == []


async def test_a_stop_ends_the_window_and_leaves_the_case_done(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, policy(agent="patient"))) as stage:
        case = await stage.start("patient", Order(number="1", parts=("pay",)))
        await case.until(lambda view: view.state is State.SETTLING)
        await case.send("stop")
        assert (await case.outcome()).status is State.DONE
    assert undone(outside) == []


@pytest.mark.parametrize("part", ["wait", "settling", "gate"])
async def test_a_cancel_through_temporal_rolls_back(
    part: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    agent = "patient" if part == "settling" else "orders"
    held = {"ship": {"autonomy": "supervised"}}
    async with run_fleet(orders(tmp_path, policy(agent=agent, actions=held))) as stage:
        parts = {"wait": ("pay", "wait"), "settling": ("pay",), "gate": ("pay", "ship")}[part]
        case = await stage.start(agent, Order.model_validate({"number": "1", "parts": parts}))
        await case.until(
            lambda view: (
                view.receipts
                and view.state
                is {"settling": State.SETTLING, "gate": State.WAITING}.get(part, view.state)
            )
        )
        await case.handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await case.outcome()
        view = await case.view()
    assert isinstance(caught.value.cause, CancelledError)
    assert view.state is State.ROLLED_BACK
    assert undone(outside) == [f"{agent}:1/pay/1/undo"]


async def test_a_cancel_during_a_roll_back_does_not_break_it_off(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "call", "break")))
        with outside.kept_waiting("uncall"):
            await outside.arrived("uncall")
            await case.handle.cancel()
            await asyncio.sleep(0.5)
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert undone(outside) == ["orders:1/call/2/undo", "orders:1/pay/1/undo"]


async def test_a_cancel_while_an_undo_waits_for_a_human_keeps_the_question(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("uncall", "before", says="final: it is on its way")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "call", "break")))
        seen = await case.gate()
        await case.handle.cancel()
        await asyncio.sleep(0.5)
        assert (await ANA.approve(case, seen)).accepted
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert undone(outside) == ["orders:1/call/2/undo", "orders:1/pay/1/undo"]


async def test_a_rolled_back_case_that_is_reset_undoes_nothing_twice(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("call", "break")))
        await case.outcome()
        await reset(stage, case)
        await case.outcome()
    assert outside.doubled() == []
    assert undone(outside) == ["orders:1/call/1/undo"]
