"""`handrail stop`, `lift`, `stops` and `autonomy`, as real processes on a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handrail.runtime import EmbeddedServer
from tests.integration.cli.cli_tools import Project, at_work, free_port, until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

OP, BOSS = "op@example.com", "boss@example.com"


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, handrail_server: EmbeddedServer
) -> Iterator[Project]:
    with at_work(tmp_path_factory.mktemp("stop") / "project", handrail_server) as working:
        yield working


def begin(project: Project, key: str, amount: int = 5) -> None:
    event = json.dumps({"id": key, "amount": str(amount), "text": "it is due"})
    assert project.run("start", "pay", event).returncode == 0


def state(project: Project, key: str) -> str:
    found = project.json("cases")["cases"]
    return next(case["state"] for case in found if case["case"] == f"pay:{key}")


@pytest.mark.parametrize("what", ["fleet", "pay", "pay/pay"])
def test_what_is_stopped_writes_nothing_until_it_is_lifted(project: Project, what: str) -> None:
    key = f"stopped-{what.replace('/', '-')}"
    stopped = project.json("stop", what, "--by", OP, "--why", "it went mad")
    assert stopped["in_force"] is True
    begin(project, key)
    until(lambda: state(project, key) == "paused")
    listed = project.json("stops")["stops"]
    assert [(s["id"], s["by"], s["why"]) for s in listed] == [
        (stopped["stops"][0]["id"], OP, "it went mad")
    ]
    assert "it went mad" in project.run("stops").stdout
    refused = project.run("lift", what, "--by", OP)
    assert (refused.returncode, "may not turn" in refused.stderr) == (3, True)
    assert project.paid(key) == 0
    lifted = project.json("lift", listed[0]["id"][:12], "--by", BOSS, "--why", "mended")
    assert lifted["lifted"][0]["stand"] == "done"
    until(lambda: state(project, key) == "done")
    assert project.paid(key) == 1
    assert project.json("stops")["stops"] == []
    assert project.run("lift", what, "--by", BOSS).returncode == 2
    assert project.json("stops", "--all")["stops"][-1]["lifted_by"] == BOSS


def test_a_level_goes_down_by_anybody_and_up_by_the_owner(project: Project) -> None:
    down = project.json("autonomy", "pay", "pay", "supervised", "--by", OP, "--why", "odd")
    assert (down["stand"], down["what"]) == ("in force", "supervised for pay/pay")
    project.start("held", 5, code=4)
    up = project.run("autonomy", "pay/pay", "full", "--rollout", "50%", "--by", OP)
    assert (up.returncode, f"it takes somebody who may: {BOSS}" in up.stderr) == (3, True)
    shown = project.json("autonomy", "pay")["agents"][0]["picture"]["steps"]
    pay = next(step for step in shown if step["step"] == "pay")
    assert (pay["level"], OP in pay["label"]) == ("supervised", True)
    raised = project.json("autonomy", "pay", "pay", "full", "--rollout", "12.5%", "--by", BOSS)
    assert (raised["stand"], raised["what"]) == ("in force", "full 12.5% for pay/pay")
    said = project.run("autonomy", "pay")
    assert "full 12.5%, set by boss@example.com" in said.stdout
    assert "refused" in said.stdout
    assert project.json("lift", "pay/pay", "--by", BOSS)["lifted"][0]["stand"] == "done"
    project.json("autonomy", "pay", "pay", "pilot", "--by", BOSS)
    assert project.start("piloted", 5)["state"] == "piloted"
    assert project.json("lift", "pay/pay", "--by", BOSS)["lifted"][0]["stand"] == "done"
    until(lambda: "by the policy file" in project.run("autonomy", "pay", "pay").stdout)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("stop",), "requires an argument"),
        (("stop", ":x"), "write fleet, an agent"),
        (("lift", "nobody", "--by", BOSS), "nothing is in force for nobody"),
        (("autonomy", "pay", "pay", "much", "--by", BOSS), "is no level; there are: stop, pilot"),
        (("autonomy", "pay", "full"), "say who sets it"),
        (("autonomy", "pay", "pilot", "--rollout", "5%", "--by", BOSS), "only `full`"),
        (("autonomy", "pay", "full", "--rollout", "125%", "--by", BOSS), "such as 25%"),
        (("autonomy", "--rollout", "5%"), "goes with the level full"),
        (("autonomy", "--second", "abc", "--by", BOSS), "is no order that waits"),
        (("autonomy", "--second", "abc"), "--by"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(
    project: Project, command: tuple[str, ...], said: str
) -> None:
    done = project.run(*command)
    assert (done.returncode, said in done.stderr) == (2, True), done


def test_a_case_is_stopped_at_the_door_and_ended(project: Project) -> None:
    project.start("ended", 500, code=4)
    found = project.json("stop", "pay:ended", "--by", OP, "--wait")
    assert (found["cases"][0]["state"], found["stops"]) == ("stopped", [])
    assert project.json("stops")["stops"] == []
    assert project.json("stops", "--cases")["stops"] == []
    (over,) = [s for s in _all_stops(project) if s["case"] == "pay:ended"]
    assert (over["lifted"], over["case_ended"]) == (None, True)
    before = len(_all_stops(project))
    nowhere = project.json("stop", "pay:nowhere", code=1)
    assert "no case pay:nowhere" in nowhere["cases"][0]["error"]
    assert len([s for s in _all_stops(project) if s["lifted"] is None]) == 1
    assert len(_all_stops(project)) == before + 1


def _all_stops(project: Project) -> list[dict[str, Any]]:
    return project.json("stops", "--cases", "--all")["stops"]


def test_without_a_ledger_cases_are_ordered_about_all_the_same(project: Project) -> None:
    project.start("dark", 500, code=4)
    away: dict[str, Any] = {"HANDRAIL_LEDGER_URL": "postgresql+psycopg://x:y@127.0.0.1:1/z"}
    for order, state in (("pause", "paused"), ("resume", "waiting"), ("roll-back", "rolled back")):
        done = project.run(order, "pay:dark", "--by", OP, "--wait", **away)
        assert (done.returncode, done.stdout) == (0, f"pay:dark is {state}\n"), done
        assert "cannot be used" in done.stderr
    assert project.run("show", "pay:dark", "--chain", **away).returncode == 0
    looked = project.run("workers", **away).stderr
    assert (looked.count("cannot be used"), "there is no ledger here" in looked) == (1, False)


def test_without_a_server_a_stop_is_in_force_all_the_same(project: Project, tmp_path: Path) -> None:
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    nowhere = f"127.0.0.1:{free_port()}"
    away: dict[str, Any] = {"TEMPORAL_ADDRESS": nowhere, "HANDRAIL_LEDGER_URL": ledger}
    nothing = project.run("stop", "pay", **away)
    assert nothing.returncode == 1
    assert "handrail dev" in nothing.stderr
    assert project.run("stops", **away).returncode == 2
    made = "import asyncio, sys, handrail\nasync def make():\n async with handrail.Ledger(sys.argv[1]): pass\nasyncio.run(make())"  # noqa: E501
    subprocess.run([sys.executable, "-c", made, ledger], check=True)
    done = project.run("stop", "pay", "--why", "now", **away)
    assert (done.returncode, "the server was not told" in done.stderr) == (0, True), done
    assert "stopped pay: no write of it begins any more" in done.stdout
    assert "now" in project.run("stops", **away).stdout


def test_a_build_that_no_worker_runs_is_not_rolled_out(project: Project) -> None:
    assert project.json("rollout") == {"version": 1, "deployments": [], "lacking": []}
    refused = project.run("rollout", "b2", "--to", "10%", "--by", BOSS)
    assert (refused.returncode, "TEMPORAL_WORKER_BUILD_ID=b2" in refused.stderr) == (2, True)
