"""Workers that die in a step that runs within a workflow task: each costs seconds, not minutes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from handrail import Fleet, State
from handrail.agent import activities as running
from handrail.agent import describe_execution, heartbeats
from handrail.client.failing import failing
from handrail.testing import Crash, Outside, crashing_worker, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, orders_in
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


def soon_put_off(directory: str) -> Fleet:
    """The fleet of a worker that puts a step off after two deaths, and not for long."""
    running.DEATHS, heartbeats.PAUSE = 2, timedelta(seconds=8)
    return orders_in(directory)


@pytest.mark.parametrize("boundary", ["read:before", "write:before-effect"])
async def test_a_step_that_takes_its_workers_along_is_put_off_and_stops_nobody_else(
    boundary: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    dies = Crash(boundary=boundary, case="orders:bad")
    deaths = 3 if boundary == "read:before" else 2  # a read's first try is in the workflow task
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        fleet = f"{__name__}:soon_put_off"
        async with crashing_worker(
            stage, fleet, *[dies] * (deaths + 1), arguments=[str(tmp_path)]
        ) as worker:
            bad = await stage.start("orders", Order(number="bad", parts=("pay", "tell")))
            for _ in range(deaths):
                await worker.crashed()
                await worker.restart()

            async def put_off() -> bool:
                found = await failing(stage.client, await describe_execution(stage.client, bad.id))
                return any("died or was cut off 2 times in a row" in each.error for each in found)

            await eventually(put_off, what="the step to be put off")
            good = [
                await stage.start("orders", Order(number=str(n), parts=("pay",))) for n in range(5)
            ]
            for each in good:
                assert (await each.outcome()).status is State.DONE
            # Its pause over, it is tried once more, and dies; then it has what it lacked.
            await worker.crashed()
            await worker.restart()
            assert (await bad.outcome()).status is State.DONE
    assert len(outside.effects("pay")) == 6
