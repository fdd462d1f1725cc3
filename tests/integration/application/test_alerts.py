"""The alerts agent on the real server, Alertmanager's API and a real Roundup, which are killed."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from activities.alerts_facts import Heard
from activities.support_systems import disconnect
from handrail import State
from handrail.ledger import EffectState
from handrail.testing import Crash, Human, crashing_worker
from handrail.testing.fixtures import RunFleet
from tests.integration.application.systems import System
from tests.integration.integrations.senders import serving, signed
from workers.demos.alerts import filed
from workers.fleets.alerts import fleet
from world.alerts import plant
from world.alerts.plant import Ring

pytestmark = pytest.mark.integration

FLEET = "workers.fleets.alerts:fleet"
PASSWORD = "of-this-machine"  # noqa: S105 - it is
KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FAR = datetime(2026, 12, 30, tzinfo=UTC)


@dataclass
class Site:
    """The systems of the agent."""

    alerts: System
    desk: System
    home: Path

    async def rings(self, *rings: Ring) -> dict[str, Any]:
        """Have these ring at Alertmanager, and no others of theirs; the post about them."""
        post = plant.post(rings[0].site, list(rings), FAR)
        async with httpx2.AsyncClient(base_url=self.alerts.url, timeout=10) as client:
            (await client.post("/api/v2/alerts", json=post["alerts"])).raise_for_status()
        return post

    async def issues(self) -> dict[str, str]:
        """The queue of each issue, by its title."""
        auth = ("agent", PASSWORD)
        async with httpx2.AsyncClient(base_url=self.desk.url, timeout=10, auth=auth) as client:
            answer = await client.get("/rest/data/issue", params={"@fields": "title,queue"})
            rows = answer.raise_for_status().json()["data"]["collection"]
            return {row["title"]: row["queue"] for row in rows}


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Site]:
    monkeypatch.setenv("DESK_PASSWORD", PASSWORD)
    found = Site(
        System("alerts.service", "--db", str(tmp_path / "alerts.db"), "--port", "0"),
        System("support.desk", "--dir", str(tmp_path / "desk"), "--port", "0"),
        tmp_path / "desk",
    )
    monkeypatch.setenv("ALERTS_URL", found.alerts.url)
    monkeypatch.setenv("SUPPORT_DESK_URL", found.desk.url)
    monkeypatch.setenv("HANDRAIL_SECRET_DESK_PASSWORD", PASSWORD)
    monkeypatch.setenv("HANDRAIL_SECRET_ALERTS_HOOK", KEY)
    monkeypatch.setenv("ALERTS_SPEED", "600")
    yield found
    await disconnect()
    found.alerts.kill()
    found.desk.kill()


def ring(component: str, name: str, minutes: float, *, severity: str = "warning") -> Ring:
    starts = plant.BEGINS + timedelta(minutes=minutes)
    return Ring("north", component, name, severity, starts, FAR + timedelta(days=1), 0)


def over(each: Ring) -> Ring:
    return each._replace(ends=each.starts + timedelta(minutes=20))


async def test_what_alertmanager_posts_is_one_issue_for_a_cause_which_is_closed_when_all_is_quiet(
    run_fleet: RunFleet, site: Site
) -> None:
    full = ring("server-1", "DiskFull", 0)
    slow, stale = ring("database-1", "Slow", 2), ring("mes-1", "Stale", 4)
    async with run_fleet(fleet) as stage, serving(stage) as sender:
        http = sender.http
        http.headers.update(sender.bearing())
        post = await site.rings(full, slow)
        body = json.dumps(post).encode()
        hook = await http.post("/hooks/alertmanager", content=body, headers=signed(body, KEY))
        again = await http.post("/agents/alerts/events", json=post)
        forged = await http.post("/hooks/alertmanager", content=body, headers=signed(b"{}", KEY))
        assert (hook.status_code, again.status_code, forged.status_code) == (202, 200, 401)
        assert hook.json()["case"] == again.json()["case"]
        said = await stage.case(hook.json()["case"]).outcome()
        assert said.why == "2 alarms noted, of 1 causes"
        [of_cause] = [each.case for each in said.handed]
        more = await http.post("/agents/alerts/events", json=await site.rings(full, slow, stale))
        noted = await stage.case(more.json()["case"]).outcome()
        assert noted.why == "1 alarms noted, of 1 causes"
        await stage.case(of_cause).until(lambda view: len(view.receipts) == 1)
        assert await site.issues() == {"DiskFull at server-1 (warning)": "open"}
        await site.rings(over(full), over(slow), over(stale))
        outcome = await stage.case(of_cause).outcome()
    assert outcome.why == "closed: 3 alarms in 4 minutes"
    assert await site.issues() == {"DiskFull at server-1 (warning)": "closed"}
    [(root, alarms)] = filed(site.home).values()
    assert (root, alarms) == ("server-1", {each.key for each in (full, slow, stale)})


async def test_a_critical_one_is_closed_when_a_person_says_so(
    run_fleet: RunFleet, site: Site
) -> None:
    lost = ring("feeder-1", "PowerLost", 0, severity="critical")
    async with run_fleet(fleet) as stage:
        said = await (await stage.start("alerts", heard(await site.rings(lost)))).outcome()
        case = stage.case(said.handed[0].case)
        await case.until(lambda view: len(view.receipts) == 1)
        await site.rings(over(lost))
        gate = await case.gate()
        assert gate.waiting_for == ("on-call",)
        assert (await Human("ola@example.com").approve(case)).accepted
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert await site.issues() == {"PowerLost at feeder-1 (critical)": "closed"}


async def test_symptoms_that_ring_on_get_an_issue_of_their_own(
    run_fleet: RunFleet, site: Site
) -> None:
    full, starved = ring("mes-1", "CrashLoop", 0), ring("hmi-1", "Starved", 1)
    async with run_fleet(fleet) as stage:
        said = await (await stage.start("alerts", heard(await site.rings(full, starved)))).outcome()
        await stage.case(said.handed[0].case).until(lambda view: len(view.receipts) == 1)
        await site.rings(over(full))
        outcome = await stage.case(said.handed[0].case).outcome()
        [other] = outcome.handed
        await stage.case(other.case).until(lambda view: len(view.receipts) == 1)
    assert await site.issues() == {
        "CrashLoop at mes-1 (warning)": "closed",
        "outlasts at hmi-1 (warning)": "open",
    }


def heard(post: dict[str, Any]) -> Heard:
    return Heard.model_validate(post)


async def test_workers_killed_between_effect_and_receipt_lose_and_double_nothing(
    run_fleet: RunFleet, site: Site
) -> None:
    full, slow = ring("server-2", "DiskFull", 0), ring("historian-1", "Slow", 2)
    post = await site.rings(full, slow)
    cause = f"alerts:north-server-2-DiskFull-{full.starts:%Y%m%dT%H%M%S}"
    crashes = [
        Crash(boundary="write:after-effect", case=f"alerts:{heard(post).key}"),
        Crash(boundary="write:after-effect", case=cause),
    ]
    async with (
        run_fleet(fleet, workers=False) as stage,
        crashing_worker(stage, FLEET, *crashes) as worker,
    ):
        case = await stage.start("alerts", heard(post))
        for _ in crashes:
            await worker.crashed()
            await worker.restart()
        assert (await case.outcome()).status is State.DONE
        await site.rings(over(full), over(slow))
        outcome = await stage.case(cause).outcome()
        effects = [e for c in (case.id, cause) for e in await stage.ledger.effects(c)]
    assert outcome.why == "closed: 2 alarms in 2 minutes"
    assert [each.state for each in effects] == [EffectState.DONE] * 3
    assert await site.issues() == {"DiskFull at server-2 (warning)": "closed"}
    [(_, alarms)] = filed(site.home).values()
    assert alarms == {full.key, slow.key}
