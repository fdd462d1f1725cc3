"""One case that cannot be read, or that Temporal's own Pause holds, hides no other on the CLI."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import State
from handrail.cli import case_list, cases, inbox, rulings, stop
from handrail.cli.context import Waiting
from handrail.cli.output import Output
from handrail.testing import Outside, Stage
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order
from tests.agents.poison import (
    MEMOS,
    ODD_ATTRIBUTES,
    forge,
    lost_claim,
    pause_in_temporal,
    unpause_in_temporal,
    until_listed,
)

pytestmark = pytest.mark.integration

TEN = 10
WAIT = Waiting(wait=True)


class Shell:
    """Commands in this process, and what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    async def json(self, command: Callable[..., Awaitable[Any]], *args: Any, **more: Any) -> Any:
        code = await command(*args, out=Output(json=True), **more)
        printed = json.loads(self._capsys.readouterr().out, parse_constant=_refused)
        return printed | {"code": code or 0}

    async def text(self, command: Callable[..., Awaitable[Any]], *args: Any, **more: Any) -> str:
        await command(*args, out=Output(), **more)
        said = self._capsys.readouterr()
        return " ".join((said.out + said.err).split())


def _refused(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


@pytest.fixture
async def stage(
    run_fleet: RunFleet, tmp_path: Path, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Stage]:
    """Ten cases that ask, and the environment of somebody who looks at them."""
    async with run_fleet(orders(tmp_path)) as stage:
        monkeypatch.setenv("TEMPORAL_ADDRESS", stage.client.service_client.config.target_host)
        monkeypatch.setenv("TEMPORAL_NAMESPACE", stage.client.namespace)
        monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HANDRAIL_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
        monkeypatch.setenv("HANDRAIL_PAYLOAD_DIR", str(tmp_path / "payloads"))
        asked = [
            await stage.start("orders", Order(number=str(n), amount=Decimal(300)))
            for n in range(TEN)
        ]
        for case in asked:
            await case.gate()
        yield stage


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


GOOD = {f"orders:{n}" for n in range(TEN)}


async def test_cases_that_cannot_be_read_are_named_and_hide_nothing(
    stage: Stage, shell: Shell
) -> None:
    lost = await lost_claim(stage.client, stage.directory / "payloads")
    forged = {f"bad memo {what}": memo for what, memo in ({**MEMOS, "lost claim": lost}).items()}
    for case, memo in forged.items():
        await forge(stage.client, case, memo)
    odd = {f"bad attribute {what}": said for what, said in ODD_ATTRIBUTES.items()}
    for case, said in odd.items():
        await forge(stage.client, case, attributes=said)
    await until_listed(stage.client, TEN + len(forged) + len(odd))

    found = await shell.json(inbox.inbox, limit=1_000)
    assert {gate["case"] for gate in found["gates"]} == GOOD
    assert {each["case"] for each in found["unreadable"]} == {*forged, *odd}
    said = await shell.text(inbox.inbox, limit=1_000)
    for case in (*forged, *odd):
        assert f"{case}: cannot be read: " in said, case
    for case in GOOD:
        assert f"{case} May this be done?" in said

    listed = await shell.json(case_list.cases, limit=1_000)
    assert {each["case"] for each in listed["cases"]} == GOOD | set(forged) | set(odd)
    assert len((await shell.json(case_list.cases, limit=3))["cases"]) == 3
    shown = await shell.json(cases.show, "bad memo deep")
    assert "cannot be read" in str(shown["lacking"])


async def test_a_case_that_temporal_itself_pauses_is_shown_as_that_and_hides_nothing(
    stage: Stage, shell: Shell, outside: Outside
) -> None:
    paused = stage.case("orders:3")
    gate = await paused.gate()
    await pause_in_temporal(stage.client, paused.id)

    listed = await shell.json(case_list.cases)
    states = {each["case"]: each["state"] for each in listed["cases"]}
    assert states == dict.fromkeys(GOOD, "waiting") | {paused.id: "paused (by Temporal)"}
    assert f"{paused.id} paused (by Temporal)" in await shell.text(case_list.cases)
    only = await shell.json(case_list.cases, state="paused (by Temporal)")
    assert [each["case"] for each in only["cases"]] == [paused.id]

    found = await shell.json(inbox.inbox)
    assert {each["case"] for each in found["gates"]} == GOOD
    assert found["paused"] == [paused.id]
    assert (await shell.text(inbox.inbox)).count("paused (by Temporal)") == 1

    shown = await shell.json(cases.show, paused.id)
    assert (shown["state"], len(shown["gates"])) == ("paused (by Temporal)", 1)
    assert "ann@ui" in str(shown["lacking"])
    assert "look at it" in str(shown["lacking"])
    assert "state paused (by Temporal): paused in Temporal by ann@ui" in await shell.text(
        cases.show, paused.id
    )

    # What must go on first needs somebody to unpause it; what waits for that is kept.
    resumed = await shell.json(cases.resume, (paused.id,), by="bo@example.com")
    assert resumed["code"] == 1
    assert "unpause orders:3 first" in resumed["cases"][0]["error"]
    held = await shell.json(cases.pause, (paused.id,), by="bo@example.com")
    assert held["code"] == 0
    await shell.json(cases.resume, (paused.id, "orders:4"), by="bo@example.com")
    ruled = await shell.json(rulings.approve, gate.gate, by="ana@example.com")
    assert (ruled["accepted"], ruled["code"]) == (None, 0)
    assert "unpauses it" in ruled["note"]
    waits = await shell.json(cases.roll_back, (paused.id,), by="bo@example.com", waiting=WAIT)
    assert waits["code"] == 1
    assert "unpause orders:3 first" in waits["cases"][0]["error"]
    await unpause_in_temporal(stage.client, paused.id)
    assert (await paused.outcome()).status in {State.ROLLED_BACK, State.DONE}


async def test_a_stop_reaches_a_case_that_temporal_itself_pauses(
    stage: Stage, shell: Shell, outside: Outside
) -> None:
    paused = stage.case("orders:3")
    await pause_in_temporal(stage.client, paused.id)
    told = await shell.json(stop.stop, (paused.id,), by="bo@example.com", why="enough")
    assert (told["code"], told["in_force"]) == (0, True)
    assert "unpause orders:3 first" in told["cases"][0]["note"]
    assert [e["case"] for e in (await shell.json(stop.stops, cases=True))["stops"]] == [paused.id]
    await unpause_in_temporal(stage.client, paused.id)
    assert (await paused.outcome()).status is State.STOPPED
    assert (await shell.json(stop.stops, cases=True))["stops"] == []
    (over,) = (await shell.json(stop.stops, all_=True, cases=True))["stops"]
    assert (over["lifted"], over["case_ended"]) == (None, True)
    assert outside.effects("pay") == []
