"""Workers that die in a step that runs within a workflow task: each costs seconds, not minutes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from handrail import State
from handrail.testing import Crash, Outside, crashing_worker
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration

TEN = 10
MOST = timedelta(seconds=20)
"""A task's or a heartbeat's time, a pause, and the start of a process on a busy machine."""


async def test_ten_workers_that_die_in_one_task_cost_a_bounded_time_each(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    dies = Crash(boundary="read:before")
    clock, waits = asyncio.get_running_loop().time, list[float]()
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        fleet = "tests.agents.fleets:orders_in"
        async with crashing_worker(
            stage, fleet, *[dies] * TEN, arguments=[str(tmp_path)]
        ) as worker:
            case = await stage.start("orders", Order(number="1", parts=("pay", "tell")))
            for _ in range(TEN):
                began = clock()
                await worker.crashed()
                waits.append(clock() - began)
                await worker.restart()
            outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert len(outside.effects("pay")) == 1
    assert max(waits) < MOST.total_seconds(), waits
