"""The routes agent against the real server and the dispatch service; its worker dies at a write."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from activities.routes import Changed, disconnect
from handrail import State
from handrail.testing import Crash, crashing_worker
from handrail.testing.fixtures import RunFleet
from workers.fleets.routes import fleet

pytestmark = pytest.mark.integration


@pytest.fixture
def serving(tmp_path: Path) -> Generator[str]:
    db = str(tmp_path / "dispatch.db")
    argv = [sys.executable, "-m", "world.routes.service", "--db", db, "--port", "0"]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    yield server.stdout.readline().split()[-1]
    server.kill()
    server.wait()
    server.stdout.close()


@pytest.fixture
async def road(serving: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[str]:
    monkeypatch.setenv("ROUTES_DISPATCH_URL", serving)
    yield serving
    await disconnect()


async def get(road: str, path: str) -> Any:
    async with httpx2.AsyncClient(base_url=road, timeout=20) as client:
        return (await client.get(path)).raise_for_status().json()


async def test_a_worker_killed_after_a_plan_went_out_sends_it_once(
    run_fleet: RunFleet, road: str
) -> None:
    crash = Crash(boundary="write:after-effect")
    async with (
        run_fleet(fleet, workers=False) as stage,
        crashing_worker(stage, "workers.fleets.routes:fleet", crash) as worker,
    ):
        case = await stage.start("routes", Changed(day="D101", minute=0, what="half-hour"))
        await worker.crashed()
        await worker.restart()
        outcome = await case.outcome()
        other = await stage.start("routes", Changed(day="D7", minute=0, what="half-hour"))
        elsewhere = await other.outcome()
    assert outcome.status is State.DONE, outcome.why
    assert len(await get(road, "/came/plan")) == 1
    [told] = await get(road, "/came/message")
    assert len(told["drivers"]) > 3
    assert (await get(road, "/day"))["version"] == 1
    assert elsewhere.why == "D7 is not on the road"
