"""`handrail check --against` recorded histories: what a deploy means for the cases they are of."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from handrail import Action, Agent, Decision, Fleet
from handrail.agent import Decide, Step, Write
from handrail.cli import check
from handrail.cli.output import Code
from tests.agents import odd_steps, orders_steps
from tests.agents.fleets import WORKFLOWS, policy, put_policy
from tests.agents.orders_steps import Facts, Pay, Post, Ship
from tests.replay.changed_flow import LooksTwice, LooksTwiceIfNew
from tests.replay.record import HISTORIES, fleet
from tests.replay.scenes import SECRETS
from tests.replay.test_replay import RECORDED, SHORT_RUNS
from tests.unit.machine import Machine

pytestmark = pytest.mark.replay


class NewPay(Pay):
    """Pay for an order, with a word to who is paid."""

    note: str = ""


class Sized(Ship):
    """Send a parcel, of which the size must be said."""

    size: int


class Addressed(Post):
    """Post a letter, to an address."""

    to: str = "the customer"


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Machine:
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))
    return Machine(tmp_path, capsys)


@pytest.fixture
def deploys(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put another fleet in the place of the one that the settings name."""

    def put(fleet: Fleet) -> None:
        def named(_: str) -> Fleet:
            return fleet

        monkeypatch.setattr(check, "load_fleet", named)

    return put


def later(directory: Path, *without: str, workflow: Any = None, **actions: type[Action]) -> Fleet:
    """The fleet of a next release, with other classes of the `actions` of write steps."""

    made: dict[str, Any] = {}

    def changed(step: Any) -> Any:
        new: dict[str, Any] = {}
        if issubclass(type(step), Decide) and "pay" in actions:
            new_pay: Any = actions["pay"]
            new = {"returns": Decision[new_pay, Facts]}
        elif issubclass(type(step), Write):
            new = {"undo": step.undo and changed(step.undo)}
            new |= {"action": actions[step.name]} if step.name in actions else {}
        return made.setdefault(step.name, dataclasses.replace(step, **new))

    agents: list[Agent] = []
    for name in ("orders", "patient"):
        path = put_policy(directory, policy(agent=name))
        steps = [
            changed(each)
            for each in vars(orders_steps).values()
            if isinstance(each, Step) and each.name not in without
        ]
        flow = workflow if name == "orders" and workflow else WORKFLOWS[name]
        agents.append(Agent(name, flow, steps=steps, policy=path))
    return Fleet(*agents, passthrough=[odd_steps.__name__])


def folder(directory: Path, *names: str, **cut: int) -> str:
    """A folder of recorded histories. `cut`: one without what came after that event."""
    found = directory / "histories"
    found.mkdir()
    for name in (*names, *cut):
        document = json.loads((HISTORIES / f"{name}.json").read_text("utf-8"))
        if cut.get(name):
            document["events"] = document["events"][: cut[name]]
        (found / f"{name}.json").write_text(json.dumps(document), "utf-8")
    return str(found)


def test_nothing_changes_for_any_recorded_case(
    machine: Machine, deploys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    # Of the careless one `check` says other things.
    deploys(Fleet(*(each for name, each in fleet(tmp_path).agents.items() if name != "careless")))
    # Those that go on as new ran with a shorter run than there is by now.
    careless = ("a_write_that_nobody_awaited", "a_refusal_that_nobody_looked_at")
    misled = ("called_with_what", "refused_in_a_group", "written_by_a_step_of_another")
    left_out = (*SHORT_RUNS, *careless, *misled)
    names = [path.stem for path in RECORDED if not path.stem.startswith(left_out)]
    given = folder(tmp_path, *names)
    found = machine.json("check", "--against", given)["cases"]
    assert len(found) == len(names)
    assert {each["outcome"] for each in found} == {"goes_on"}
    steps = {w["step"]: w["way"] for each in found for w in each["writes"]}
    assert {"pay", "post"} <= set(steps)
    assert steps["post"] == "begun"


def test_a_field_with_a_default_is_asked_again_and_said(
    machine: Machine, deploys: Any, tmp_path: Path
) -> None:
    deploys(later(tmp_path, pay=NewPay, refund=NewPay))
    path = str(HISTORIES / "waiting.json")
    (case,) = machine.json("check", "--against", path, code=Code.WAITS)["cases"]
    assert case["outcome"] == "asked_again"
    (write,) = case["writes"]
    assert write["changes"] == [{"field": "note", "after": ""}]
    assert not write["misfit"]
    said = machine.run("check", "--against", path, code=Code.WAITS)
    assert "would be asked again" in said
    assert 'note was nothing, is ""' in said
    assert "1 case: 1 would be asked again" in said


def test_what_is_in_doubt_and_what_is_undone_is_told_apart(
    machine: Machine, deploys: Any, tmp_path: Path
) -> None:
    deploys(later(tmp_path, refund=NewPay, post=Addressed, ship=Sized))
    given = folder(tmp_path, "waiting", "in_doubt_waiting", settled=15)
    found = machine.json("check", "--against", given, code=Code.WAITS)["cases"]
    ways = {
        (case["outcome"], write["way"], write["step"], write["outcome"])
        for case in found
        for write in case["writes"]
    }
    assert ways == {
        ("goes_on", "asked", "pay", "goes_on"),
        ("asked_again", "begun", "post", "asked_again"),
        ("undo_asked", "undo", "refund", "undo_asked"),
    }
    assert "its undo would be asked about" in machine.run(
        "check", "--against", given, code=Code.WAITS
    )


def test_a_step_that_is_gone_and_a_run_that_goes_another_way_fail(
    machine: Machine, deploys: Any, tmp_path: Path
) -> None:
    path = str(HISTORIES / "waiting.json")
    deploys(later(tmp_path, "pay"))
    (case,) = machine.json("check", "--against", path, code=Code.FAILED)["cases"]
    assert case["outcome"] == "step_gone"
    assert "has no step `pay` any more; fix:" in case["writes"][0]["why"]
    deploys(later(tmp_path, workflow=LooksTwice))
    found = machine.json("check", "--against", path, code=Code.FAILED)
    (case,) = found["cases"]
    assert case["outcome"] == "not_replayed"
    assert "TMPRL1100" in case["why"]
    assert "look_up" in case["why"]
    assert "workflow.patched" in case["fix"]
    deploys(later(tmp_path, workflow=LooksTwiceIfNew))
    (case,) = machine.json("check", "--against", path)["cases"]
    assert case["outcome"] == "goes_on"


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "no history"), ("{}", "no history"), ("[1]", "no history"), (None, "has not")],
)
def test_what_is_no_history_of_this_fleet_is_said(
    text: str | None, why: str, machine: Machine, deploys: Any, tmp_path: Path
) -> None:
    deploys(later(tmp_path))
    path = tmp_path / "some.json"
    path.write_text(text if text is not None else _other_queue(), "utf-8")
    assert why in machine.run("check", "--against", str(path), code=Code.USAGE)
    assert "cannot be read" in machine.run("check", "--against", "nowhere", code=Code.USAGE)
    (tmp_path / "empty").mkdir()
    empty = str(tmp_path / "empty")
    assert "there is no history" in machine.run("check", "--against", empty, code=Code.USAGE)


def _other_queue() -> str:
    document = json.loads((HISTORIES / "waiting.json").read_text("utf-8"))
    started = document["events"][0]["workflowExecutionStartedEventAttributes"]
    started["taskQueue"]["name"] = "another"
    return json.dumps(document)
