"""The onboarding agent against the real server and a real Tryton, whose worker dies at a write."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import pytest

from activities.onboarding import Application, party_of
from activities.onboarding_match import Person
from activities.tryton import disconnect
from handrail import State
from handrail.testing import Crash, CrashingWorker, Human, Stage, crashing_worker
from handrail.testing.fixtures import RunFleet
from workers import tryton
from workers.fleets.onboarding import fleet

pytestmark = pytest.mark.integration

ANA = Human("ana@example.com")
FLEET = "workers.fleets.onboarding:fleet"
KEY = "for-tests-of-onboarding"


def person(number: int, **other: str) -> Person:
    usual = {
        "given_name": f"given{number}",
        "surname": f"surname{number}",
        "street_number": str(number),
        "address_1": f"street of {number}",
        "suburb": "dapto",
        "postcode": f"{4000 + number}",
        "date_of_birth": f"19{number:02}0428",
        "soc_sec_id": f"{number:02}08881",
    }
    return Person(**(usual | other))


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    directory: Path = tmp_path_factory.mktemp("tryton")
    argv = [sys.executable, "-m", "world.tryton.service", "--dir", str(directory), "--port", "0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRYTON_KEY", KEY)
        errors = (directory / "errors").open("w")
        server = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert server.stdout is not None
    yield server.stdout.readline().split()[-1]
    server.kill()
    server.wait()
    server.stdout.close()
    errors.close()


@pytest.fixture
async def erp(serving: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[None]:
    monkeypatch.setenv("TRYTON_URL", serving)
    monkeypatch.setenv("HANDRAIL_SECRET_TRYTON_KEY", KEY)
    yield
    await disconnect()


async def on_file(number: int) -> None:
    await tryton.call("POST", "party.party", party_of(f"C-{number}", person(number)))


async def noted(code: str) -> list[dict[str, Any]]:
    """Each party of a code, with what is noted at it."""
    return await tryton.search("party.party", [["code", "=", code]], "code", "identifiers.code")


def of(party: dict[str, Any]) -> list[str]:
    codes = [each["code"] for each in party["identifiers"]]
    return [code for code in codes if code.startswith("application:")]


@pytest.mark.usefixtures("erp")
async def test_known_new_asked_and_said_to_be_somebody_else(run_fleet: RunFleet) -> None:
    await on_file(1)
    await on_file(2)
    async with run_fleet(fleet) as stage:
        known = await stage.start("onboarding", wants(11, person(1, suburb="dabto")))
        new = await stage.start("onboarding", wants(12, person(12)))
        alike = person(2, date_of_birth="", soc_sec_id="")
        asked = await stage.start("onboarding", wants(13, alike))
        seen = await asked.gate()
        assert (seen.waiting_for, seen.evidence["customer"]) == (("customer-desk",), "C-2")
        assert (await ANA.reject(asked, why="his brother")).accepted
        ends = [(await case.outcome()).why for case in (known, new, asked)]
    assert ends == ["known: it is C-1", "new: A-12", "new: A-13"]
    [first] = await noted("C-1")
    assert of(first) == ["application:A-11"]
    assert [len(await noted(code)) for code in ("A-11", "A-12", "A-13")] == [0, 1, 1]


@pytest.mark.usefixtures("erp")
async def test_a_worker_killed_after_each_write_opens_and_notes_once(run_fleet: RunFleet) -> None:
    await on_file(3)
    crashes = [
        Crash(boundary="write:after-effect", case=f"onboarding:A-{number}") for number in (21, 22)
    ]
    async with (
        run_fleet(fleet, workers=False) as stage,
        crashing_worker(stage, FLEET, *crashes) as worker,
    ):
        for number, who in ((21, person(21)), (22, person(3))):
            outcome = await _through(stage, worker, number, who)
            assert outcome.status is State.DONE, outcome.why
    assert len(await noted("A-21")) == 1
    [third] = await noted("C-3")
    assert of(third) == ["application:A-22"]


async def _through(stage: Stage, worker: CrashingWorker, number: int, who: Person) -> Any:
    case = await stage.start("onboarding", wants(number, who))
    await worker.crashed()
    await worker.restart()
    return await case.outcome()


def wants(number: int, who: Person) -> Application:
    return Application(number=f"A-{number}", person=who)
