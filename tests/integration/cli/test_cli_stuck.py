"""A case in which something fails again and again says so: which step, since when, and why."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from handrail.cli import case_list, cases, doctor
from handrail.cli.output import Output
from handrail.exceptions import InvalidRequest
from handrail.oversight import Trust
from handrail.testing import Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import odd
from tests.agents.odd_steps import Odd

pytestmark = pytest.mark.integration

NOW = timedelta(0)
ERROR = "OutsideError: 502 Bad Gateway"


@pytest.fixture(autouse=True)
def no_log() -> Generator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
async def stage(
    run_fleet: RunFleet, tmp_path: Path, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Stage]:
    outside.break_down("shaky", times=10_000, says="502 Bad Gateway")
    trust = Trust(proof="unproven", inbox="https://inbox.example.com")
    async with run_fleet(odd(tmp_path, stuck={"after": "2s"}), trust=trust) as stage:
        monkeypatch.setenv("TEMPORAL_ADDRESS", stage.client.service_client.config.target_host)
        monkeypatch.setenv("TEMPORAL_NAMESPACE", stage.client.namespace)
        monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HANDRAIL_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
        monkeypatch.setenv("HANDRAIL_PAYLOAD_DIR", str(tmp_path / "payloads"))
        yield stage


def ruin(directory: Path) -> None:
    for each in directory.glob("ledger.db*"):
        each.write_bytes(b"this is no database" * 1_000)


async def listed(capsys: pytest.CaptureFixture[str], **more: Any) -> dict[str, dict[str, Any]]:
    await case_list.cases(stuck=True, out=Output(json=True), **more)
    found = json.loads(capsys.readouterr().out)["cases"]
    return {case["case"]: case["failing"][0] for case in found}


async def shown(capsys: pytest.CaptureFixture[str], case: str) -> str:
    await cases.show(case, out=Output())
    said = capsys.readouterr()
    return " ".join((said.out + said.err).split())


async def test_what_goes_on_failing_is_stuck_and_said_everywhere(
    stage: Stage, outside: Outside, capsys: pytest.CaptureFixture[str]
) -> None:
    await stage.start("odd", Odd(number="good", step="none"))
    case = await stage.start("odd", Odd(number="1", step="shaky", what="x"))

    async def incidents() -> list[Any]:
        return await stage.ledger.incidents("odd")

    [incident] = await eventually(incidents)
    assert (incident.kind, incident.step, incident.case) == ("stuck", "shaky", case.id)
    assert "shaky has failed" in incident.what
    assert "502 Bad Gateway" in incident.what
    found = await listed(capsys)
    assert list(found) == [case.id]
    assert found[case.id]["step"] == "shaky"
    assert found[case.id]["attempt"] >= 3
    assert found[case.id]["error"] == ERROR
    assert await listed(capsys, lasting=timedelta(hours=1)) == {}
    assert list(await listed(capsys, lasting=NOW)) == [case.id]
    await case_list.cases(stuck=True, out=Output())
    assert "502" in capsys.readouterr().out
    assert f"last error: {ERROR}" in await shown(capsys, case.id)
    told = [each.id async for each in stage.client.list_workflows("WorkflowType = 'Owner'")]
    assert told == [f"messages:owner/odd/incident/{incident.id}"]
    outside.mend("shaky")
    await case.outcome()
    assert await listed(capsys) == {}
    assert len(await incidents()) == 1


async def test_a_policy_that_is_broken_is_said_as_the_reason(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "odd.yaml").write_text("agent: odd\nvershun: 1\n", encoding="utf-8")
    case = await stage.start("odd", Odd(number="1", step="make", what="x"))

    async def failing() -> dict[str, Any] | None:
        return (await listed(capsys, lasting=NOW)).get(case.id)

    found = await eventually(failing)
    assert found["step"] == "choose"
    assert "vershun is not a key of a policy" in found["error"]


async def test_a_ledger_that_is_away_is_said_as_the_reason_and_the_owner_told(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ruin(tmp_path)
    case = await stage.fleet.start(stage.client, "odd", Odd(number="1", step="make", what="x"))

    async def told() -> list[str]:
        query = "WorkflowType = 'Owner'"
        return [each.id async for each in stage.client.list_workflows(query)]

    assert await eventually(told)
    found = (await listed(capsys, lasting=NOW))[case.case]
    assert found["step"] == "choose"
    assert found["error"].startswith("LedgerUnavailable: ")


async def test_code_that_cannot_go_on_is_told_apart_from_a_worker_that_is_not_there(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    case = await stage.start("odd", Odd(number="1", step="wedge", what="it was another code"))

    async def failing() -> dict[str, Any] | None:
        return (await listed(capsys)).get(case.id)

    found = await eventually(failing)
    assert found["step"] == "workflow task"
    assert "it was another code" in found["error"]
    said = await shown(capsys, case.id)
    assert "its code cannot go on, and answers nothing" in said
    assert "no worker answers" not in said
    await case.handle.terminate()


async def test_how_long_needs_stuck() -> None:
    with pytest.raises(InvalidRequest, match="give --stuck too"):
        await case_list.cases(lasting=NOW)


async def test_doctor_counts_them(stage: Stage, tmp_path: Path) -> None:
    await stage.start("odd", Odd(number="1", step="shaky", what="x"))

    async def fails() -> bool:
        found = await doctor.stuck_diagnosed(stage.client, stage.fleet)
        return found.ok is False and found.what.startswith("1: odd:1 (shaky, attempt ")

    assert await eventually(fails)
