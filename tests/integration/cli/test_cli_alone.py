"""The command line where something is missing, and the demo from its start to its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.integration.cli.cli_tools import (
    Project,
    child,
    environment,
    free_port,
    make_project,
    until,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    env = environment(
        HANDRAIL_TEMPORAL_PORT=free_port(), HANDRAIL_UI_PORT=free_port(), TILL_PORT=free_port()
    )
    return Project(make_project(tmp_path / "project"), env)


def test_without_a_server_it_says_how_to_start_one(project: Project) -> None:
    done = project.run("cases")
    assert done.returncode == 1
    assert "handrail dev" in done.stderr
    assert done.stdout == ""


def test_a_port_in_use_is_named_with_its_setting(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(project.env["HANDRAIL_TEMPORAL_PORT"])))
        taken.listen()
        done = project.run("dev")
        doctor = project.json("doctor", code=1)
    assert done.returncode == 2
    assert "HANDRAIL_TEMPORAL_PORT" in done.stderr
    port = next(f for f in doctor["findings"] if f["name"] == "temporal port")
    assert "HANDRAIL_TEMPORAL_PORT" in port["fix"]


def test_outside_of_a_project_it_says_what_is_missing(tmp_path: Path) -> None:
    empty = Project(tmp_path, environment())
    for command, code in (("check", 1), ("worker", 2), ("demo", 2)):
        done = empty.run(command)
        assert done.returncode == code
        assert "no workers/fleet.py in" in done.stderr


def test_check_names_the_line_of_what_does_not_import(project: Project) -> None:
    steps = project.directory / "paying.py"
    good = steps.read_text()
    steps.write_text(good.replace("tell(paid: str) -> None", "tell(paid: str)"))
    done = project.run("check")
    line = next(n for n, text in enumerate(good.splitlines(), 1) if text == "@notify")
    assert done.returncode == 1
    assert f"paying.py:{line}" in done.stderr
    assert "declare what it returns" in done.stderr

    steps.write_text(good.replace("class Pay(Action):", "class Pay(Action:"))
    assert "paying.py:" in project.run("check").stderr


def test_check_says_every_fault_of_a_policy_with_its_line_and_fix(project: Project) -> None:
    policy = project.directory / "pay.yaml"
    text = policy.read_text().replace("action.amount > 200", "action.amuont > 200")
    policy.write_text(text.replace("owner:", "onwer:"))
    done = project.run("check")
    assert done.returncode == 1
    assert "pay.yaml:3" in done.stdout
    assert "amuont" in done.stdout
    assert done.stdout.count("fix:") >= 2
    worker = project.run("worker")
    assert worker.returncode == 2
    assert "amuont" in worker.stderr


def test_check_says_what_is_worth_reading_and_no_fault(project: Project) -> None:
    policy = project.directory / "pay.yaml"
    limit = "{people: [cy@example.com], up to: 'case.key != \"big\"',"
    policy.write_text(policy.read_text().replace("{people: [cy@example.com],", limit))
    (agent,) = project.json("check")["agents"]
    assert agent["faults"] == []
    assert any("chief is the last to be asked" in note for note in agent["notes"])
    assert "anything else nobody may approve" in " ".join(project.run("check").stdout.split())


def test_the_demo_runs_once_and_goes_on_where_it_was(project: Project) -> None:
    first = project.run("demo", "--once", "--json")
    assert first.returncode == 4, first
    found = json.loads(first.stdout)
    assert sorted(row["state"] for row in found["cases"]) == [
        "done", "done", "refused", "waiting", "waiting",
    ]  # fmt: skip
    assert found["report"] == [["paid at the till", "2"], ["cases", "5"]]
    assert found["links"]["waiting"].endswith("/workflows?query=HandrailState%3D%22waiting%22")

    with project.process("demo", COLUMNS=300) as demo:
        until(lambda: "questions wait for you" in project.said("demo"))
        said = project.said("demo")
        waiting = found["waiting"]
        for each in waiting:
            assert f"reject {each['gate']} --by ana@example.com --digest" in said
        for part in ("handrail worker", "till.py", "start-dev"):
            before = until(lambda what=part: child(demo.pid, what))
            os.kill(before.pid, signal.SIGKILL)
        yes, no = (each["gate"] for each in waiting)
        by = ("--by", "bo@example.com")
        until(lambda: project.run("approve", yes, *by).returncode == 0)
        until(lambda: project.run("reject", no, *by, "--why", "no").returncode == 0)
        until(lambda: "5 cases: 3 done, 1 refused, 1 rejected; 3 receipts" in project.said("demo"))
        until(lambda: "paid at the till  3" in project.said("demo"))
        # Before the answers, after them, and between them where the shell is slow.
        assert project.said("demo").count("What came out") in {2, 3}
        began = time.monotonic()
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=20) == 0
        assert time.monotonic() - began < 10
    calls = (project.directory / ".handrail" / "till.txt").read_text().splitlines()
    assert len(calls) == len(set(calls)) == 3


def test_a_demo_whose_worker_cannot_start_says_why(project: Project) -> None:
    done = project.run("demo", "--once", HANDRAIL_LEDGER_URL="sqlite:////proc/no/ledger.db")
    assert done.returncode == 1
    assert "the worker ended at its start" in done.stderr
    assert "/proc/no" in done.stderr
