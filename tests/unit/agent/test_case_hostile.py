"""Rulings made to break the judge: whatever is in them is recorded, and nothing is raised."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import JsonValue, TypeAdapter, field_validator
from temporalio.api.common.v1 import Payload

from handrail.actions import Action, Ask, RoleStage, RulingRecord, Terms, digest_of
from handrail.agent.case import MAX_RECORDED, MAX_UNPROVEN, Case, Pending
from handrail.agent.escalation import AnswerModel
from handrail.oversight import GateKind, Question, case_markdown
from handrail.wire import ProofRequest, ProofResult

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROVEN, UNPROVEN = ProofResult(proven=True), ProofResult(proven=False)
TO_CY = {"cy@x.org"}


class Pay(Action):
    """Pay."""

    order: str = "1"
    price: float = 1.0
    note: JsonValue = None

    @field_validator("note")
    @classmethod
    def _looked_up(cls, note: JsonValue) -> JsonValue:
        if isinstance(note, str):
            return {"known": 1}[note]
        return note


ACTION = Pay().model_dump(mode="json")
DIGEST = digest_of("pay", ACTION)
LEAD = RoleStage(
    role="lead", people=("ana@x.org",), after=timedelta(hours=1), deputies=tuple(sorted(TO_CY))
)


def asked(**terms: Any) -> Case:
    case = Case()
    case.begin("orders:1", "Fulfils orders.", None, None, NOW)
    question = Question(
        kind=GateKind.WRITE,
        step="pay",
        title="Pay",
        action=ACTION,
        digest=DIGEST,
        why="w",
        asks=(Ask(stages=(LEAD,)),),
        terms=Terms(**terms),
    )
    case.ask("g1", question, AnswerModel(Pay, TypeAdapter(Pay)), "orders:1/pay/1", NOW)
    return case


def ruling(**changes: Any) -> dict[str, Any]:
    return {"gate": "g1", "digest": DIGEST, "by": "ana@x.org"} | changes


def sent(case: Case, verb: str, text: bytes, *, kept: bool = False) -> RulingRecord | Pending:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=text)
    return case.receive(verb, [payload], NOW, kept=kept)


def read_and_judged(case: Case, verb: str, text: bytes, proof: ProofResult) -> RulingRecord:
    """Send a ruling, and let what a class says of it come back from an activity."""
    came = sent(case, verb, text, kept=True)
    if isinstance(came, RulingRecord):
        return came
    request = ProofRequest.model_validate_json(case.proving()[1].model_dump_json())
    case.pending.remove(came)
    (reading,) = request.readings
    return case.prove(came, proof.model_copy(update={"reading": reading}))


def proven(case: Case, verb: str, **changes: Any) -> RulingRecord:
    """Send a ruling that brings a proof, and let it be a good one."""
    came = sent(case, verb, json.dumps(ruling(**changes)).encode())
    if isinstance(came, RulingRecord):
        return came
    case.pending.remove(came)
    return case.prove(came, PROVEN)


HOSTILE: dict[str, str] = {
    "half a character": '{"order": "\\ud800"}',
    "half a character in a free field": '{"note": ["\\udfff"]}',
    "half a character as a name": '{"note": {"\\ud800": 1}}',
    "no number": '{"price": NaN}',
    "a number without end": '{"price": 1e999}',
    "a name twice": '{"order": "2", "order": "3"}',
    "what the agent's own validator does not expect": '{"note": "unknown"}',
    "nested 200 deep": '{"order": ' + "[" * 200 + "]" * 200 + "}",
    "nested 900 deep": '{"note": ' + "[" * 900 + "]" * 900 + "}",
    "a number of 5000 digits": '{"price": ' + "9" * 5_000 + "}",
}


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("brings_proof", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_an_amendment_made_to_break_the_judge_is_refused(
    name: str,
    brings_proof: bool,  # noqa: FBT001
    kept: bool,  # noqa: FBT001
) -> None:
    case = asked(proof="required" if brings_proof else "unproven")
    head = json.dumps(ruling(proof="x.y.z") if brings_proof else ruling())[:-1]
    text = f'{head}, "action": {HOSTILE[name]}}}'.encode()
    if kept:
        record = read_and_judged(case, "amend", text, PROVEN if brings_proof else UNPROVEN)
    else:
        record = sent(case, "amend", text)
    assert isinstance(record, RulingRecord)
    assert not record.accepted
    assert 0 < len(record.note) <= 500
    assert case.gates["g1"].closed is None
    assert json.loads(case.view().model_dump_json())["rulings"][0]["accepted"] is False
    case_markdown(case.view()).encode()


def test_a_result_that_the_agents_own_validator_does_not_expect_is_refused() -> None:
    case = asked()
    doubtful = case.gates["g1"].question.model_copy(update={"kind": GateKind.IN_DOUBT})
    case.gates["g1"] = case.gates["g1"].model_copy(update={"question": doubtful})
    said = ruling(answer="happened", result={"note": "unknown"})
    record = sent(case, "answer", json.dumps(said).encode())
    assert isinstance(record, RulingRecord)
    assert (record.accepted, "KeyError" in record.note) == (False, True)


def test_utf_16_is_no_json_of_ours() -> None:
    record = sent(asked(), "approve", json.dumps(ruling()).encode("utf-16"))
    assert isinstance(record, RulingRecord)
    assert record.note == "it is not JSON"


# A proof counts once: whoever reads the history has it.


def test_a_delegation_that_was_taken_back_is_not_brought_back_by_its_old_proof() -> None:
    case = asked(proof="required")
    given = {"to": "cy@x.org", "proof": "one"}
    assert proven(case, "delegate", **given).accepted
    assert proven(case, "revoke", proof="two").accepted
    replayed = proven(case, "delegate", **given)
    assert (replayed.accepted, "counts once" in replayed.note) == (False, True)
    assert not proven(case, "approve", by="cy@x.org", proof="three").accepted
    assert proven(case, "delegate", to="cy@x.org", proof="four").accepted
    assert proven(case, "approve", by="cy@x.org", proof="five").accepted


def test_an_old_revocation_takes_nothing_back_again() -> None:
    two = Ask(stages=(LEAD.model_copy(update={"people": ("ana@x.org", "bo@x.org"), "quorum": 2}),))
    case = asked(proof="required")
    question = case.gates["g1"].question.model_copy(update={"asks": (two,)})
    case.ask("g1", question, AnswerModel(Pay), "orders:1/pay/1", NOW)
    assert proven(case, "approve", proof="one").accepted
    assert proven(case, "revoke", proof="two").accepted
    assert not proven(case, "approve", proof="one").accepted
    assert proven(case, "approve", proof="three").accepted
    assert not proven(case, "revoke", proof="two").accepted
    assert proven(case, "approve", by="bo@x.org", proof="four").accepted
    assert case.gates["g1"].closed is not None


def test_a_question_that_is_sent_again_is_asked_once() -> None:
    case = asked(proof="required")
    question = {"to": "agent", "why": "why?", "proof": "one"}
    records = [proven(case, "ask", **question) for _ in range(3)]
    assert [record.accepted for record in records] == [True, False, False]


# A flood of rulings that wait to be proven keeps no gate from its end.


def test_only_what_came_in_time_is_waited_for() -> None:
    case = asked(proof="required")
    came = sent(case, "approve", json.dumps(ruling(proof="x.y.z")).encode())
    assert isinstance(came, Pending)
    assert case.proves("g1")
    case.pending.remove(came)
    over = NOW + timedelta(hours=1)
    late = Pending(2, "approve", came.ruling, over)
    case.pending.append(late)
    assert not case.proves("g1")


def test_beyond_a_number_what_brings_no_proof_is_only_counted() -> None:
    case = asked(proof="required")
    text = json.dumps(ruling()).encode()
    record = [sent(case, "approve", text) for _ in range(MAX_RECORDED + 7)][-1]
    assert isinstance(record, RulingRecord)
    assert (record.accepted, "only proven rulings" in record.note) == (False, True)
    assert (len(case.rulings), case.ignored) == (MAX_RECORDED, 7)
    assert proven(case, "approve", proof="one").accepted


def test_beyond_a_number_nothing_more_waits_to_be_proven() -> None:
    case = asked(proof="required")
    text = json.dumps(ruling(proof="x.y.z")).encode()
    record = [sent(case, "approve", text) for _ in range(MAX_UNPROVEN + 1)][-1]
    assert isinstance(record, RulingRecord)
    assert "send it again" in record.note
    assert len(case.pending) == MAX_UNPROVEN
