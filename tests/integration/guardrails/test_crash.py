"""Processes that really die. The long form, at every boundary, is `make chaos`."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from handrail import State
from handrail.agent.invoke import HEARTBEAT
from handrail.testing import Crash, Human, Outside, crashing_worker
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order

pytestmark = [pytest.mark.integration, pytest.mark.slow]

STARTED = "activity_task_started_event_attributes"
FLEET = "tests.agents.fleets:orders_in"


async def test_killed_between_effect_and_receipt_a_human_is_asked_and_nothing_is_repeated(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        crash = Crash(boundary="write:after-effect")
        async with crashing_worker(stage, FLEET, crash, arguments=[str(tmp_path)]) as worker:
            case = await stage.start("orders", Order(number="1", parts=("post", "pay")))
            await worker.crashed()
            await worker.restart()
            seen = await case.gate()
            assert (seen.kind, seen.step) == ("in_doubt", "post")
            assert outside.effects("post") == ["orders:1/post/1"]
            record = await Human("bo@example.com").answer(case, "happened", seen, result="by hand")
            assert record.accepted, record.note
            outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert [receipt.how for receipt in outcome.receipts] == ["confirmed", "written"]
    assert outside.doubled() == []


async def test_a_worker_frozen_before_its_effect_and_thawed_does_it_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    crash = Crash(boundary="write:before-effect", how="freeze")
    async with (
        run_fleet(orders(tmp_path), workers=False) as stage,
        crashing_worker(stage, FLEET, crash, arguments=[str(tmp_path)]) as worker,
    ):
        case = await stage.start("orders", Order(number="1", parts=("ship",)))
        await worker.frozen()
        await asyncio.sleep(HEARTBEAT.total_seconds() + 1)
        worker.send(signal.SIGCONT)
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert outside.effects("ship") == ["orders:1/ship/1"]
    tries = [e for e in (await case.history()).events if e.HasField(STARTED)]
    assert tries[0].activity_task_started_event_attributes.attempt == 2


async def test_sigterm_lets_a_write_in_flight_finish(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        arguments = [str(tmp_path)]
        async with crashing_worker(stage, FLEET, arguments=arguments) as worker:
            with outside.kept_waiting("post"):
                case = await stage.start("orders", Order(number="1", parts=("post",)))
                await outside.arrived("post")
                worker.send(signal.SIGTERM)
            assert await worker.ended() == 0
            await worker.start()
            outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert outcome.receipts[0].how == "written"
    assert outside.effects("post") == ["orders:1/post/1"]
