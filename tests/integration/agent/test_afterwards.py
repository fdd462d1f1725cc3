"""What comes after a write, on the real server: read back, looked at, counted, rolled back."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import Agent, Fleet, State
from handrail.agent import PROBLEM_ATTRIBUTE, RISK_ATTRIBUTE
from handrail.cli.app import run
from handrail.client import stewards
from handrail.evidence import measure_report
from handrail.runtime import rebuild_records
from handrail.testing import CaseHandle, Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents import deposits_flow, deposits_steps
from tests.agents.deposits_steps import BANK, Tenancy

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("outside")]

ANA = "ana@example.com"


def deposits(directory: Path, stuck: str = "10m", **action: Any) -> Fleet:
    """The agent under a policy of its own."""
    policy = {
        "agent": "deposits",
        "version": 1,
        "owner": "boss@example.com",
        "stuck": {"after": stuck},
        "actions": {"pay_back": {"autonomy": "full", "review": "100%"} | action},
        "roles": {"lead": {"people": [ANA], "deadline": {"after": "8h", "then": "refuse"}}},
    }
    path = directory / "deposits.yaml"
    path.write_text(json.dumps(policy), encoding="utf-8")
    flow, steps = deposits_flow.DepositAgent, deposits_steps
    return Fleet(Agent("deposits", flow, steps=steps, policy=path))


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """What runs `handrail` beside a stage, as JSON."""

    async def do(stage: Stage, *args: str) -> Any:
        config = stage.client.service_client.config
        monkeypatch.setenv("TEMPORAL_ADDRESS", config.target_host)
        monkeypatch.setenv("TEMPORAL_NAMESPACE", stage.client.namespace)
        monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))
        monkeypatch.setenv("HANDRAIL_LEDGER_URL", f"sqlite:///{stage.directory}/ledger.db")
        capsys.readouterr()
        assert await asyncio.to_thread(run, [*args, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return do


async def looked(stage: Stage) -> bool:
    """Whether the agent's steward has looked at its levels."""
    book = await stewards.steward_book(stage.client, "deposits")
    return book is not None and book.picture is not None


async def ended(stage: Stage, number: str) -> tuple[CaseHandle, Any]:
    case = await stage.start("deposits", Tenancy(number=number), requested_by="bo@example.com")
    return case, await case.outcome()


async def test_a_mismatch_is_an_incident_of_the_case_and_the_case_goes_on(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, command: Any
) -> None:
    async with run_fleet(deposits(tmp_path)) as stage:
        _, right = await ended(stage, "1")
        case, odd = await ended(stage, "ODD-1")
        found = (await case.handle.describe()).typed_search_attributes
        shown = await command(stage, "show", case.id)
        listed = await command(stage, "incidents", "--agent", "deposits", "--open")
        key = listed["incidents"][0]["id"]
        closed = await command(stage, "incidents", "close", key, "--by", ANA, "--why", "claimed")
    assert (right.status, right.incidents) == (State.DONE, ())
    assert (found.get(PROBLEM_ATTRIBUTE), found.get(RISK_ATTRIBUTE)) == ("incident", None)
    assert odd.status is State.DONE
    assert len(odd.incidents) == 1
    assert "the bank booked 5000" in odd.incidents[0]
    assert [each["what"] for each in shown["incidents"]] == ["the bank booked 5000"]
    assert [each["case"] for each in listed["incidents"]] == ["deposits:ODD-1"]
    assert closed["closed_by"] == ANA
    assert outside.effects("claim") == []


async def test_a_mismatch_rolls_the_case_back_where_the_policy_says_so(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(deposits(tmp_path, mismatch="roll back")) as stage:
        case, outcome = await ended(stage, "ODD-1")
        tally = await stage.ledger.tally("deposits", "pay_back")
        incidents = await stage.ledger.incidents(case=case.id)
    assert outcome.status is State.ROLLED_BACK
    assert outside.effects(BANK) == ["deposits:ODD-1/pay_back/1"]
    assert outside.effects("claim") == ["deposits:ODD-1/pay_back/1/undo"]
    assert (tally.written, tally.rolled_back) == (1, 1)
    assert [each.kind for each in incidents] == ["mismatch"]


async def test_a_bank_that_is_away_afterwards_is_waited_for_and_nothing_is_paid_twice(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    """Away for longer than the tries of one attempt: the next attempt finds the receipt."""
    outside.break_down("find", times=7, says="the bank is away")
    async with run_fleet(deposits(tmp_path)) as stage:
        case, outcome = await ended(stage, "1")
        incidents = await stage.ledger.incidents(case=case.id)
    assert (outcome.status, outcome.incidents, incidents) == (State.DONE, (), [])
    assert outside.effects(BANK) == ["deposits:1/pay_back/1"]


async def test_a_bank_that_stays_away_is_an_incident_that_rolls_nothing_back(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("find", times=1_000, says="the bank is away")
    async with run_fleet(deposits(tmp_path, "1s", mismatch="roll back")) as stage:
        case, outcome = await ended(stage, "1")
        incidents = await stage.ledger.incidents(case=case.id)
    assert outcome.status is State.DONE
    assert outcome.incidents == ("could not be read back within 0:00:01: the bank is away",)
    assert [each.kind for each in incidents] == ["unread"]
    assert outside.effects(BANK) == ["deposits:1/pay_back/1"]
    assert outside.effects("claim") == []


async def test_what_ran_alone_is_looked_at_and_counts(
    run_fleet: RunFleet, tmp_path: Path, command: Any
) -> None:
    async with run_fleet(deposits(tmp_path)) as stage:
        await command(stage, "keys", "new", "--person", ANA, "--trust")
        for number in ("1", "ODD-2", "3"):
            await ended(stage, number)
        waiting = await command(stage, "review")
        keys = [each["key"] for each in waiting["reviews"]]
        shown = await command(stage, "review", "show", keys[1])
        by = ("--by", ANA)
        await command(stage, "review", "answer", keys[0], "right", *by)
        told = await command(
            stage, "review", "answer", keys[1], "wrong", *by, "--why", "ten times as much"
        )
        await stewards.ensure_stewards(stage.client, ["deposits"])
        await eventually(lambda: looked(stage), what="a look of the steward")
        (agent,) = (await command(stage, "autonomy", "deposits", "pay_back"))["agents"]
    assert keys == [f"deposits:{number}/pay_back/1" for number in ("1", "ODD-2", "3")]
    assert shown["action"] == {"tenancy": "ODD-2", "amount": "500"}
    assert shown["rationale"] == "Nothing was damaged."
    assert shown["receipt"]["key"] == keys[1]
    assert shown["incidents"] == ["the bank booked 5000"]
    assert "roll-back" in told["roll_back"]
    (found,) = agent["figures"]
    counted = {name: found[name] for name in ("written", "alone", "reviewed", "waiting", "settled")}
    assert counted == {"written": 3, "alone": 3, "reviewed": 2, "waiting": 1, "settled": 2}
    assert (found["found_wrong"], found["wrong"]["guess"], found["incidents"]) == (1, 0.5, 1)


async def no_task(stage: Stage) -> None:
    """Neither of them is a task in any figure, also made again from their histories."""

    async def kept() -> Any:
        found = await stage.ledger.case_records(["deposits:1", "deposits:2"])
        whole = [row.case for row in found.values() if row.case.ended]
        return whole if len(whole) == len(found) == 2 else None

    assert [(row.pilot, bool(row.policy)) for row in await eventually(kept)] == [(True, True)] * 2
    until = datetime.now(UTC) + timedelta(minutes=1)
    report = await measure_report(stage.ledger, "deposits", until - timedelta(days=1), until)
    assert (report.tasks, report.left_out["pilot"]) == (0, 2)
    plugin = stage.fleet.plugin(stage.directory / "payloads")
    again = await rebuild_records(
        stage.fleet.agent("deposits"), stage.client, stage.ledger, plugin, check=True
    )
    assert again.differences == []


async def test_in_pilot_nothing_is_written_and_what_it_proposed_is_listed(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, command: Any
) -> None:
    async with run_fleet(deposits(tmp_path, autonomy="pilot")) as stage:
        _, outcome = await ended(stage, "1")
        found = await command(stage, "pilot", "deposits")
        assert await stage.ledger.reviews() == []
        idle = await stage.start("deposits", Tenancy(number="2", deposit=Decimal(0)))
        assert (await idle.outcome()).status is State.DONE
        await no_task(stage)
    assert outcome.status is State.PILOTED
    assert outside.effects(BANK) == []
    (proposal,) = found["proposals"]
    assert (proposal["case"], proposal["verdict"]) == ("deposits:1", "pass")
    assert proposal["action"] == {"tenancy": "1", "amount": "500"}
    assert proposal["requester"] == "bo@example.com"
