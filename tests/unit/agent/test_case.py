"""The books of a case: what is sent is judged, recorded, and never raises."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from handrail import Decision, PlannedCall, State, ToolPlan, Untrusted
from handrail.actions import (
    Action,
    Ask,
    Receipt,
    RoleStage,
    RulingRecord,
    Wire,
    as_json,
    digest_of,
    undo_key,
)
from handrail.agent.case import MAX_RECORDED, Case, CaseSnapshot, Pending
from handrail.agent.escalation import AnswerModel, UndoEntry
from handrail.oversight import BadSignal, GateKind, Question, control_request, read_signal
from handrail.oversight.signals import MAX_RULING

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def judged(case: Case, verb: str, payloads: list[Payload], now: datetime) -> RulingRecord:
    record = case.receive(verb, payloads, now)
    assert isinstance(record, RulingRecord)
    return record


class Pay(Action):
    """Pay."""

    amount: int = 5


ACTION = Pay().model_dump(mode="json")
DIGEST = digest_of("pay", ACTION)
ASK = Ask(stages=(RoleStage(role="lead", people=("ana@x.org",), after=timedelta(hours=1)),))


def payload(data: bytes, encoding: str | None = "json/plain") -> Payload:
    return Payload(metadata={"encoding": encoding.encode()} if encoding else {}, data=data)


def asked() -> Case:
    case = Case()
    case.begin("orders:1", "Fulfils orders.", None, None, NOW)
    question = Question(
        kind=GateKind.WRITE,
        step="pay",
        title="Pay",
        action=ACTION,
        digest=DIGEST,
        why="w",
        asks=(ASK,),
    )
    case.ask("g1", question, AnswerModel(Pay), "pay:1/pay/1", NOW)
    return case


def ruling(**changes: Any) -> list[Payload]:
    good = {"gate": "g1", "digest": DIGEST, "by": "ana@x.org"} | changes
    return [payload(json.dumps(good).encode())]


@given(
    data=st.lists(st.binary(max_size=300), max_size=3),
    encoding=st.sampled_from(["json/plain", "binary/plain", "binary/null", "", None]),
    verb=st.sampled_from(["approve", "reject", "amend", "answer", "rule", "x" * 1000]),
)
def test_bytes_of_any_kind_are_recorded_and_change_nothing(
    data: list[bytes], encoding: str | None, verb: str
) -> None:
    case = asked()
    record = judged(case, verb, [payload(part, encoding) for part in data], NOW)
    assert not record.accepted
    assert record.note
    assert case.rulings == [record]
    assert [gate.id for gate in case.open_gates] == ["g1"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    verb=st.sampled_from(["approve", "reject", "amend", "answer"]),
    field=st.sampled_from(
        ["gate", "digest", "by", "why", "action", "answer", "result", "proof", "x"]
    ),
    value=json_values,
)
def test_any_value_in_any_field_is_judged_without_an_error(
    verb: str, field: str, value: Any
) -> None:
    case = asked()
    record = case.receive(verb, ruling(**{field: value}), NOW)
    case.view().model_dump_json()
    if isinstance(record, Pending):
        assert field == "proof"  # any text there is to be proven first
        assert case.gates["g1"].closed is None
    elif record.accepted:
        assert record.by == "ana@x.org"
        assert case.gates["g1"].closed is not None
    else:
        assert case.gates["g1"].closed is None


@given(data=st.binary(max_size=200), encoding=st.sampled_from(["json/plain", "binary/plain", None]))
def test_an_order_is_read_or_refused(data: bytes, encoding: str | None) -> None:
    with contextlib.suppress(BadSignal):
        assert control_request([payload(data, encoding)]).words("stopped").startswith("stopped")


@pytest.mark.parametrize("data", [b"", b"null", b'""', b"{}"])
def test_an_order_may_be_empty(data: bytes) -> None:
    assert control_request([payload(data)]).words("paused") == "paused"
    assert control_request([]).words("paused") == "paused"


def test_an_order_names_who_and_why() -> None:
    order = control_request([payload(b'{"by": "ops@x.org", "why": "audit"}')])
    assert order.words("paused") == "paused by ops@x.org (unproven): audit"


def test_several_values_are_no_order() -> None:
    with pytest.raises(BadSignal, match="several"):
        control_request([payload(b""), payload(b"")])


def test_a_ruling_that_is_too_large_is_not_even_parsed() -> None:
    with pytest.raises(BadSignal, match=str(MAX_RULING)):
        read_signal([payload(b"x" * (MAX_RULING + 1))])


def test_a_number_of_a_ruling_keeps_every_digit() -> None:
    read = read_signal([payload(b'{"action": {"a": 100000000000000000.01, "b": 0.5}}')])
    assert read == {"action": {"a": "100000000000000000.01", "b": 0.5}}
    for none in (b'{"a": 1e-99999999999999999999}', b'{"a": 1e400}', b'{"a": NaN}'):
        with pytest.raises(BadSignal, match="not JSON"):
            read_signal([payload(none)])


def test_refused_rulings_beyond_a_number_are_only_counted() -> None:
    case = asked()
    for _ in range(MAX_RECORDED + 7):
        judged(case, "approve", [], NOW)
    assert (len(case.rulings), case.ignored) == (MAX_RECORDED, 7)
    assert judged(case, "approve", ruling(), NOW).accepted
    assert case.rulings[-1].accepted


def test_a_late_ruling_finds_the_gate_expired_and_says_so_in_the_log() -> None:
    case = asked()
    record = judged(case, "approve", ruling(), NOW + timedelta(hours=1))
    assert "expired" in record.note
    assert "expired for lead" in [line.text for line in case.log]


def test_what_is_judged_only_changes_nothing() -> None:
    case = asked()
    record = case.judge("approve", ruling(), NOW)
    assert record.accepted
    assert case.gates["g1"].closed is None
    assert case.rulings == []


def entry(number: int) -> UndoEntry:
    return UndoEntry(
        key=f"orders:1/pay/{number}",
        step="pay",
        undo="refund",
        action=ACTION,
        digest=DIGEST,
        timeout=timedelta(seconds=30),
    )


def receipt(number: int) -> Receipt:
    return Receipt(key=f"orders:1/pay/{number}", step="pay", digest=DIGEST, at=NOW)


def test_a_write_is_registered_once_and_keeps_its_receipt() -> None:
    case = asked()
    for number in (1, 2, 1):
        case.register(entry(number))
    case.wrote(receipt(1), NOW)
    assert [(e.key[-1], e.receipt is not None) for e in case.undos] == [("2", False), ("1", True)]
    case.unregister("orders:1/pay/2")
    assert [e.key[-1] for e in case.undos] == ["1"]


def test_an_undo_has_a_key_of_its_own_that_never_changes() -> None:
    attempt = entry(3).attempt("orders:1", "d" * 64)
    assert attempt.key == undo_key("orders:1/pay/3") == "orders:1/pay/3/undo"
    assert attempt.undoes is not None
    assert attempt.undoes.key == "orders:1/pay/3"


def test_what_is_carried_into_the_next_run_is_all_that_counts() -> None:
    case = asked()
    judged(case, "approve", ruling(), NOW)
    case.writes, case.notices = 4, 2
    case.unsent.append("tell: nobody there")
    case.register(entry(1))
    case.wrote(receipt(1), NOW)
    case.plan = ToolPlan(calls=(PlannedCall(tool="pay", args={"to": "o1"}, times=0),))
    carried = CaseSnapshot.model_validate_json(case.carry(()).model_dump_json())
    later = Case()
    later.begin("orders:1", "Fulfils orders.", "cy@x.org", carried, NOW + timedelta(hours=9))
    kept = "writes notices undos receipts rulings moves unsent usage plan"
    for name in kept.split():
        assert getattr(later, name) == getattr(case, name), name
    assert later.state is State.WORKING
    assert later.gates == {}
    stale = judged(later, "approve", ruling(), NOW + timedelta(hours=9))
    assert "no gate g1" in stale.note


def test_what_two_decisions_on_one_action_rest_on_is_told_apart() -> None:
    class Told(Wire):
        vip: bool

    case, action = Case(), Pay(amount=1)
    case.sources.came_in(Untrusted(untrusted="I am a VIP"))
    on_a_word, on_a_read = (
        Decision(action=action, rationale="", confidence=1, evidence=Told(vip=vip)).basis()
        for vip in (True, False)
    )
    given = as_json(action)
    case.sources.decided(action, given, on_a_word, ("evidence.vip",), [])
    case.sources.decided(action, given, on_a_read, (), [])
    assert case.sources.unsourced(action, given, on_a_word) == ("evidence.vip",)
    assert case.sources.unsourced(action, given, on_a_read) == ()
    assert case.sources.unsourced(action, given, None) == ("evidence.vip",)
    assert case.sources.unsourced(Pay(amount=2), {"amount": 2}, on_a_read) == ("*",)
