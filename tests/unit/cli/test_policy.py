"""`handrail policy diff` and `show`, on the shipments agent and a real ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import Ledger
from handrail.actions import Basis, Kind, Level, digest_of
from handrail.ledger import OrderRow, SpendRow, VerdictRow
from handrail.policy import PolicyFile
from tests.agents.shippers import fleet
from tests.unit.machine import Machine

AGENT = fleet.agents["shipments"]
TEXT = AGENT.policy.read_text()
NOW = datetime.now(UTC)


class Desk(Machine):
    """The machine of somebody who changes a policy."""

    def new(self, *edits: tuple[str, str]) -> str:
        text = TEXT
        for old, new in edits:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path = self.home / "new.yaml"
        path.write_text(text)
        return str(path)


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))
    monkeypatch.setenv("HANDRAIL_FLEET", "tests.agents.shippers:fleet")
    found = Desk(tmp_path, capsys)
    found.ledger(_fill)
    return found


async def _fill(ledger: Ledger) -> None:
    policy = AGENT.policy_file.current()
    await ledger.loaded("shipments", policy.version, policy.sha, policy.label, policy.text)
    await ledger.record_verdict(_row(9, Decimal(190), at=NOW - timedelta(days=60)))
    for number, cost in enumerate(["150.00", "180.00", "250.00", "20.00"]):
        await ledger.record_verdict(_row(number, Decimal(cost)))


def _row(number: int, cost: Decimal, at: datetime = NOW) -> VerdictRow:
    step, write = "rebook", AGENT.shape.writes["rebook"]
    action = {**_made(write.action), "extra_cost": str(cost)}
    assert write.evidence is not None
    evidence = {**_made(write.evidence), "value": "100000", "goods": "standard"}
    return VerdictRow(
        case=f"shipments:AWB-{number}",
        agent="shipments",
        step=step,
        key=f"shipments:AWB-{number}/{step}/1",
        digest=digest_of(step, action),
        at=at,
        kind=Kind.HOLD if cost > 200 else Kind.PASS,
        findings=(),
        policy="shipments v1",
        autonomy="full",
        pilot=False,
        action=action,
        basis=Basis(confidence=0.9, evidence=evidence),
        requester=None,
        units={"action.extra_cost": "EUR"},
    )


def _made(model: Any) -> dict[str, Any]:
    """Any values that the fields of a model take."""
    some: dict[str, Any] = {
        "string": "x",
        "number": 1,
        "integer": 1,
        "boolean": False,
        "date-time": "2026-11-01T12:00:00Z",
    }
    found: dict[str, Any] = {}
    schema: dict[str, Any] = model.model_json_schema()
    for name, field in schema["properties"].items():
        first = field["anyOf"][0] if "anyOf" in field else field
        choices = first.get("enum")
        kind = first.get("format", first.get("type"))
        found[name] = choices[0] if choices else some.get(kind, some.get(str(first.get("type"))))
    return found


CHEAPER = ("- when: action.extra_cost > 200", "- when: action.extra_cost > 160")


def test_it_shows_what_would_be_decided_otherwise_and_why(desk: Desk) -> None:
    text = desk.run("policy", "diff", desk.new(CHEAPER))
    assert "shipments:AWB-1 rebook  pass -> hold" in text
    assert "extra_cost 180.00 > 160" in text
    assert "pass -> hold: 1 write, extra_cost 180.00 EUR" in text
    assert "1 would be decided otherwise" in text
    assert "AWB-9" not in text
    assert "taken as they were found then" in text


def test_its_document_has_the_matrix_and_each_case(desk: Desk) -> None:
    found = desk.json("policy", "diff", desk.new(CHEAPER), "--since", "90d")
    assert (found["writes"], found["differ"]) == (5, 2)
    counts = {(each["before"], each["after"]): each["writes"] for each in found["matrix"]}
    assert counts == {("pass", "pass"): 2, ("pass", "hold"): 2, ("hold", "hold"): 1}
    moved = next(m for m in found["matrix"] if m["before"] != m["after"])
    assert moved["amounts"]["extra_cost"] == "370.00"
    assert moved["units"] == {"extra_cost": "EUR"}
    case = found["cases"][-1]
    assert (case["case"], case["before"]["verdict"]) == ("shipments:AWB-1", "pass")
    assert case["after"]["why"] == ["costs more than 200 EUR extra: extra_cost 180.00 > 160"]
    assert found["before"].startswith("shipments v1 ")


def test_its_exit_code_says_whether_anything_differs_if_asked(desk: Desk) -> None:
    new = desk.new(CHEAPER)
    assert "1 would be" in desk.run("policy", "diff", new)
    desk.run("policy", "diff", new, "--exit-code", code=1)
    text = desk.run("policy", "diff", desk.new(), "--exit-code")
    assert "none differs" in text


def test_it_compares_with_what_is_in_force_and_not_with_what_lies_there(desk: Desk) -> None:
    newer = TEXT.replace("version: 1", "version: 2").replace(*CHEAPER)

    async def load_it(ledger: Ledger) -> None:
        await ledger.loaded("shipments", 2, "f" * 64, "shipments v2", newer)

    desk.ledger(load_it)
    found = desk.json("policy", "diff", desk.new())
    assert {(m["before"], m["after"]) for m in found["matrix"]} >= {("hold", "pass")}


def test_what_was_set_at_run_time_counts_for_both(desk: Desk) -> None:
    order = OrderRow(
        "o1", "level", "shipments", "ana@example.com", NOW, level=Level.SUPERVISED, why="too many"
    )
    desk.ledger(lambda ledger: ledger.order(order))
    found = desk.json("policy", "diff", desk.new(CHEAPER))
    assert [(m["before"], m["after"]) for m in found["matrix"]] == [("hold", "hold")]
    assert found["other_reasons"] == 2  # held anyway: by the new bound too


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("autonomy: full", "autonomy: ful"), "did you mean full?"),
        (("action.extra_cost > 200", "action.extra_csot > 200"), "did you mean extra_cost?"),
    ],
)
def test_a_file_with_faults_says_them(desk: Desk, edit: tuple[str, str], said: str) -> None:
    text = desk.run("policy", "diff", desk.new(edit), code=2)
    assert said in text
    assert "new.yaml:" in text


def test_a_file_of_another_agent_says_which_there_are(desk: Desk) -> None:
    text = desk.run("policy", "diff", desk.new(("agent: shipments", "agent: ships")), code=2)
    assert "there is no agent ships; there are: shipments" in text
    assert "cannot be read" in desk.run("policy", "diff", str(desk.home / "none.yaml"), code=2)


def test_what_is_in_force_is_said_in_words(desk: Desk) -> None:
    text = desk.run("policy", "show", "shipments")
    assert "full: it runs alone unless a rule holds it (the policy file)" in text
    assert "action.extra_cost > 200 (costs more than 200 EUR extra): asks logistics-lead" in text
    assert "extra_cost: at most 30000 per day" in text
    assert "ana@example.com, bo@example.com; 1 of them" in text
    assert "shipments v1" in text
    assert "last loaded" in text
    assert "the file here" not in text


def test_what_is_set_and_what_is_spent_is_shown(desk: Desk) -> None:
    step = "rebook"
    budget = "budgets: {tokens: 1000 per day, cost: 2 EUR per day}\nactions:\n"
    text = TEXT.replace("version: 1", "version: 2").replace("actions:\n", budget, 1)

    async def fill(ledger: Ledger) -> None:
        await ledger.loaded("shipments", 2, "e" * 64, "shipments v2 eeeeeeee", text)
        at = datetime.now(UTC)
        spent = SpendRow("d1", "shipments", "c", "decide", at, 850, Decimal("2.5"), "EUR")
        assert await ledger.spend(spent)
        assert not await ledger.spend(spent)
        order = OrderRow("o1", "level", "shipments", "breaker", NOW, level=Level.PILOT, why="odd")
        await ledger.order(order)

    desk.ledger(fill)
    found = desk.json("policy", "show", "shipments")
    assert found["settings"][step]["level"] == "pilot"
    assert found["settings"][step]["file"] == "full"
    assert "set by breaker" in found["settings"][step]["by"]
    assert found["budgets"] == [
        "budget of cost: 2.5 of 2 EUR per day is used (125%)",
        "budget of tokens: 850 of 1000 per day is used (85%)",
    ]
    assert [row["version"] for row in found["history"]] == [2, 1]


def test_a_file_that_is_not_in_force_is_said_to_be_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has changed it wonders why what is shown is the old one."""
    for edit, said in (
        (("version: 1", "version: 2"), "the file here is shipments v2"),
        (("version: 1", "version: 2"), "within 5 minutes"),
        (("autonomy: full", "autonomy: fool"), "the file here cannot be used"),
    ):
        with monkeypatch.context() as patched:
            changed = PolicyFile(Path(desk.new(edit)), AGENT.shape)
            patched.setattr(AGENT, "policy_file", changed)
            text = desk.run("policy", "show", "shipments")
        assert said in text
        assert "full: it runs alone" in text

    async def later(ledger: Ledger) -> None:
        text = TEXT.replace("version: 1", "version: 3")
        await ledger.loaded("shipments", 3, "f" * 64, "shipments v3", text)

    desk.ledger(later)
    text = desk.run("policy", "show", "shipments")
    assert "no older version comes back; give it one above 3" in text


def test_without_a_ledger_it_shows_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))
    monkeypatch.setenv("HANDRAIL_FLEET", "tests.agents.shippers:fleet")
    desk = Desk(tmp_path, capsys)
    shown = desk.run("policy", "show", "shipments")
    assert "there is no ledger here: what workers have loaded" in shown
    assert "no worker has loaded it" not in shown
    text = desk.run("policy", "diff", str(AGENT.policy), code=2)
    assert "there is no ledger" in text
    assert "there is no agent x" in desk.run("policy", "show", "x", code=2)
