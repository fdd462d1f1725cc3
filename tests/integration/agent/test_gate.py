"""The gate in a running case: who may let what happen, and what is asked again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from handrail import State
from handrail.testing import Human, Outside, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents import orders_checks
from tests.agents.fleets import LARGE, LEAD, orders, policy, put_policy
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration

ANA = Human("ana@example.com")
BO = Human("bo@example.com")
CY = Human("cy@example.com")
EVE = Human("eve@example.com")
ORDER = Order(number="1", amount=Decimal(300))
PAID = ["orders:1/pay/1"]
TWO: dict[str, Any] = {"lead": LEAD | {"quorum": 2}}


async def test_an_approval_lets_exactly_this_happen(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        assert seen.action == {"order": "1", "amount": "300"}
        assert seen.why == "costs more than 200 EUR: amount 300 > 200"
        assert seen.people == ("ana@example.com", "bo@example.com")
        record = await ANA.approve(case, seen, why="fine")
        outcome = await case.outcome()
    assert record.accepted
    assert (record.role, record.proven) == ("lead", False)
    assert outcome.status is State.DONE
    assert outcome.rulings == (record,)
    assert outside.effects("pay") == PAID
    assert outside.calls("pay")[0].body == seen.action


async def test_a_rejection_ends_the_case_as_rejected(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        assert (await BO.reject(case, why="too dear")).accepted
        outcome = await case.outcome()
    assert outcome.status is State.REJECTED
    assert outcome.why == "pay: rejected by bo@example.com (unproven): too dear"
    assert outside.effects("pay") == []


async def test_what_is_refused_reaches_no_human(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", amount=Decimal(1001)))
        outcome = await case.outcome()
        view = await case.view()
    assert outcome.status is State.REFUSED
    assert "more than anybody may spend" in outcome.why
    assert [move.state for move in view.moves] == ["working", "refused"]
    assert outside.effects("pay") == []


async def test_the_requester_may_not_approve_but_may_reject(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER, requested_by="Ana@Example.com")
        own = await ANA.approve(case)
        assert not own.accepted
        assert "may not approve it" in own.note
        other = await stage.start(
            "orders", Order(number="2", amount=Decimal(300)), requested_by=ANA.address
        )
        assert (await ANA.reject(other)).accepted
        assert (await BO.approve(case)).accepted
        assert (await case.outcome()).status is State.DONE
        assert (await other.outcome()).status is State.REJECTED


async def test_a_quorum_counts_distinct_people(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, policy(roles=TWO))) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        assert (await ANA.approve(case, seen)).accepted
        again = await ANA.approve(case, seen)
        disguised = await Human("  ANA@example.COM ").approve(case, seen)
        assert ("has ruled" in again.note, "has ruled" in disguised.note) == (True, True)
        assert (await case.gates())[0].given == ("ana@example.com",)
        assert outside.effects("pay") == []
        assert (await BO.approve(case, seen)).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("pay") == PAID


async def test_two_rules_with_two_roles_need_both(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    pay = LARGE | {
        "hold": [
            *[rule | {"for": "lead"} for rule in LARGE["hold"]],
            {"when": "evidence.stock < 10", "why": "the stock is low", "for": "warehouse"},
        ]
    }
    roles = {"lead": LEAD, "warehouse": LEAD | {"people": [CY.address]}}
    fleet = orders(tmp_path, policy(actions={"pay": pay}, roles=roles, **{"for": "lead"}))
    async with run_fleet(fleet) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        assert seen.waiting_for == ("lead", "warehouse")
        assert (await ANA.approve(case, seen)).accepted
        assert (await case.gates())[0].waiting_for == ("warehouse",)
        assert (await BO.approve(case, seen)).accepted
        assert outside.effects("pay") == []
        assert (await CY.approve(case, seen)).accepted
        assert (await case.outcome()).status is State.DONE


async def test_an_amendment_is_what_happens(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        assert (await ANA.amend(case, {"amount": "250"})).accepted
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert outside.calls("pay")[0].body == {"order": "1", "amount": "250"}
    assert outside.effects("pay") == PAID
    assert outcome.why == "fulfilled, 250 paid"


async def test_an_amendment_is_judged_like_any_other_action(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        assert (await ANA.amend(case, {"amount": "5000"})).accepted
        outcome = await case.outcome()
    assert outcome.status is State.REFUSED
    assert outside.effects("pay") == []


async def test_an_amendment_counts_for_one_and_the_others_are_asked_about_it(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, policy(roles=TWO))) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        assert (await ANA.amend(case, {"amount": "250"}, seen)).accepted
        again = await case.gate(but=seen)
        assert (again.action["amount"], again.given) == ("250", ("ana@example.com",))
        assert again.digest != seen.digest
        stale = await BO.approve(case, again, digest=seen.digest[:12])
        assert "digest" in stale.note
        assert (await BO.approve(case, again)).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.calls("pay")[0].body["amount"] == "250"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"amount": "lots"}, "amount: "),
        ({"amount": "300"}, "changes nothing"),
        ({"iban": "DE00"}, "iban: "),
    ],
)
async def test_a_bad_amendment_is_refused_and_the_gate_stays(
    changes: dict[str, str], said: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        record = await ANA.amend(case, changes)
        assert not record.accepted
        assert said in record.note
        assert (await ANA.approve(case)).accepted
        assert (await case.outcome()).status is State.DONE


async def test_a_ruling_by_update_is_answered_at_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        record = await case.update({"verb": "approve", **ANA.ruling(await case.gate())})
        assert record["accepted"]
        assert (await case.outcome()).status is State.DONE


@pytest.mark.parametrize(
    "bad",
    [
        ("approve", {"by": EVE.address}, "holds none of the roles"),
        ("approve", {"digest": "0" * 12}, "digest"),
        ("approve", {"gate": "1"}, "no gate 1"),
        ("approve", {"gate": 1}, "gate: "),
        ("approve", {"rush": True}, "rush: "),
        ("answer", {"answer": "happened"}, "does not take `answer`"),
        ("rule", {}, "does not take `rule`"),
    ],
)
async def test_a_bad_ruling_by_update_is_refused_and_leaves_no_history(
    bad: tuple[str, dict[str, Any], str], run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    verb, forged, said = bad
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        before = len((await case.history()).events)
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await case.update({"verb": verb, **ANA.ruling(seen, **forged)})
        assert isinstance(caught.value.cause, ApplicationError)
        assert said in caught.value.cause.message
        assert len((await case.history()).events) == before
        assert (await case.gates())[0].gate == seen.gate


async def test_a_policy_that_changed_while_people_thought_asks_again_and_counts_what_was_given(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        put_policy(tmp_path, policy(roles=TWO, version=2))
        assert (await ANA.approve(case, seen)).accepted
        again = await case.gate(but=seen)
        assert again.given == ("ana@example.com",)
        assert "1 of 2" in " ".join(finding.why for finding in again.findings)
        assert outside.effects("pay") == []
        assert (await BO.approve(case, again)).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("pay") == PAID


async def test_a_policy_that_now_refuses_outranks_the_approval(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        stricter = LARGE | {"refuse": [{"when": "action.amount > 250", "why": "money is short"}]}
        put_policy(tmp_path, policy(actions={"pay": stricter}, version=2))
        assert (await ANA.approve(case, seen)).accepted
        outcome = await case.outcome()
    assert outcome.status is State.REFUSED
    assert "money is short" in outcome.why
    assert outside.effects("pay") == []


async def test_who_was_dropped_from_the_policy_has_not_approved(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        without = {"lead": LEAD | {"people": [BO.address]}}
        put_policy(tmp_path, policy(roles=without, version=2))
        assert (await ANA.approve(case, seen)).accepted
        again = await case.gate(but=seen)
        assert again.people == (BO.address,)
        assert (await BO.approve(case, again)).accepted
        assert (await case.outcome()).status is State.DONE


async def test_under_a_broken_policy_nothing_is_written_and_it_goes_on_when_mended(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        (tmp_path / "orders.yaml").write_text("agent: orders\nversion: two\n")
        assert (await ANA.approve(case, seen)).accepted

        async def failing() -> str:
            pending = (await case.handle.describe()).raw_description.pending_activities
            return pending[0].last_failure.message if pending else ""

        why = await eventually(failing)
        assert "orders.yaml" in why
        assert "fix:" in why
        assert outside.effects("pay") == []
        put_policy(tmp_path, policy(version=3))
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("pay") == PAID


async def test_where_proof_is_required_nothing_unproven_lets_it_happen(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, policy(proof="required"))) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        record = await ANA.approve(case, seen)
        assert not record.accepted
        assert "only proven rulings" in record.note
        await case.pass_time(timedelta(hours=8))
        assert (await case.outcome()).status is State.EXPIRED
        assert len((await case.history()).events) < 60
    assert outside.effects("pay") == []


async def test_an_action_that_the_policy_does_not_list_is_held(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    document = policy()
    document["actions"] = {"pay": LARGE}
    async with run_fleet(orders(tmp_path, document)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("ship",)))
        seen = await case.gate()
        assert seen.why == "the policy does not list ship"
        assert outside.effects("ship") == []


@pytest.mark.parametrize(
    "shelf",
    [
        ("full", State.DONE, ""),
        ("empty", State.REFUSED, "there is none in stock"),
        ("raises", State.WAITING, "in_stock could not be checked: the shelf cannot be seen"),
        ("slow", State.WAITING, "in_stock could not be checked: no answer within"),
    ],
)
async def test_a_data_check_looks_right_before_the_write(
    shelf: tuple[str, State, str], run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    kept, status, said = shelf
    await outside.do("shelf", "1", kept)
    async with run_fleet(orders(tmp_path, checks=orders_checks)) as stage:
        case = await stage.start("orders", Order(number="1"))
        view = await case.until(lambda view: view.state is status)
    assert said in view.why
    assert outside.effects("pay") == (PAID if status is State.DONE else [])


async def test_a_data_check_looks_again_after_the_approval(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, checks=orders_checks)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        await outside.do("shelf", "1", "empty")
        assert (await ANA.approve(case, seen)).accepted
        outcome = await case.outcome()
    assert outcome.status is State.REFUSED
    assert outside.effects("pay") == []
