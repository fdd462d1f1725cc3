"""A step that takes its workers along: put off, and tried again, while others go on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from handrail import Fleet, State
from handrail.agent import activities, heartbeats
from handrail.testing import Crash, Outside, crashing_worker, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, orders_in
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration


def soon_put_off(directory: str) -> Fleet:
    """The fleet of a worker that puts a step off after two deaths, and not for long."""
    activities.DEATHS, heartbeats.PAUSE = 2, timedelta(seconds=8)
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
                described = await stage.client.get_workflow_handle(bad.id).describe()
                failures = [
                    p.last_failure.message for p in described.raw_description.pending_activities
                ]
                return any("died or was cut off 2 times in a row" in why for why in failures)

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
