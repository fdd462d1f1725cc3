"""`handrail eval`: a decide step of today on past decisions of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handrail.testing import Outside
from tests.agents.clerk_steps import ORDERS
from tests.unit.machine import Machine

NOTHING = ["nothing_to_do", {"rationale": "no"}]


def refund(amount: str, words: str = "") -> list[Any]:
    action = {"order": "o1", "amount": amount, "words": words}
    return ["Refund", {"action": action, "rationale": "It broke."}]


def past(case: str, answer: Any, people: Any = None, decided: Any = None) -> dict[str, Any]:
    mail = {"number": case, "customer": "c1", "body": json.dumps([answer])}
    given = {"mail": mail, "orders": [order.model_dump(mode="json") for order in ORDERS]}
    return {"case": case, "given": given, "people": people, "decided": decided}


GIVEN = {"kind": "Refund", "action": {"order": "o1", "amount": "30", "words": "Sorry!"}}


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Machine:
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))
    monkeypatch.setenv("HANDRAIL_FLEET", "tests.agents.clerks:fleet")
    return Machine(tmp_path, capsys)


def test_past_decisions_are_made_again_and_held_against_what_people_made_of_them(
    machine: Machine, outside: Outside
) -> None:
    rows = [
        past("same", refund("30", "Other words."), people=GIVEN),
        past("more", refund("45"), people=GIVEN, decided=GIVEN),
        past("none", NOTHING, people={}),
        past("unknown", NOTHING),
        past("away", "away", decided={}),
    ]
    path = machine.home / "past.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    said = machine.json("eval", "clerk", "judge", "--cases", str(path))
    assert said["as_people"] == {"agree": 2, "of": 3}
    assert said["as_before"] == {"agree": 0, "of": 2}
    assert (said["decisions"], said["failed"]) == (5, 1)
    assert [each["case"] for each in said["differ"]] == ["more", "away"]
    assert said["differ"][0]["now"]["action"]["amount"] == "45"
    assert "away" in said["differ"][1]["error"]
    assert said["usage"]["cost"] > "0.8"  # four answers, and one that nobody knows the end of
    shown = machine.run("eval", "clerk", "judge", "--cases", str(path), "--exit-code", code=1)
    assert "5 decisions, 2 differ" in shown
    assert outside.effects("refund") == []
    assert not (machine.home / "ledger.db").exists()


def test_what_cannot_be_made_again_is_said_with_its_fix(machine: Machine) -> None:
    path = machine.home / "past.jsonl"
    path.write_text('{"case": "1"}')
    file = ("--cases", str(path))
    assert "past.jsonl, line 1" in machine.run("eval", "clerk", "judge", *file, code=1)
    assert "there are: judge" in machine.run("eval", "clerk", "refund", code=1)
    path.write_text('{"case": "1", "given": {}}')
    said = machine.json("eval", "clerk", "judge", "--cases", str(path))
    assert "`mail`" in said["differ"][0]["error"]
