"""Writes that nobody can know of: a human is asked, and nothing is repeated before."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from handrail import State
from handrail.agent import activities, heartbeats, verbs
from handrail.ledger import IncidentRow
from handrail.oversight import LIFTED_SIGNAL, GateKind
from handrail.testing import CaseHandle, Human, Outside, Stage, eventually, interrupted
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order
from tests.agents.tools import receipt_comes

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("short_grace")]

ANA = Human("ana@example.com")


async def doubtful(stage: Stage, outside: Outside, *parts: str) -> CaseHandle:
    """A case whose letter was posted, and the answer lost."""
    outside.break_down("post", "after")
    order = Order.model_validate({"number": "1", "parts": [*parts, "post"]})
    return await stage.start("orders", order)


async def test_a_write_in_doubt_is_asked_about_and_not_repeated(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await doubtful(stage, outside)
        seen = await case.gate()
        assert (seen.kind, seen.step, seen.waiting_for) == (GateKind.IN_DOUBT, "post", ("lead",))
        assert seen.action == {"order": "1"}
        assert "cannot be asked" in seen.why
        await case.pass_time(timedelta(hours=7))
        assert len(outside.calls("post")) == 1


@pytest.mark.parametrize("told", [True, False])
async def test_a_question_is_withdrawn_when_the_receipt_comes_late(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, *, told: bool
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await doubtful(stage, outside)
        seen = await case.gate()
        await case.send(LIFTED_SIGNAL)  # anybody may send it, and nothing has come yet
        await case.pass_time(timedelta(minutes=1))
        assert (await case.gate()).gate == seen.gate
        await receipt_comes(stage, case)
        if told:
            await case.send(LIFTED_SIGNAL)
        else:
            await case.pass_time(timedelta(minutes=5))
        outcome = await case.outcome()
        view = await case.view()
    assert outcome.status is State.DONE
    assert [(r.how, r.result) for r in outcome.receipts] == [("written", "post-1")]
    assert outcome.rulings == ()
    assert [gate.closing.how for gate in view.closed] == ["withdrawn"]
    assert any("its receipt came at" in line.text for line in view.log)
    assert outside.effects("post") == ["orders:1/post/1"]


async def test_an_attempt_that_was_taken_for_over_tells_its_case_of_its_receipt(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activities, "BEAT", timedelta(hours=1))
    for module in (verbs, heartbeats):
        monkeypatch.setattr(module, "HEARTBEAT", timedelta(seconds=1))
    async with run_fleet(orders(tmp_path)) as stage:
        with outside.kept_waiting("pay"):
            case = await stage.start("orders", Order(number="1", parts=("pay", "wait")))

            async def second() -> bool:
                pending = (await case.handle.describe()).raw_description.pending_activities
                return any(each.attempt > 1 for each in pending)

            await eventually(second)
        signaled = "workflow_execution_signaled_event_attributes"

        async def told() -> list[str]:
            events = (await case.history()).events
            came = (getattr(event, signaled) for event in events if event.HasField(signaled))
            return [signal.signal_name for signal in came]

        assert set(await eventually(told)) == {LIFTED_SIGNAL}
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_what_happens_when_its_case_is_over_is_an_incident(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeats, "HEARTBEAT", timedelta(0))
    async with run_fleet(orders(tmp_path)) as stage:
        with outside.kept_waiting("post"):
            case = await stage.start("orders", Order(number="1", parts=("post",)))
            await outside.arrived("post")
            await case.handle.terminate()

        async def kept() -> list[IncidentRow]:
            return await stage.ledger.incidents("orders")

        (incident,) = await eventually(kept)
    assert (incident.case, incident.kind) == ("orders:1", "late")
    assert "happened after all, and its case had ended" in incident.what


@pytest.mark.parametrize("answer", ["do it", "happened"])
async def test_an_answer_that_crosses_with_the_receipt_doubles_nothing(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, answer: str
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await doubtful(stage, outside)
        seen = await case.gate()
        await receipt_comes(stage, case)
        result = {"result": "seen by hand"} if answer == "happened" else {}
        record = await ANA.answer(case, answer, seen, **result)
        outcome = await case.outcome()
        assert record.accepted, record.note
    assert [(r.how, r.result) for r in outcome.receipts] == [("written", "post-1")]
    assert outside.effects("post") == ["orders:1/post/1"]


async def test_it_happened_with_its_result(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await doubtful(stage, outside)
        wrong = await ANA.answer(case, "happened", result=7)
        assert not wrong.accepted
        assert "not what this write returns" in wrong.note
        assert (await ANA.answer(case, "happened", result="post-77")).accepted
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert [(r.how, r.result) for r in outcome.receipts] == [("confirmed", "post-77")]
    assert outside.effects("post") == ["orders:1/post/1"]


async def test_do_it_is_done_once(run_fleet: RunFleet, outside: Outside, tmp_path: Path) -> None:
    outside.break_down("post", "before")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("post",)))
        assert (await ANA.answer(case, "do it")).accepted
        outcome = await case.outcome()
    assert [r.how for r in outcome.receipts] == ["written"]
    assert outside.effects("post") == ["orders:1/post/1"]


async def test_do_it_holds_for_one_attempt_only(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("post", "before")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("post",)))
        first = await case.gate()
        with interrupted("write:after-effect"):
            assert (await ANA.answer(case, "do it", first)).accepted
            second = await case.gate(but=first)
        assert second.kind is GateKind.IN_DOUBT
        assert outside.effects("post") == ["orders:1/post/1"]
        stale = await ANA.answer(case, "do it", first)
        assert not stale.accepted
        assert (await ANA.answer(case, "happened", second, result="seen")).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("post") == ["orders:1/post/1"]


async def test_drop_leaves_it_in_doubt_and_says_so(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await doubtful(stage, outside)
        assert (await ANA.answer(case, "drop")).accepted
        outcome = await case.outcome()
        rows = await stage.ledger.effects(case.id)
    assert outcome.status is State.REJECTED
    assert "nobody knows whether it happened" in outcome.why
    assert outcome.receipts == ()
    assert [row.state for row in rows] == ["intended"]


async def test_a_doubt_that_nobody_resolves_expires_and_is_not_called_rejected(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await doubtful(stage, outside)
        await case.gate()
        await case.pass_time(timedelta(hours=8))
        outcome = await case.outcome()
    assert outcome.status is State.EXPIRED
    assert "nobody knows whether it happened" in outcome.why
    assert outside.effects("post") == ["orders:1/post/1"]


async def test_an_approval_is_no_answer_to_a_doubt(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await doubtful(stage, outside)
        seen = await case.gate()
        assert "does not take `approve`" in (await ANA.approve(case, seen)).note
        unknown = await ANA.answer(case, "maybe", seen)
        assert "must be one of" in unknown.note
        stranger = await Human("eve@example.com").answer(case, "do it", seen)
        assert "holds none of the roles" in stranger.note
        assert [gate.gate for gate in await case.gates()] == [seen.gate]
    assert len(outside.calls("post")) == 1


async def test_rolling_back_a_doubtful_case_undoes_it_if_it_is_there(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("call", "after")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "call")))
        await case.gate()
        await case.send("roll_back", {"by": "ops@example.com", "why": "wrong order"})
        outcome = await case.outcome()
    assert outcome.status is State.ROLLED_BACK
    assert outside.effects("uncall") == ["orders:1/call/2/undo"]
    assert outside.effects("refund") == ["orders:1/pay/1/undo"]


async def test_rolling_back_what_cannot_be_undone_says_so(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await doubtful(stage, outside, "pay")
        await case.gate()
        await case.send("roll_back")
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert "not undone: post (it may have happened)" in outcome.why
    assert outside.effects("refund") == ["orders:1/pay/1/undo"]
