"""`handrail outcomes` and `pilot`: what people did comes in, is compared, and is judged."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handrail import Ledger
from handrail.actions import Kind, digest_of
from handrail.cli.outcomes import read_outcomes
from handrail.exceptions import InvalidRequest
from handrail.ledger import VerdictRow
from tests.agents import fleets
from tests.unit.machine import Machine

ANA, BO, BOSS = "ana@example.com", "bo@example.com", "boss@example.com"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
PILOT: dict[str, Any] = {
    "autonomy": "pilot",
    "pilot": {"class": "order", "match": {"amount": "5%"}},
    "promote": {"agreement": "90%"},
}


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Machine:
    machine = Machine(tmp_path, capsys)
    policy = fleets.policy(actions={"pay": PILOT})
    monkeypatch.setattr(fleets, "made_here", fleets.orders(tmp_path, policy), raising=False)
    monkeypatch.setenv("HANDRAIL_FLEET", "tests.agents.fleets:made_here")
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))

    async def filled(ledger: Ledger) -> None:
        text = json.dumps(policy)
        await ledger.loaded("orders", 3, "0" * 64, "orders v3", text)
        for number in range(30):
            await ledger.record_verdict(proposal(number))

    machine.ledger(filled)
    return machine


def proposal(number: int) -> VerdictRow:
    action: dict[str, Any] = {"amount": "100.00", "order": "EUR"}
    case = f"orders:{number}"
    return VerdictRow(
        case=case,
        agent="orders",
        step="pay",
        key=f"{case}/pay/1",
        digest=digest_of("pay", action),
        at=NOW + timedelta(minutes=number),
        kind=Kind.PASS,
        findings=(),
        policy="orders v3",
        autonomy="pilot",
        pilot=True,
        action=action,
        basis=None,
        requester=None,
    )


def log(path: Path, *lines: str) -> str:
    head = "number,when,who,action.amount,action.order,nothing"
    path.write_text("\n".join([head, *lines, ""]))
    return str(path)


def test_what_people_did_comes_in_once_and_what_is_wrong_stops_nothing(
    desk: Machine, tmp_path: Path
) -> None:
    good = [f"{n},2026-11-01T1{n % 10}:00:00,bo,10{n % 6}.00,EUR," for n in range(24)]
    bad = [
        "24,soon,bo,1.00,EUR,",
        "25,2026-11-01T10:00:00Z,bo,many,EUR,",
        "26,2026-11-01T10:00:00Z,bo,,,",
        "27,2026-11-01T10:00:00Z,bo,1.00,EUR,yes",
        "28,2026-11-01T10:00:00Z,bo,1.00,,",
        "29,2096-11-01T10:00:00Z,bo,1.00,EUR,",
    ]
    file = log(tmp_path / "did.csv", *good, *bad, "29,2026-11-01T10:00:00Z,bo,,,yes")
    mapped = ("--map", "case=number", "--map", "at=when", "--map", "by=who")
    given = ("outcomes", "import", file, "--agent", "orders", "--step", "pay", *mapped)
    found = desk.json(*given, code=1)
    assert (found["new"], found["known"]) == (25, 0), found["bad"][:3]
    assert [(each["where"], each["why"].partition(";")[0]) for each in found["bad"]] == [
        ("line 26", "it has a time that cannot be read: soon"),
        ("line 27", "amount: Input should be a valid decimal"),
        ("line 28", "it says neither what was done (action.FIELD) nor that nothing was (nothing)"),
        ("line 29", "it says what was done, and that nothing was"),
        ("line 30", "order is missing"),
        ("line 31", "2096-11-01 10:00:00+00:00 has not come yet"),
    ]
    again = desk.json(*given, code=1)
    assert (again["new"], again["known"]) == (0, 25)
    view = desk.json("pilot", "orders")
    assert len(view["proposals"]) == view["proposed"] == 30
    assert (view["same"]["n"], view["same"]["share"], view["goal"]) == (25, 0.96, 0.9)
    assert view["agreement"]["to_goal"] > 0
    assert view["missing"] + view["waiting"] == 5
    text = desk.run("pilot", "orders")
    assert "96.0% of 25" in text
    assert "1 disagreement to be judged" in text


def test_who_was_right_is_signed_by_somebody_else_and_counts(desk: Machine, tmp_path: Path) -> None:
    rows = [
        {"case": "1", "at": NOW.isoformat(), "by": ANA, "action": None},
        {"case": "orders:2", "at": NOW.isoformat(), "by": ANA, "action": None},
    ]
    (tmp_path / "did.json").write_text(json.dumps({"outcomes": rows}))
    desk.json(
        "outcomes", "import", str(tmp_path / "did.json"), "--agent", "orders", "--step", "pay"
    )
    first, second = [each["id"] for each in desk.json("pilot", "orders")["disagreements"]]
    for who in (ANA, BO, BOSS):
        desk.key(who)
    assert "you did it yourself" in desk.run(
        "outcomes", "judge", first, "agent", "--by", ANA, code=2
    )
    assert "say agent, people" in desk.run("outcomes", "judge", first, "us", "--by", BO, code=2)
    for none in ("", "x", f"{first}0"):
        said = desk.run("outcomes", "judge", none, "agent", "--by", BO, code=2)
        assert "is no outcome" in said
    named = ("outcomes", "judge", first[:8].upper(), "agent", "--by", BO)
    judged = desk.json(*named, "--why", "a typo")
    assert (judged["id"], judged["judged"], judged["judged_by"]) == (first, "agent", BO)
    assert "theirs stands" in desk.run("outcomes", "judge", first, "both", "--by", BOSS, code=2)
    view = desk.json("pilot", "orders")
    assert (view["same"]["n"], view["judged"], view["unproven"]) == (2, {"agent": 1}, 0)
    assert view["agreement"]["high"] >= view["same"]["high"]
    # What stands in the columns and was not signed counts for nothing.
    desk.ledger(lambda ledger: _forged(ledger, second))
    view = desk.json("pilot", "orders")
    assert (view["judged"], view["unproven"]) == ({"agent": 1}, 1)


async def _forged(ledger: Ledger, outcome: str) -> None:
    from handrail.ledger import AnswerRow  # noqa: PLC0415  # of this test alone

    await ledger.judge_outcome("agent", AnswerRow(outcome, "right", BO, NOW, "", "no proof"))


def test_of_an_event_log_the_first_ruling_of_each_case_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text(
        "case_id,activity,timestamp\nA,NEW,2026-01-01T10:00:00Z\nA,CODE NOK,2026-01-03T10:00:00Z\n"
        "A,CODE OK,2026-01-02T10:00:00Z\nB,DELETE,2026-01-02T10:00:00Z\n"
    )
    names = {"case": "case_id", "at": "timestamp", "action.ruling": "activity"}
    values = {"activity": {"CODE OK", "CODE NOK", "DELETE"}}
    found = list(read_outcomes(str(file), names, values, first=True))
    assert [(place, dict(each)["action"]) for place, each in found if isinstance(each, dict)] == [
        ("line 4", {"ruling": "CODE OK"}),
        ("line 5", {"ruling": "DELETE"}),
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"case,at,action.x\n1,2026-11-01," + b"y" * 200_000, "after line 1, is no CSV"),
        ("a.json", b"[" * 100_000, "is no JSON"),
        ("a.csv.gz", gzip.compress(b"case,at\n1,2\n" * 50)[:-12], "cannot be read"),
        ("a.csv.gz", b"\x1f\x8b\x08" + b"\x00" * 7 + b"no more", "cannot be read"),
        ("a.csv", b"", "no line below the names"),
        ("a.csv", b"case,at,action.x\n", "no line below the names"),
        ("a.csv", b"case,at,at\n1,2,3\n", "the column at twice; its columns: case, at, at"),
    ],
    ids=["a line", "deep", "half of it", "no gzip", "empty", "names alone", "a name twice"],
)
def test_a_file_that_is_none_is_refused_in_words(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidRequest, match=said):
        list(read_outcomes(str(tmp_path / name), {}, {}, first=False))


def test_an_export_is_read_as_its_spreadsheet_wrote_it(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    lines = "case;at;action.x;;\n A ;2026-11-01;a, b;;\n\nB;2026-11-02;c\nC;2026-11-03;d;;;e\n"
    file.write_text(lines, "utf-16")
    ((where, first), *bad) = read_outcomes(str(file), {}, {}, first=False)
    assert isinstance(first, dict)
    assert (where, first["case"], first["action"]) == ("line 2", "A", {"x": "a, b"})
    assert bad == [
        ("line 4", "it has 3 cells, and there are 5 columns"),
        ("line 5", "it has 6 cells, and there are 5 columns"),
    ]


@pytest.mark.parametrize(
    ("names", "values"), [({"at": "when"}, {}), ({"action.x": "when"}, {}), ({}, {"when": {"1"}})]
)
def test_a_column_that_is_named_must_be_there(
    tmp_path: Path, names: dict[str, str], values: dict[str, set[str]]
) -> None:
    """Else all lines would be bad, or none would be taken, and nobody knew why."""
    file = tmp_path / "a.csv"
    file.write_text("case,at,action.x\nA,2026-11-01,a\n")
    with pytest.raises(InvalidRequest, match=r"no column when; its columns: case, at, action.x"):
        list(read_outcomes(str(file), names, values, first=False))


def test_what_was_done_may_be_a_list(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('[{"case": "A", "at": "2026-11-01", "action.tags": ["a"], "action.x": ""}]')
    ((_, found),) = read_outcomes(str(file), {}, {}, first=False)
    assert isinstance(found, dict)
    assert found["action"] == {"tags": ["a"]}


def test_times_are_found_as_an_export_writes_them(tmp_path: Path) -> None:
    german = [f"{n};30.11.2026 21:30;5" for n in range(3)]
    rows = [*german, "3;2026-11-30T21:30:00Z;5", "4;1796074200;5", "5;;5"]
    (tmp_path / "a.csv").write_text("\n".join(["Fall;Zeit;action.x", *rows]))
    names = {"case": "Fall", "at": "Zeit"}
    found = [each for _, each in read_outcomes(str(tmp_path / "a.csv"), names, {}, first=False)]
    at = datetime(2026, 11, 30, 21, 30, tzinfo=UTC)
    assert [isinstance(each, str) or each["at"] for each in found] == [*([at] * 5), True]
    assert found[5] == "it has no time"


def test_times_that_can_be_read_in_two_ways_are_asked_about(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("case,at,action.x\n1,03/04/2026,5\n")
    with pytest.raises(InvalidRequest, match="fix: --time-format '%d/%m/%Y' or"):
        dict(read_outcomes(str(tmp_path / "a.csv"), {}, {}, first=False))
    ((_, found),) = read_outcomes(str(tmp_path / "a.csv"), {}, {}, "%d/%m/%Y", first=False)
    assert not isinstance(found, str)
    assert found["at"] == datetime(2026, 4, 3, tzinfo=UTC)


def test_what_an_export_calls_otherwise_is_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Fall;Zeit;action.x\n1;2026-11-01;5\n")
    with pytest.raises(InvalidRequest, match="fix: --map case=COLUMN --map at=COLUMN"):
        dict(read_outcomes(str(tmp_path / "a.csv"), {}, {}, first=False))
