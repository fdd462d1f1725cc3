"""`handrail schedules`: next times, runs and missed ones are listed; pause, trigger, back-fill."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handrail import Schedule
from handrail.cli import schedules
from handrail.cli.output import Output
from handrail.exceptions import InvalidRequest, NotFound
from handrail.runtime import EmbeddedServer, keep_in_step
from handrail.testing import Outside, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration

ANA = "ana@example.com"
NAME = "orders/often"


@pytest.fixture(scope="module")
def handrail_server(scheduling_server: EmbeddedServer) -> EmbeddedServer:
    return scheduling_server


def order_at(at: datetime) -> Order:
    return Order(number=f"{at:%H%M%S}")


async def test_schedules_are_listed_paused_triggered_and_filled(
    run_fleet: RunFleet,
    outside: Outside,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def said(work: Callable[..., Awaitable[int | None]], *given: Any, **more: Any) -> Any:
        capsys.readouterr()
        assert not await work(*given, **more, out=Output(json=True))
        return json.loads(capsys.readouterr().out)

    async def one() -> Any:
        [found] = (await said(schedules.listing))["schedules"]
        return found

    often = Schedule(name="often", event=order_at, every=timedelta(seconds=2), overlap="allow_all")
    async with run_fleet(orders(tmp_path, triggers=[often])) as stage:
        monkeypatch.setenv("TEMPORAL_ADDRESS", stage.client.service_client.config.target_host)
        monkeypatch.setenv("TEMPORAL_NAMESPACE", stage.client.namespace)
        monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HANDRAIL_PAYLOAD_DIR", str(tmp_path / "payloads"))
        await schedules.listing(out=Output())
        assert "no schedules" in capsys.readouterr().out
        await keep_in_step(stage.client, stage.fleet.agents["orders"])
        # Paused at once, so that its times are missed.
        paused = await said(schedules.pause, NAME, by=ANA, why="the hall is closed")
        assert (paused["paused"], paused["note"]) == (True, f"paused by {ANA}: the hall is closed")

        async def missed() -> Any:
            found = await one()
            return found if len(found["missed"]) >= 2 else None

        found = await eventually(missed)
        assert (found["schedule"], found["spec"]) == (NAME, "every 2s")
        await schedules.listing(agent="orders", out=Output())
        shown = capsys.readouterr().out
        for word in ("orders/often", "every 2s", "paused", "the hall is closed", "missed"):
            assert word in shown
        # For a time that it missed, and for all of a span.
        at = datetime.fromisoformat(found["missed"][-1])
        ran = await said(schedules.trigger, NAME, at=at, by=ANA)
        case = f"orders:{order_at(at.astimezone(UTC)).key}"
        assert [run["case"] for run in ran["runs"]] == [case]
        assert (await stage.case(case).view()).requester == ANA
        since = datetime.fromisoformat(found["missed"][-2])
        filled = await said(schedules.backfill, NAME, since=since, until=at, by=ANA)
        assert [run["at"] for run in filled["runs"]] == found["missed"][-2:]

        async def filled_all() -> bool:
            listed = await one()
            return not set(found["missed"][-2:]) & set(listed["missed"])

        await eventually(filled_all)
        with pytest.raises(InvalidRequest, match="has no time"):
            await schedules.trigger(NAME, at=at + timedelta(seconds=1), out=Output())
        with pytest.raises(InvalidRequest, match="no times"):
            await schedules.backfill(NAME, since=at + timedelta(days=1), out=Output())
        with pytest.raises(NotFound):
            await schedules.pause("orders/never", by=ANA, out=Output())
        # Resumed, it has its next five times, and runs by itself.
        resumed = await said(schedules.resume, NAME, by=ANA)
        assert (resumed["paused"], len(resumed["next"])) == (False, 5)
        now = await said(schedules.trigger, NAME, by=ANA)
        assert now["runs"][0]["case"]
        await said(schedules.pause, NAME, by=ANA)
    assert len(outside.effects("pay")) == len(set(outside.effects("pay")))
