"""The inspection agent against the lines' controller, and maintenance, whom it gives work."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from activities.inspection import Part
from activities.inspection_sight import learn as learn_defects
from activities.inspection_systems import disconnect, lines_url
from activities.maintenance import windows
from activities.maintenance_risk import HOURS
from activities.maintenance_risk import learn as learn_wear
from benchmarks.agents.inspection import generated
from benchmarks.agents.maintenance import lives_of
from handrail import State
from handrail.client import Operator
from handrail.testing import Crash, Human, crashing_worker
from handrail.testing.fixtures import RunFleet
from tests.integration.application.plant_systems import plant_at_work
from tests.integration.application.systems import started
from workers.fleets.inspection import fleet
from world.inspection.service import Lines
from world.maintenance.plant import played

pytestmark = pytest.mark.integration

INA = Human("ina@example.com")
FLEET = "workers.fleets.inspection:fleet"
AT = datetime(2026, 1, 15, tzinfo=UTC)
LINE, LAST = 2, 10


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Lines]:
    """All systems; a line whose first nine parts did not pass, and models of little learning."""
    with ExitStack() as stack:
        plant_at_work(stack, tmp_path, monkeypatch)
        db = tmp_path / "lines.db"
        url = started(stack, "inspection.service", "--db", str(db), "--port", "0")
        monkeypatch.setenv("INSPECTION_LINES_URL", url)
        monkeypatch.setenv("INSPECTION_MODEL", str(tmp_path / "sight"))
        learn_defects((b.found, b.boxes) for b in generated(1, 40)).save(tmp_path / "sight")
        learn_wear(lives_of(played(1, 8, 1500)), HOURS).save(tmp_path / "model")
        lines = Lines(db, 7)
        for serial in range(1, LAST + 1):
            lines.make(LINE)
            if serial < LAST:
                lines.judge(f"before-{serial}", LINE, serial, "stop")
        yield lines


async def test_killed_at_verdict_stop_and_hand_off_each_has_happened_once(
    run_fleet: RunFleet, lines: Lines
) -> None:
    kills = [Crash(boundary="write:after-effect", arrival=n) for n in (1, 2)]
    kills.append(Crash(boundary="hand-off:started"))
    async with run_fleet(fleet, workers=False) as stage:
        case = await stage.start("inspection", Part(line=LINE, serial=LAST, at=AT))
        for number, crash in enumerate(kills[:2]):
            async with crashing_worker(stage, FLEET, crash, name=f"w{number}") as worker:
                await worker.crashed()
        async with crashing_worker(stage, FLEET, kills[2], name="w2") as worker:
            seen = await case.gate()
            assert (seen.kind, seen.step) == ("in_doubt", "stop_line")
            assert (await INA.answer(case, "happened", seen, result="1")).accepted
            await worker.crashed()
        async with crashing_worker(stage, FLEET, name="last"):
            [handed] = (await case.until(lambda view: view.handed)).handed
            order = await stage.case(handed.case).outcome()
            outcome = await case.outcome()
            chain = await Operator(stage.client, stage.ledger).chain(case.id)
            [window] = await windows()
    await disconnect()
    assert (outcome.status, order.status) == (State.DONE, State.DONE)
    assert [link.agent for link in chain.cases] == ["inspection", "maintenance"]
    assert (window.machine, window.part) == (11, "inspection")
    assert len(lines.verdicts(LINE, LAST)) == 1
    assert len(lines.state(LINE)["stops"]) == 1


async def test_a_verdict_is_taken_once_under_its_key_and_a_stop_each_time(lines: Lines) -> None:
    url = f"/lines/{LINE}"
    async with httpx2.AsyncClient(base_url=lines_url()) as client:
        said = [
            (await client.put(f"{url}/parts/10/verdict", json={"verdict": v}, headers=headers(k)))
            for v, k in (("hold", "a"), ("hold", "a"), ("pass", "a"), ("pass", "b"), ("stop", "c"))
        ]
        stops = [await client.post(f"{url}/stop", json={"serial": 9, "reason": "x"}) for _ in "12"]
        made = await client.post(f"{url}/parts")
    assert [answer.status_code for answer in said] == [201, 200, 409, 201, 409]
    assert [each["verdict"] for each in lines.verdicts(LINE, 10)] == ["hold", "pass"]
    assert [answer.json()["id"] for answer in stops] == [1, 2]
    assert made.status_code == 409


def headers(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}
