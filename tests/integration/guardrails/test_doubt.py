"""Attempts whose ledger does not know them: what Temporal keeps says whether anything was sent."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from handrail import State
from handrail.testing import CaseHandle, Crash, Human, Outside, crashing_worker, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order, Part

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FLEET = "tests.agents.fleets:orders_in"


def forget(directory: Path) -> None:
    """Lose what the ledger knows of effects, as a backup that is put back does."""
    with contextlib.closing(sqlite3.connect(directory / "ledger.db")) as ledger:
        assert ledger.execute("delete from handrail_effects").rowcount == 1
        ledger.commit()


@pytest.mark.parametrize("part", ["post", "ship"])
async def test_a_write_that_the_ledger_lost_is_asked_about_or_found_and_never_doubled(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, part: Part
) -> None:
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        crash = Crash(boundary="write:after-effect")
        async with crashing_worker(stage, FLEET, crash, arguments=[str(tmp_path)]) as worker:
            case = await stage.start("orders", Order(number="1", parts=(part,)))
            await worker.crashed()
            forget(tmp_path)
            await worker.restart()
            if part == "post":
                seen = await case.gate()
                assert seen.kind == "in_doubt"
                assert "orders:1/post/1" in seen.why
                await Human("bo@example.com").answer(case, "happened", seen, result="by hand")
            outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert outside.doubled() == []
    assert len(outside.effects(part)) == 1


@pytest.mark.parametrize("boundary", ["write:arrived", "write:before-intent"])
async def test_a_worker_that_dies_before_its_intent_leaves_no_question(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, boundary: str
) -> None:
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        crash = Crash(boundary=boundary)
        async with crashing_worker(stage, FLEET, crash, arguments=[str(tmp_path)]) as worker:
            case = await stage.start("orders", Order(number="1", parts=("post",)))
            await worker.crashed()
            await worker.restart()
            outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert outcome.rulings == ()
    assert outside.effects("post") == ["orders:1/post/1"]


async def test_an_attempt_that_fails_before_its_intent_is_followed_at_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    """`ship` would be looked for half a minute if nothing said that it was not sent."""
    async with run_fleet(orders(tmp_path)) as stage:
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.isolation_level = None
            with outside.kept_waiting("tell"):
                case = await stage.start("orders", Order(number="1", parts=("tell", "ship")))
                await outside.arrived("tell")
                other.execute("begin immediate")
            await _retried(case)
            other.execute("rollback")
        outcome = await case.outcome(within=timedelta(seconds=20))
    assert outcome.status is State.DONE
    assert outside.effects("ship") == ["orders:1/ship/1"]


async def _retried(case: CaseHandle) -> None:
    async def tries() -> bool:
        pending = (await case.handle.describe()).raw_description.pending_activities
        return any(each.activity_type.name == "ship" and each.attempt > 1 for each in pending)

    await eventually(tries)
