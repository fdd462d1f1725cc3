"""Parts of the command line that need no server."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cyclopts.exceptions import CoercionError
from rich.console import Console

from handrail.cli.app import app
from handrail.cli.case_list import table_of_cases
from handrail.cli.inbox import as_json, lines
from handrail.cli.output import STYLES, commands, in_words, time_left
from handrail.cli.rulings import amended_action, answered
from handrail.client import CaseSummary, ruling_of
from handrail.client.gates import ImpossibleName
from handrail.exceptions import InvalidRequest
from handrail.oversight import CaseView, GateKind, GateView, case_markdown
from handrail.states import ENDS, State
from workers.board import CaseRow, cases_query, counts, table

CASE: dict[str, Any] = {
    "case": "pay:1", "agent": "pay", "title": "", "state": "waiting", "since": datetime.now(UTC),
    "why": "", "requester": None, "receipts": (), "rulings": (), "moves": (), "log": (),
    "usage": {},
}  # fmt: skip
ACTION: dict[str, Any] = {"order": "00123", "kg": 5, "to": {"city": "Wien", "zip": "1010"}}


def test_a_changed_field_keeps_the_kind_of_its_value() -> None:
    changed = amended_action(ACTION, ("order=00124", "kg=7", "to.zip=1020"), None)
    assert changed == {"order": "00124", "kg": 7, "to": {"city": "Wien", "zip": "1020"}}
    assert ACTION["kg"] == 5
    assert ACTION["to"]["zip"] == "1010"


def test_a_number_that_is_typed_keeps_every_digit() -> None:
    number = "100000000000000000.01"
    assert amended_action({"kg": 5}, (f"kg={number}",), None) == {"kg": number}
    assert amended_action({"kg": 5}, (), f'{{"kg": {number}, "of": 0.5}}') == {
        "kg": number,
        "of": 0.5,
    }


@pytest.mark.parametrize(
    ("changes", "whole", "says"),
    [
        ((), None, "give either"),
        (("kg=7",), "{}", "give either"),
        (("ordre=7",), None, "did you mean order"),
        (("kg",), None, "field=value"),
        (("kg.g=7",), None, "has no fields"),
        ((), "[1]", "JSON object"),
        ((), "{", "not JSON"),
        ((), "@/nowhere", "cannot be read"),
    ],
)
def test_a_change_that_cannot_be_made_is_wrong_usage(
    changes: tuple[str, ...], whole: str | None, says: str
) -> None:
    with pytest.raises(InvalidRequest, match=says):
        amended_action(ACTION, changes, whole)


def test_names_cannot_break_out_of_a_query() -> None:
    assert "HandrailWaitingFor = 'lead'" in cases_query(role="lead")
    for bad in ("x' OR '1'='1", "a\\", 'b"', "c\nd"):
        with pytest.raises(ImpossibleName):
            cases_query(role=bad)
    with pytest.raises(ImpossibleName, match="waiting"):
        cases_query(state="wating")


@pytest.mark.parametrize(
    ("length", "says"),
    [
        (timedelta(seconds=5), "5 s"),
        (timedelta(minutes=90), "1 h 30 min"),
        (timedelta(days=2, hours=3, minutes=9), "2 d 3 h"),
    ],
)
def test_lengths_of_time_are_said_in_two_units(length: timedelta, says: str) -> None:
    assert in_words(length) == says
    now = datetime.now(UTC)
    assert time_left(now + length, now) == f"{says} left"
    assert time_left(now - length, now) == f"{says} over"


def test_the_table_fits_the_terminal_and_says_how_many_are_left_out() -> None:
    rows = [CaseRow(case=f"pay:{n}", agent="pay", state=State.DONE, receipts=1) for n in range(500)]
    assert table(rows, "", height=24).row_count == 24 - 6 + 1
    assert table(rows[:5], "", height=24).row_count == 5
    assert counts(rows) == "500 cases: 500 done; 500 receipts"


def test_nothing_heavy_is_imported_for_help_and_completion() -> None:
    code = (
        "import sys; from handrail.cli.app import run; run(['start', '--help']); "
        "run(['keys', '--help']); "
        "print({'temporalio', 'pydantic', 'sqlalchemy', 'joserfc'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--stream" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_report_lists_cases_that_ended_in_any_state_and_none_that_are_misspelt() -> None:
    for state in ENDS - {State.PILOTED}:
        app.parse_args(["report", "pay", "--cases", state], exit_on_error=False, print_error=False)
    with pytest.raises(CoercionError, match='Did you mean "asked"'):
        app.parse_args(["report", "pay", "--cases", "askd"], exit_on_error=False, print_error=False)


def test_what_asks_the_server_alone_imports_no_sql_and_nothing_that_signs() -> None:
    code = (
        "import sys; from pathlib import Path; from handrail.client import Operator; "
        "from handrail.cli.case_list import cases; from handrail.oversight import Keyring; "
        "Keyring(Path('none')); print({'temporalio', 'sqlalchemy', 'joserfc'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{'temporalio'}\n"


def test_every_state_has_a_colour() -> None:
    assert set(STYLES) == set(State)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_commands(shell: Any) -> None:
    script = app.generate_completion(prog_name="handrail", shell=shell)
    for command in ("start", "inbox", "approve", "roll-back", "doctor", "rotate"):
        assert command in script


def gate(kind: GateKind, **more: Any) -> GateView:
    return GateView.model_validate(
        {
            "gate": "g1",
            "case": "pay:1",
            "kind": kind,
            "step": "pay",
            "title": "Pay.",
            "action": {"kg": 5},
            "digest": "ab" * 32,
            "why": "large",
            "waiting_for": ["lead"],
            "people": ["ana@example.com"],
            "opened": datetime.now(UTC),
            "deadline": None,
            "then": [],
            **more,
        }
    )


@pytest.mark.parametrize("kind", list(GateKind))
def test_every_kind_of_gate_is_shown_with_commands_that_can_be_typed(kind: GateKind) -> None:
    view = gate(kind)
    shown = "\n".join(line.plain for line in lines(view, datetime.now(UTC)))
    for name, command in commands(view).items():
        assert command in shown
        verb, *rest = shlex.split(command.partition("handrail ")[2] or command)[:3]
        assert verb in {"approve", "reject", "amend", "answer"}, command
        assert rest[0] == "g1"
        assert name in {"approve", "reject", "amend", "answer", "happened", "do-it", "drop"}
        app.parse_args(shlex.split(command)[1:])


def test_who_looks_as_a_person_is_shown_commands_of_that_person() -> None:
    view = gate(GateKind.WRITE)
    shown = "\n".join(line.plain for line in lines(view, datetime.now(UTC), by="bo@example.com"))
    assert "handrail approve g1 --by bo@example.com" in shown
    assert "--by bo@example.com" in as_json(view, by="bo@example.com")["commands"]["approve"]


def test_units_and_what_changes_stand_below_what_is_asked() -> None:
    view = gate(
        GateKind.WRITE,
        action={"amount": "412.50", "at": "2026-12-05T08:00:00+01:00"},
        evidence={"amount": "380.00", "km": 3, "at": "2026-12-04T08:00:00+01:00"},
        units={"action.amount": "EUR", "evidence.amount": "EUR", "evidence.km": "km"},
    )
    shown = [line.plain.strip() for line in lines(view, datetime.now(UTC))]
    assert "units        amount in EUR" in shown
    assert "units        amount in EUR, km in km" in shown
    assert "changes      amount: now 380.00 EUR, then 412.50 EUR" in shown
    assert "changes      at: now 2026-12-04 07:00:00 UTC, then 2026-12-05 07:00:00 UTC" in shown
    page = case_markdown(CaseView.model_validate(CASE | {"gates": (view,)}))
    assert "**Units:** amount in EUR, km in km" in page
    assert "- amount: now `380.00 EUR`, then `412.50 EUR`" in page
    assert as_json(view)["units"]["evidence.km"] == "km"


def test_what_colleagues_asked_and_answered_is_shown_as_a_quotation() -> None:
    said = {"by": "ana@x", "to": "bo@x", "text": "why?\u202e", "at": datetime.now(UTC)}
    asked = [{"id": "q1", **said}, {"id": "q2", **said, "answer": "because"}]
    agreed = {"verb": "approve", "by": "cy@x", "at": datetime.now(UTC), "proven": True}
    view = gate(GateKind.WRITE, asked=asked, given=["cy@x"], rulings=[agreed])
    shown = "\n".join(line.plain for line in lines(view, datetime.now(UTC)))
    assert "by ana@x, of bo@x (--question q1)" in shown
    assert "> why?\\u202e" in shown
    assert "> because" in shown
    assert "(unproven)" not in shown


def typed(kind: GateKind, what: str | None = None, **more: str) -> dict[str, Any]:
    """What was typed as an answer, as the ruling that it becomes."""
    said = answered(gate(kind), what, more.get("result"), more.get("question"))
    ruling = ruling_of(gate(kind), "answer", "ana@example.com", **said)
    return ruling.model_dump(exclude_defaults=True, exclude={"gate", "digest", "by"})


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        (GateKind.IN_DOUBT, {"what": "do-it"}, {"answer": "do it"}),
        (
            GateKind.IN_DOUBT,
            {"what": "happened", "result": "[1]"},
            {"answer": "happened", "result": [1]},
        ),
        (GateKind.QUESTION, {"what": '{"a": 1}'}, {"result": {"a": 1}}),
        (GateKind.QUESTION, {"result": "7"}, {"result": 7}),
        (
            GateKind.WRITE,
            {"what": "because", "question": "q1"},
            {"answer": "because", "question": "q1"},
        ),
    ],
)
def test_an_answer_is_what_the_gate_takes(
    kind: GateKind, more: dict[str, Any], said: dict[str, Any]
) -> None:
    assert typed(kind, **more) == said


@pytest.mark.parametrize(
    ("kind", "more", "says"),
    [
        (GateKind.WRITE, {"what": "happened"}, "does not take `answer`"),
        (GateKind.IN_DOUBT, {"what": "perhaps"}, "happened, do-it, drop"),
        (GateKind.IN_DOUBT, {}, "happened, do-it, drop"),
        (GateKind.IN_DOUBT, {"what": "drop", "result": "1"}, "goes with `happened`"),
        (GateKind.QUESTION, {}, "give the answer as JSON"),
        (GateKind.QUESTION, {"what": "1", "result": "1"}, "give the answer as JSON"),
        (GateKind.QUESTION, {"what": "yes please"}, "the answer is not JSON"),
    ],
)
def test_an_answer_that_the_gate_does_not_take_is_wrong_usage(
    kind: GateKind, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidRequest, match=says):
        typed(kind, **more)


def test_a_list_of_cases_never_breaks_an_id_and_says_why() -> None:
    now = datetime.now(UTC)
    rows = [
        CaseSummary(
            case="shipments:AWB-3185",
            agent="shipments",
            state=State.REFUSED,
            started=now - timedelta(minutes=4),
            closed=now,
            why="costs more than a tenth of what the goods are worth, and much more than that",
        ),
        CaseSummary(
            case="shipments:AWB-1161",
            agent="shipments",
            state=State.WAITING,
            waiting_for=("logistics-lead",),
            deadline=now + timedelta(hours=7, minutes=1),
            started=now - timedelta(hours=1),
            why="costs more than 200 EUR extra",
        ),
    ]
    printed = io.StringIO()
    console = Console(width=80, file=printed)
    console.print(table_of_cases(rows))
    head, refused, waits = printed.getvalue().splitlines()
    assert head.split()[:3] == ["case", "state", "began"]
    assert refused.startswith("shipments:AWB-3185  refused")
    assert "4 min ago" in refused
    assert "costs more" in refused
    assert "logistics-lead: costs" in waits


def test_a_query_of_several_states_and_a_time() -> None:
    since = datetime(2026, 11, 1, tzinfo=UTC)
    asked = cases_query(state=("failed", "rolled-back"), since=since)
    assert "(HandrailState = 'failed' OR HandrailState = 'rolled_back')" in asked
    assert "StartTime >= '2026-11-01T00:00:00+00:00'" in asked
