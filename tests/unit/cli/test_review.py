"""`handrail review`, `incidents` and `pilot`, on a real ledger with real keys."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from handrail import Ledger, Receipt
from handrail.actions import Basis, Finding, Kind, digest_of
from handrail.cli.app import run
from handrail.ledger import IncidentRow, Intent, ReviewRow, VerdictRow
from tests.unit.machine import Machine

ANA, BO, CY = "ana@example.com", "bo@example.com", "cy@example.com"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACTION: dict[str, Any] = {"order": "1", "amount": "10.00"}


class Desk(Machine):
    """The machine of somebody who looks at what ran alone."""

    def wrote(self, number: int = 1, **more: Any) -> str:
        """A write of the agent `pay` that ran alone, and is to be looked at."""
        key = f"pay:{number}/pay/1"
        self.ledger(lambda ledger: _wrote(ledger, key, **more))
        return key


async def _wrote(ledger: Ledger, key: str, **more: Any) -> None:
    case = key.partition("/")[0]
    digest = digest_of("pay", ACTION)
    intent = Intent(
        key=key,
        case=case,
        agent="pay",
        step="pay",
        digest=digest,
        action=ACTION,
        policy="pay v1",
        owner="",
        deadline=NOW,
        evidence={"vip": True},
        confidence=0.8,
        alone=True,
        share=1.0,
    )
    await ledger.begin(intent)
    await ledger.finish(Receipt(key=key, step="pay", digest=digest, at=NOW, result="B-77"))
    await ledger.record_verdict(verdict(key))
    row: dict[str, Any] = {"role": "lead", "people": (ANA, BO), "requester": BO} | more
    review: dict[str, Any] = {"agent": "pay", "step": "pay", "case": case, "at": NOW, "share": 1.0}
    await ledger.review(ReviewRow(key=key, why="it was drawn at random", **review, **row))


def verdict(key: str, **more: Any) -> VerdictRow:
    given: dict[str, Any] = {
        "case": key.partition("/")[0],
        "agent": "pay",
        "step": "pay",
        "digest": digest_of("pay", ACTION),
        "at": NOW,
        "kind": Kind.PASS,
        "findings": (Finding(check="limit: amount", kind=Kind.PASS, why="there is room"),),
        "policy": "pay v1",
        "autonomy": "full",
        "pilot": False,
        "action": ACTION,
        "basis": Basis(rationale="It is due.\x1b[2J", confidence=0.8, evidence={"vip": True}),
        "requester": BO,
    }
    return VerdictRow(key=key, **given | more)


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))
    found = Desk(tmp_path, capsys)
    found.ledger(lambda ledger: ledger.effects("none"))
    return found


# Reviews


def test_what_waits_is_listed_until_it_is_answered(desk: Desk) -> None:
    assert "nothing waits" in desk.run("review")
    first, second = desk.wrote(1), desk.wrote(2)
    assert [each["key"] for each in desk.json("review")["reviews"]] == [first, second]
    assert f"for lead: {ANA}, {BO}" in desk.run("review", "list", "--agent", "pay")
    desk.key()
    desk.run("review", "answer", first, "right", "--by", ANA)
    assert [each["key"] for each in desk.json("review")["reviews"]] == [second]
    every = desk.json("review", "--all")["reviews"]
    assert [each["answer"] for each in every] == ["right", None]
    assert "right by ana@example.com" in desk.run("review", "--all")
    assert desk.json("review", "--agent", "another")["reviews"] == []
    assert "there may be more" in desk.run("review", "--limit", "1")


def test_a_reviewer_sees_what_was_done_why_and_what_came_of_it(desk: Desk) -> None:
    key = desk.wrote()
    incident = IncidentRow(f"{key}!mismatch", "pay", "pay", "pay:1", key, "mismatch", "is 3", NOW)
    desk.ledger(lambda ledger: ledger.incident(incident))
    shown = desk.run("review", "show", "pay:1")
    for text in (key, '"amount": "10.00"', "It is due.", "80%", '"vip": true', "there is room"):
        assert text in shown
    for text in ("written", '"B-77"', "incident     is 3", "asked for by bo@example.com"):
        assert " ".join(text.split()) in " ".join(shown.split())
    assert "\x1b[2J" not in shown
    assert f"review answer {key} wrong --by {ANA} --why" in " ".join(shown.split())
    whole = desk.json("review", "show", key)
    assert (whole["action"], whole["receipt"]["result"]) == (ACTION, "B-77")
    assert (whole["answers"], whole["incidents"]) == ([], ["is 3"])


def test_a_wrong_one_may_be_rolled_back_and_the_command_is_shown(desk: Desk) -> None:
    key = desk.wrote()
    desk.key()
    said = desk.run("review", "answer", "pay:1", "wrong", "--by", ANA, "--why", "too much")
    assert "roll-back pay:1 --why" in said
    told = desk.json("review", "answer", key, "harmless", "--by", ANA, "--why", "the sum is right")
    assert (told["answer"], told["note"], told["roll_back"]) == (
        "harmless",
        "the sum is right",
        None,
    )
    answers = desk.json("review", "show", key)["answers"]
    assert [(a["answer"], a["why"], a["proven"]) for a in answers] == [
        ("wrong", "too much", True),
        ("harmless", "the sum is right", True),
    ]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("right", "--by", CY), "not of the role lead"),
        (("right", "--by", BO), "you asked for this write"),
        (("wrong", "--by", ANA), "say what is wrong"),
        (("perhaps", "--by", ANA), "no answer"),
        (("right", "--by", ANA), "keys new --person ana@example.com"),
    ],
)
def test_who_may_not_answer_or_says_nothing_is_told_so(
    desk: Desk, args: tuple[str, ...], why: str
) -> None:
    key = desk.wrote()
    said = desk.json("review", "answer", key, *args, code=2)["error"]["message"]
    assert why in said
    assert desk.ledger(lambda ledger: ledger.review_answers(key)) == []


def test_somebody_elses_answer_stands(desk: Desk) -> None:
    key = desk.wrote(requester=None)
    desk.key(ANA)
    desk.key(BO)
    desk.run("review", "answer", key, "right", "--by", ANA)
    said = desk.json("review", "answer", key, "wrong", "--by", BO, "--why", "no", code=2)
    assert "ana@example.com has answered it already" in said["error"]["message"]


def test_an_answer_that_was_altered_is_shown_as_such(desk: Desk) -> None:
    key = desk.wrote()
    desk.key()
    desk.run("review", "answer", key, "wrong", "--by", ANA, "--why", "too much")
    with sa.create_engine(desk.url, poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.text("update handrail_review_answers set answer = 'right'"))
    (altered,) = desk.json("review", "show", key)["answers"]
    assert not altered["proven"]
    assert "NOT PROVEN: the ledger was altered" in desk.run("review", "show", key)


def test_a_key_that_names_none_or_several_is_refused(desk: Desk) -> None:
    desk.wrote(1)
    desk.wrote(2)
    assert "is the beginning of 2 reviews" in desk.run("review", "show", "pay:", code=2)
    assert "is not to be reviewed" in desk.run("review", "show", "pay:3", code=2)


def test_without_a_ledger_it_says_where_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path / "none"))
    assert run(["review"]) == 2
    assert "run this where the worker runs" in capsys.readouterr().err


# Incidents


def test_an_incident_is_open_until_somebody_closes_it(desk: Desk) -> None:
    assert "no incidents" in desk.run("incidents")
    for number, agent in ((1, "pay"), (2, "ship")):
        key = f"{agent}:{number}/do/1"
        row = IncidentRow(
            f"{key}!mismatch", agent, "do", f"{agent}:{number}", key, "mismatch", "3", NOW
        )
        desk.ledger(lambda ledger, row=row: ledger.incident(row))
    assert [e["agent"] for e in desk.json("incidents")["incidents"]] == ["pay", "ship"]
    assert [e["agent"] for e in desk.json("incidents", "--agent", "ship")["incidents"]] == ["ship"]
    assert "incidents close 'pay:1/do/1!mismatch' --by" in " ".join(desk.run("incidents").split())
    closed = desk.json("incidents", "close", "pay:1", "--by", "Ana@example.com", "--why", "paid")
    assert (closed["closed_by"], closed["closed_why"]) == (ANA, "paid")
    assert [e["agent"] for e in desk.json("incidents", "--open")["incidents"]] == ["ship"]
    assert "by ana@example.com: paid" in desk.run("incidents", "--case", "pay:1")
    said = desk.run("incidents", "close", "pay:1", "--by", ANA, "--why", "again", code=2)
    assert "closed already" in said
    assert "say what was done" in desk.run(
        "incidents", "close", "ship:2", "--by", ANA, "--why", " ", code=2
    )
    assert "is no incident" in desk.run(
        "incidents", "close", "x", "--by", ANA, "--why", "y", code=2
    )


# Pilot


@pytest.fixture
def piloted(desk: Desk) -> Desk:
    """Two proposals of one step and one of another, one of them judged twice."""
    late = NOW + timedelta(minutes=1)
    hostile = Basis(rationale="=cmd|' /C calc'!A0", confidence=0.5, evidence={"text": "+1-2"})
    rows = [
        verdict("pay:1/pay/1", pilot=True, kind=Kind.HOLD),
        verdict("pay:1/pay/1", pilot=True, at=late),
        verdict("", pilot=True),
        verdict("pay:2/pay/1", pilot=True, at=late, basis=hostile),
        verdict("pay:3/ship/1", pilot=True, step="ship", at=late, basis=None),
        verdict("pay:4/pay/1"),
    ]
    for row in rows:
        desk.ledger(lambda ledger, row=row: ledger.record_verdict(row))
    return desk


def test_proposals_are_listed_each_once(piloted: Desk) -> None:
    found = piloted.json("pilot", "pay")["proposals"]
    assert [(e["key"], e["verdict"]) for e in found] == [
        ("pay:1/pay/1", "pass"),
        ("pay:2/pay/1", "pass"),
        ("pay:3/ship/1", "pass"),
    ]
    assert found[0]["action"] == ACTION
    assert [e["step"] for e in piloted.json("pilot", "pay", "ship")["proposals"]] == ["ship"]
    assert [e["step"] for e in piloted.json("pilot", "pay", "--limit", "1")["proposals"]] == [
        "ship"
    ]
    assert "would be done" in piloted.run("pilot", "pay", "pay")
    assert "has proposed nothing in pilot" in piloted.run("pilot", "other")


def test_proposals_are_exported_and_start_no_formula(piloted: Desk, tmp_path: Path) -> None:
    target = tmp_path / "proposals.csv"
    assert "wrote 3 proposals" in piloted.run("pilot", "pay", "--csv", str(target))
    rows = list(csv.DictReader(io.StringIO(target.read_text("utf-8-sig"))))
    assert [row["action.amount"] for row in rows] == ["10.00"] * 3
    assert rows[0]["evidence.vip"] == "true"
    assert rows[1]["rationale"] == "'=cmd|' /C calc'!A0"
    assert rows[1]["evidence.text"] == "'+1-2"
    assert (rows[2]["confidence"], rows[2]["evidence.vip"]) == ("", "")
    assert piloted.run("pilot", "pay", "ship", "--csv", "-").splitlines()[1].startswith("2026-03")
    assert "not both" in piloted.run("pilot", "pay", "--csv", "-", "--json", code=2)
    assert "cannot be written" in piloted.run("pilot", "pay", "--csv", str(tmp_path), code=2)
