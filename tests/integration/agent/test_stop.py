"""A stop, a pilot and what is set at run time: what the door makes of them, and the case."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.service import RPCError

from handrail import State
from handrail.actions import Level
from handrail.client import Operator
from handrail.ledger import Ledger, OrderRow
from handrail.testing import Human, Outside, Stage
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import ALONE, orders, policy
from tests.agents.orders_steps import Order
from tests.integration.guardrails.faults_tools import at

pytestmark = pytest.mark.integration

ANA = Human("ana@example.com")
LARGE = Order(number="1", amount=Decimal(300))


def row(kind: str, **more: object) -> OrderRow:
    """An order in force from now on."""
    given = {"id": f"order-{kind}-1", "agent": "orders", "by": "ops@example.com", "why": "a test"}
    return OrderRow(kind=kind, at=datetime.now(UTC), **given | more)  # type: ignore[arg-type]


async def lift(ledger: Ledger, order: OrderRow) -> None:
    assert await ledger.end_order(order.id, "ops@example.com", datetime.now(UTC), "it is over")


@pytest.mark.parametrize(
    "stop",
    [row("stop", agent="*"), row("stop"), row("stop", step="pay"), row("stop", case="orders:1")],
    ids=["fleet", "agent", "action", "case"],
)
async def test_a_stop_outranks_an_approval_and_the_write_follows_when_it_is_lifted(
    stop: OrderRow, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", LARGE)
        seen = await case.gate()
        await stage.ledger.order(stop)
        assert (await ANA.approve(case, seen)).accepted
        paused = await case.until(lambda view: view.state is State.PAUSED)
        assert "stopped" in paused.why
        assert "ops@example.com" in paused.why
        assert "a test" in paused.why
        assert outside.effects("pay") == []
        await lift(stage.ledger, stop)
        await case.send("resume")
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_a_stop_of_another_case_agent_or_action_stops_nothing_here(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        await stage.ledger.order(row("stop", id="order-1", case="orders:2"))
        await stage.ledger.order(row("stop", id="order-2", step="ship"))
        await stage.ledger.order(row("stop", id="order-3", agent="others"))
        outcome = await (await stage.start("orders", Order(number="1"))).outcome()
    assert outcome.status is State.DONE
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_what_was_in_the_outside_world_before_a_stop_is_not_undone_by_itself(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        order = Order(number="1", parts=("pay", "ship"))
        stop = row("stop")
        with outside.kept_waiting("pay"):
            case = await stage.start("orders", order)
            await outside.arrived("pay")
            await stage.ledger.order(stop)
        await case.until(lambda view: view.state is State.PAUSED)
        assert outside.effects("pay") == ["orders:1/pay/1"]
        assert outside.effects("refund") == []
        assert outside.effects("ship") == []
        await case.send("stop", {"by": "ops@example.com", "why": "enough"})
        outcome = await case.outcome()
    assert outcome.status is State.STOPPED
    assert [receipt.step for receipt in outcome.receipts] == ["pay"]
    assert outside.effects("refund") == []


async def test_people_roll_back_under_a_stop_of_the_agent(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "wait")))
        await case.until(lambda view: view.receipts)
        await stage.ledger.order(row("stop"))
        operator = Operator(stage.client, stage.ledger, by="ops@example.com")
        await operator.roll_back(case.id, why="wrong")
        outcome = await case.outcome()
    assert outcome.status is State.ROLLED_BACK
    assert len(outside.effects("refund")) == 1


async def test_a_roll_back_that_no_ledger_knows_waits_for_the_end_of_a_stop(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    """Whoever may signal a case may say so: a stop is not past by that."""
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "wait")))
        await case.until(lambda view: view.receipts)
        stop = row("stop")
        await stage.ledger.order(stop)
        await case.send("roll_back", {"by": "ops@example.com", "why": "wrong"})
        await case.until(lambda view: any("waits, and asks" in line.text for line in view.log))
        assert outside.effects("refund") == []
        await lift(stage.ledger, stop)
        await case.send("resume")
        outcome = await case.outcome()
    assert outcome.status is State.ROLLED_BACK
    assert len(outside.effects("refund")) == 1


async def test_a_failing_case_waits_with_its_undo_for_the_end_of_a_stop(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        stop = row("stop")
        with outside.kept_waiting("pay"):
            case = await stage.start("orders", Order(number="1", parts=("pay", "break")))
            await outside.arrived("pay")
            await stage.ledger.order(stop)
        await case.until(lambda view: any("waits, and asks" in line.text for line in view.log))
        assert outside.effects("refund") == []
        await lift(stage.ledger, stop)
        await case.send("resume")
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert len(outside.effects("refund")) == 1


async def test_a_stop_while_people_look_at_an_undo_does_not_have_the_case_run_in_circles(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    """`handrail stop CASE` puts a stop into the ledger, and signals the case to end."""
    outside.break_down("refund", "before", says="final: the account is closed")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "break")))
        seen = await case.gate()
        stop = row("stop", case="orders:1")
        await stage.ledger.order(stop)
        await case.send("stop", {"by": "ops@example.com", "why": "enough"})
        assert (await ANA.approve(case, seen)).accepted
        await case.until(lambda view: any("waits, and asks" in line.text for line in view.log))
        await asyncio.sleep(1)
        waits = [line for line in (await case.view()).log if "waits, and asks" in line.text]
        assert len(waits) == 1
        await lift(stage.ledger, stop)
        await case.send("resume")
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert len(outside.effects("refund")) == 1


@pytest.mark.parametrize(
    "order", [row("stop"), row("level", level=Level.STOP)], ids=["stop", "level"]
)
async def test_a_stop_silences_notifications(
    order: OrderRow, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        await stage.ledger.order(order)
        outcome = await (await stage.start("orders", Order(number="1", parts=("tell",)))).outcome()
    assert outcome.status is State.DONE
    assert "stopped" in outcome.unsent[0]
    assert outside.effects("tell") == []


async def _piloted(stage: Stage, order: Order) -> str:
    outcome = await (await stage.start("orders", order)).outcome()
    assert outcome.status is State.PILOTED
    return outcome.why


async def test_a_pilot_judges_and_records_and_does_nothing(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    piloted = {"limits": {"count": "1 per day"}} | ALONE | {"autonomy": "pilot"}
    hold = [{"when": "action.amount > 200", "why": "costs more than 200 EUR"}]
    document = policy(actions={"pay": piloted | {"hold": hold}})
    async with run_fleet(orders(tmp_path, document)) as stage:
        assert "let pass" in await _piloted(stage, Order(number="1"))
        assert "held: costs more than 200" in await _piloted(
            stage, Order(number="2", amount=Decimal(300))
        )
        # It used nothing up: the limit of one a day refuses neither.
        rows = await stage.ledger.verdicts("orders", pilot=True)
        assert [(each.case, each.kind) for each in rows] == [
            ("orders:1", "pass"),
            ("orders:2", "hold"),
        ]
        assert rows[1].action == {"order": "2", "amount": "300"}
        assert await stage.ledger.effects("orders:1") == []
    assert outside.effects("pay") == []


async def test_what_is_set_lower_takes_effect_at_the_next_write(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        assert (await (await stage.start("orders", Order(number="1"))).outcome()).status == "done"
        await stage.ledger.order(row("level", level=Level.SUPERVISED))
        case = await stage.start("orders", Order(number="2"))
        seen = await case.gate()
        assert "supervised" in seen.why
        assert (await ANA.approve(case, seen)).accepted
        assert (await case.outcome()).status is State.DONE
        await stage.ledger.order(row("level", id="order-level-2", level=Level.PILOT, step="pay"))
        assert "let pass" in await _piloted(stage, Order(number="3"))
        kinds = [(each.autonomy, each.kind) for each in await stage.ledger.verdicts("orders")]
    assert kinds == [
        ("full", "pass"),
        ("supervised", "hold"),
        ("supervised", "pass"),
        ("pilot", "pass"),
    ]
    assert outside.effects("pay") == ["orders:1/pay/1", "orders:2/pay/1"]


@pytest.mark.parametrize("signal", ["resume", "lifted"])
async def test_a_stop_that_is_over_before_its_answer_has_come_keeps_no_case_waiting(
    signal: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    stop, loop = row("stop"), asyncio.get_running_loop()

    async def over() -> None:
        await lift(stage.ledger, stop)
        await case.send(signal)

    def answering() -> None:
        asyncio.run_coroutine_threadsafe(over(), loop).result(10)

    async with run_fleet(orders(tmp_path)) as stage:
        await stage.ledger.order(stop)
        case = stage.case("orders:1")
        with at("write:answering", answering):
            await stage.start("orders", Order(number="1"))
            outcome = await case.outcome(within=timedelta(seconds=15))
    assert outcome.status is State.DONE
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_no_intent_is_committed_after_a_stop(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        cases = [await stage.start("orders", Order(number=str(n))) for n in range(40)]
        while not outside.effects("pay"):  # noqa: ASYNC110  # no event tells of it
            await asyncio.sleep(0.01)
        stop = row("stop")
        await stage.ledger.order(stop)
        at = datetime.now(UTC)
        await asyncio.sleep(3)
        ended = [await stage.ledger.effects(case.id) for case in cases]
        assert all(effect.begun <= at for effects in ended for effect in effects)
        await lift(stage.ledger, stop)
        for case, effects in zip(cases, ended, strict=True):
            if not effects:
                # One that had not come to the stop yet ends by itself now.
                with contextlib.suppress(RPCError):
                    await case.send("resume")
        outcomes = await asyncio.gather(*(case.outcome() for case in cases))
    assert {outcome.status for outcome in outcomes} == {State.DONE}
    assert len(outside.effects("pay")) == len(cases)
