"""The maintenance agent against a plant, its stores, Radicale, and the real server."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from activities.maintenance import (
    BookWindow,
    Look,
    as_booked,
    book_window,
    cancel_window,
    plan_work,
    watch,
    windows,
)
from activities.maintenance_systems import compose, where
from handrail import Final, State
from handrail.actions import Effect, Undoes
from handrail.client import Operator
from handrail.testing import Crash, Human, call_write, crashing_worker
from handrail.testing.fixtures import RunFleet
from tests.integration.application.plant import plant_fleet
from tests.integration.application.plant_systems import plant_at_work
from tests.integration.application.systems import started
from world.maintenance.stores import Stores

pytestmark = pytest.mark.integration

SAM = Human("sam@example.com")
FLEET = "tests.integration.application.plant:plant_fleet"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Stores]:
    with ExitStack() as stack:
        place = ("--db", str(tmp_path / "dispatch.db"), "--port", "0")
        monkeypatch.setenv("MAINTENANCE_DISPATCH_URL", started(stack, "routes.service", *place))
        monkeypatch.setenv("ROUTES_DISPATCH_URL", os.environ["MAINTENANCE_DISPATCH_URL"])
        monkeypatch.setenv("MAINTENANCE_SPARES_BY", "routes")
        yield plant_at_work(stack, tmp_path, monkeypatch)


async def one_that_wears() -> tuple[Look, str]:
    """A machine that the agent would plan work on, and the part."""
    async with httpx2.AsyncClient() as client:
        for hour in range(360, 1000, 24):
            await client.post(where("PLANT") + "/clock", json={"hour": hour})
            for machine in range(20):
                look = Look(at=EPOCH + timedelta(hours=hour), machine=machine)
                action = (await plan_work(look, await watch(machine), [])).action
                if action is not None and action.part != "motor":
                    return look, action.part
    raise AssertionError("nothing wears")


async def an_undo_is_exact() -> None:
    """A window booked twice under one key is one; taken back twice it is gone; moved it stays."""
    start = EPOCH + timedelta(days=30)
    action = BookWindow(machine=3, part="seal", start=start)
    effect = Effect(key="m/book_window/1", case="m", step="book_window")
    undoes = Undoes(key=effect.key)
    first = await call_write(book_window, action, key=effect.key)
    assert await call_write(book_window, action, key=effect.key) == first
    assert await windows() == [first]
    assert await as_booked(action, effect, first) is None
    for _ in range(2):
        await call_write(cancel_window, action, undoes=undoes)
        assert await windows() == []
    await call_write(book_window, action, key=effect.key)
    async with httpx2.AsyncClient() as planner:
        moved = compose(3, "seal", start + timedelta(hours=4), first.uid)
        await planner.put(f"{where('CALENDAR')}{first.uid}.ics", content=moved)
    with pytest.raises(Final, match="somebody has moved it"):
        await call_write(cancel_window, action, undoes=undoes)
    assert "the calendar has" in str(await as_booked(action, effect, first))
    async with httpx2.AsyncClient() as planner:
        await planner.delete(f"{where('CALENDAR')}{first.uid}.ics")


async def test_killed_at_each_write_every_system_has_each_effect_once(
    run_fleet: RunFleet, stores: Stores
) -> None:
    await an_undo_is_exact()
    look, part = await one_that_wears()
    stores.rows("update spares set on_shelf = 2 where part = ?", part)
    kills = [Crash(boundary="write:after-effect", arrival=n) for n in (1, 2, 1)]
    async with run_fleet(plant_fleet(), workers=False) as stage:
        case = await stage.start("maintenance", look)
        for number, crash in enumerate(kills):
            async with crashing_worker(stage, FLEET, crash, name=f"w{number}") as worker:
                await worker.crashed()
        last = Crash(boundary="hand-off:started")
        async with crashing_worker(stage, FLEET, last, name="last") as worker:
            [handed] = (await case.until(lambda view: view.handed)).handed
            stores_case = stage.case(handed.case)
            seen = await stores_case.gate()
            assert (seen.kind, seen.step) == ("in_doubt", "purchase")
            assert (await SAM.answer(stores_case, "happened", seen, result="1")).accepted
            await worker.crashed()
            await worker.restart()
            outcome = await case.outcome()
            assert outcome.status is State.DONE
            [window] = await windows()
            assert (window.machine, window.part) == (look.machine, part)
            assert len(stores.rows("select * from reservations")) == 1
            assert len(stores.rows("select * from orders")) == 1
            chain = await Operator(stage.client, stage.ledger).chain(case.id)
        done = outcome.all_receipts
    assert [link.agent for link in chain.cases] == ["maintenance", "stores", "routes"]
    assert [receipt.how for receipt in done] == ["written", "written", "found", "confirmed"]
    async with httpx2.AsyncClient() as client:
        brought = (await client.get(where("DISPATCH") + "/came/order")).json()
        known = (await client.get(where("DISPATCH") + "/day")).json()["orders"]
    assert len(brought) == 1
    assert [order["id"] for order in known if order["id"].startswith("S")] in (["S1"], [])
