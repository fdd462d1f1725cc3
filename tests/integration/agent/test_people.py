"""People at the gate: proven rulings, questions, delegations, second thoughts, standing words."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import State
from handrail.guardrails.context import WriteContext
from handrail.guardrails.entitlement import Entitlement
from handrail.ledger import MandateRow
from handrail.oversight import MANDATE_STATEMENT, Keyring, Mandate, SigningKey, Trust
from handrail.policy import Facts
from handrail.testing import Human, Outside
from handrail.testing.fixtures import RunFleet
from handrail.wire import Attempt, DoubtAnswer
from tests.agents.fleets import LARGE, LEAD, orders, policy, put_policy
from tests.agents.orders_steps import Order, Post

pytestmark = pytest.mark.integration

ORDER = Order(number="1", amount=Decimal(300))
PAID = ["orders:1/pay/1"]
NAMES = ("ana", "bo", "cy", "eve")
BOSS = {"people": ["cy@example.com"], "deadline": {"after": "24h", "then": "refuse"}}


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "trusted.json")


@pytest.fixture
def trust(keyring: Keyring) -> Trust:
    return Trust(keyring=keyring)


@pytest.fixture
def somebody(keyring: Keyring) -> Callable[[str], Human]:
    """People with keys that the keyring trusts."""

    def made(name: str) -> Human:
        key = SigningKey.new(f"{name}@example.com", datetime.now(UTC))
        keyring.trust(key.public())
        return Human(f"{name}@example.com", key)

    return made


Somebody = Callable[[str], Human]


async def test_a_proven_ruling_lets_exactly_this_happen_and_is_kept(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana = somebody("ana")
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        assert seen.proof == "required"
        record = await ana.approve(case, seen, why="fine")
        outcome = await case.outcome()
        kept = await stage.ledger.rulings(case=case.id)
    assert (record.accepted, record.proven, record.via) == (True, True, "key")
    assert outcome.status is State.DONE
    assert outside.effects("pay") == PAID
    assert [(r.by, r.verb, r.effect) for r in kept] == [("ana@example.com", "approve", PAID[0])]


async def test_a_bare_signal_counts_for_nothing_and_the_case_shows_why(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        case = await stage.start("orders", ORDER)
        record = await Human("ana@example.com").approve(case)
        view = await case.view()
    assert "counts only proven rulings" in record.note
    assert any("counts only proven rulings" in line.text for line in view.log)
    assert view.state is State.WAITING
    assert outside.effects("pay") == []


async def test_a_key_that_is_revoked_after_the_ruling_lets_nothing_happen_and_another_does(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana = somebody("ana")
    assert ana.key is not None
    assert trust.keyring is not None
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        await case.send("pause", {})
        await case.until(lambda view: view.state is State.PAUSED)
        assert (await ana.approve(case, seen)).accepted
        trust.keyring.revoke(ana.key.kid, datetime.now(UTC), "lost")
        await case.send("resume", {})
        again = await case.gate(but=seen)
        assert outside.effects("pay") == []
        assert "0 of 1 approvals" in again.why or any(
            "0 of 1 approvals" in finding.why for finding in again.findings
        )
        newer = SigningKey.new(ana.address, datetime.now(UTC))
        trust.keyring.trust(newer.public())
        assert (await Human(ana.address, newer).approve(case, again)).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("pay") == PAID


async def test_an_approval_is_taken_back_before_it_is_used(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana, bo = somebody("ana"), somebody("bo")
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        await case.send("pause", {})
        await case.until(lambda view: view.state is State.PAUSED)
        assert (await ana.approve(case, seen)).accepted
        assert not (await bo.revoke(case, seen)).accepted
        assert (await ana.revoke(case, seen)).accepted
        await case.send("resume", {})
        again = await case.gate(but=seen)
        assert outside.effects("pay") == []
        assert (await bo.approve(case, again)).accepted
        assert (await case.outcome()).status is State.DONE
        assert not (await _late(ana, case, again)).accepted
    assert outside.effects("pay") == PAID


async def _late(human: Human, case: Any, seen: Any) -> Any:
    """Revoke when the case is over: it is told so by Temporal, and nothing changes."""
    try:
        return await human.revoke(case, seen)
    except Exception as error:  # noqa: BLE001  # whatever the server says
        return type("Refused", (), {"accepted": False, "note": str(error)})


async def test_who_amends_does_not_approve_the_amendment(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana, bo = somebody("ana"), somebody("bo")
    fleet = orders(tmp_path, policy(drafter="may not approve"))
    async with run_fleet(fleet, trust=trust) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        assert (await ana.amend(case, {"amount": "250"}, seen)).accepted
        again = await case.gate(but=seen)
        assert again.action["amount"] == "250"
        assert again.barred == ("ana@example.com",)
        assert again.before == seen.action
        refused = await ana.approve(case, again)
        assert "wrote this amendment" in refused.note
        assert outside.effects("pay") == []
        assert (await bo.approve(case, again)).accepted
        assert (await case.outcome()).status is State.DONE
    assert [call.body for call in outside.calls("pay")] == [{"order": "1", "amount": "250"}]


async def test_a_place_is_delegated_to_a_deputy_and_to_nobody_else(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana, cy, eve = somebody("ana"), somebody("cy"), somebody("eve")
    fleet = orders(tmp_path, policy(roles={"lead": LEAD | {"deputies": ["cy@example.com"]}}))
    async with run_fleet(fleet, trust=trust) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        assert not (await cy.approve(case, seen)).accepted
        assert "not to eve@example.com" in (await ana.delegate(case, eve.address, seen)).note
        assert (await ana.delegate(case, cy.address, seen)).accepted
        assert "has delegated" in (await ana.approve(case, seen)).note
        record = await cy.approve(case, seen)
        assert (record.accepted, record.stands_for) == (True, "ana@example.com")
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("pay") == PAID


async def test_a_question_to_the_agent_is_answered_and_shown(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana = somebody("ana")
    async with run_fleet(orders(tmp_path, policy(agent="curious")), trust=trust) as stage:
        case = await stage.start("curious", ORDER)
        seen = await case.gate()
        assert (await ana.ask(case, "why so dear?", "agent", seen)).accepted
        view = await case.until(lambda view: view.gates[0].asked[0].answer is not None)
        assert view.gates[0].asked[0].answer == "about 1: WHY SO DEAR?"
        assert (await ana.ask(case, "break", "agent", seen)).accepted
        view = await case.until(lambda view: view.gates[0].asked[1].answer is not None)
        assert "could not answer: no idea" in (view.gates[0].asked[1].answer or "")
        memo = await (await case.handle.describe()).memo_value("gates")
        assert memo[0]["asked"][0]["answer"] == "about 1: WHY SO DEAR?"
        assert (await ana.approve(case, seen)).accepted
        assert (await case.outcome()).status is State.DONE


async def test_a_colleague_is_asked_answers_and_only_they_may(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana, bo, eve = somebody("ana"), somebody("bo"), somebody("eve")
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        assert (
            "people whom the policy names"
            in (await ana.ask(case, "is it right?", eve.address, seen)).note
        )
        assert (await ana.ask(case, "is it right?", bo.address, seen)).accepted
        assert not (await eve.answer(case, "yes", seen, question="q1")).accepted
        assert (await bo.answer(case, "yes", seen, question="q1")).accepted
        view = await case.view()
        assert view.gates[0].asked[0].answer == "yes"
        assert (await bo.approve(case, seen)).accepted
        assert (await case.outcome()).status is State.DONE


async def test_an_agent_asks_a_person_and_gets_a_typed_answer(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana = somebody("ana")
    async with run_fleet(orders(tmp_path, policy(agent="curious")), trust=trust) as stage:
        case = await stage.start("curious", Order(number="1", parts=("wait",)))
        seen = await case.gate()
        assert seen.title == "Is order 1 urgent?"
        form: dict[str, Any] = await case.handle.query("form", seen.gate)
        assert form["properties"]["parcels"]["maximum"] == 9
        wrong = {"urgent": True, "parcels": 99}
        record = await ana.answer(case, None, seen, result=wrong)
        assert "parcels" in record.note
        right = {"urgent": True, "carrier": "rail", "parcels": 2}
        assert (await ana.answer(case, None, seen, result=right)).accepted
        outcome = await case.outcome()
    assert (outcome.status, outcome.why) == (State.DONE, "rail, 2, True")


async def test_a_standing_approval_lets_such_as_this_happen_and_not_once_more(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana = somebody("ana")
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        await stage.ledger.add_mandate(_mandate(ana, uses=2, up_to={"amount": Decimal(400)}))
        for number, amount, state in (
            ("1", 300, State.DONE),
            ("2", 401, State.WAITING),
            ("3", 400, State.DONE),
            ("4", 300, State.WAITING),
        ):
            case = await stage.start("orders", Order(number=number, amount=Decimal(amount)))
            await case.until(lambda view, state=state: view.state is state)
        [row] = await stage.ledger.mandates("orders")
    assert row.used == 2
    assert sorted(outside.effects("pay")) == ["orders:1/pay/1", "orders:3/pay/1"]


async def test_no_standing_approval_is_for_what_cannot_be_undone(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana = somebody("ana")
    held = {"autonomy": "supervised"}
    fleet = orders(tmp_path, policy(actions={"post": held, "ship": held}))
    async with run_fleet(fleet, trust=trust) as stage:
        for step in ("post", "ship"):
            row = _mandate(ana, step=step, uses=5, same={"order": "1"})
            await stage.ledger.add_mandate(row)
        case = await stage.start("orders", Order(number="1", parts=("ship", "post")))
        seen = await case.gate()
    assert seen.step == "post"
    assert outside.effects("ship") == ["orders:1/ship/1"]
    assert outside.effects("post") == []


def _mandate(human: Human, *, step: str = "pay", **more: Any) -> MandateRow:
    assert human.key is not None
    now = datetime.now(UTC)
    mandate = Mandate(
        id=uuid.uuid4().hex,
        kind="standing",
        by=human.address,
        agent="orders",
        begins=now - timedelta(minutes=1),
        ends=now + timedelta(hours=8),
        step=step,
        role="lead",
        **more,
    )
    text = MANDATE_STATEMENT.sign(mandate, human.key, now)
    return MandateRow(
        id=mandate.id,
        kind="standing",
        agent="orders",
        by=human.address,
        to=None,
        begins=mandate.begins,
        ends=mandate.ends,
        text=text,
    )


async def test_two_roles_need_two_people(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana, bo = somebody("ana"), somebody("bo")
    finance = {"people": ["ana@example.com"], "deadline": {"after": "8h", "then": "refuse"}}
    held = [{"when": "action.amount > 200", "why": "dear", "for": ["lead", "finance"]}]
    document = policy(
        actions={"pay": LARGE | {"hold": held}}, roles={"lead": LEAD, "finance": finance}
    )
    document["for"] = "lead"
    async with run_fleet(orders(tmp_path, document), trust=trust) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        assert (await ana.approve(case, seen)).accepted
        assert outside.effects("pay") == []
        assert not (await ana.approve(case, seen)).accepted
        assert (await bo.approve(case, seen)).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("pay") == PAID


async def test_above_their_limit_people_are_not_asked_and_may_not(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana, cy = somebody("ana"), somebody("cy")
    lead = LEAD | {
        "up to": "action.amount <= 250",
        "deadline": {"after": "8h", "then": "escalate", "to": "boss"},
    }
    alone = {"autonomy": "supervised", "for": "boss"}
    others: dict[str, Any] = dict.fromkeys(("ship", "post", "call"), alone)
    fleet = orders(tmp_path, policy(actions=others, roles={"lead": lead, "boss": BOSS}))
    async with run_fleet(fleet, trust=trust) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        assert seen.waiting_for == ("boss",)
        assert not (await ana.approve(case, seen)).accepted
        assert (await cy.approve(case, seen)).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("pay") == PAID


async def test_a_person_removed_while_waiting_counts_no_more(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana, bo = somebody("ana"), somebody("bo")
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        without = {"lead": LEAD | {"people": ["bo@example.com"]}}
        put_policy(tmp_path, policy(roles=without, version=2))
        assert "belongs to no role" in (await ana.approve(case, seen)).note
        assert (await bo.approve(case, seen)).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("pay") == PAID


async def test_a_ruling_of_one_case_is_none_of_another(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana = somebody("ana")
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        one = await stage.start("orders", ORDER)
        two = await stage.start("orders", Order(number="2", amount=Decimal(300)))
        seen = await two.gate()
        signed = ana.signed("approve", one.id, ana.ruling(seen))
        await two.send("approve", signed)
        view = await two.until(lambda view: bool(view.rulings))
    assert "does not hold" in view.rulings[0].note
    assert outside.effects("pay") == []


async def test_what_is_planted_is_asked_about_and_never_done_whatever_people_say(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana, bo = somebody("ana"), somebody("bo")
    document = policy(planted="100%", actions={"ship": {"autonomy": "supervised"}})
    async with run_fleet(orders(tmp_path, document), trust=trust) as stage:
        case = await stage.start("orders", Order(number="1", parts=("ship",)))
        bad = await case.gate()
        assert bad.action == {"order": "1 to nowhere"}
        assert "planted" not in bad.model_dump_json(exclude_defaults=True)
        assert (await ana.approve(case, bad)).accepted
        real = await case.gate(but=bad)
        assert real.action == {"order": "1"}
        assert outside.calls("ship") == []
        assert (await bo.approve(case, real)).accepted
        assert (await case.outcome()).status is State.DONE
        kept = {row.by: row.planted for row in await stage.ledger.rulings(case=case.id)}
        view = await case.view()
    assert kept == {"ana@example.com": True, "bo@example.com": False}
    assert [closed.planted for closed in view.closed] == [True, False]
    assert [call.body for call in outside.calls("ship")] == [{"order": "1"}]


async def test_nobody_is_asked_twice_about_what_is_planted(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana, bo = somebody("ana"), somebody("bo")
    document = policy(
        planted="100%", drafter="may not approve", actions={"ship": {"autonomy": "supervised"}}
    )
    async with run_fleet(orders(tmp_path, document), trust=trust) as stage:
        case = await stage.start("orders", Order(number="1", parts=("ship",)))
        bad = await case.gate()
        assert (await ana.reject(case, bad, why="nobody ordered that")).accepted
        real = await case.gate(but=bad)
        assert (await ana.amend(case, {"order": "one"}, real)).accepted
        again = await case.gate(but=real)
        assert again.action == {"order": "one"}
        assert (await bo.approve(case, again)).accepted
        assert (await case.outcome()).status is State.DONE
    assert [call.body for call in outside.calls("ship")] == [{"order": "one"}]


@pytest.mark.usefixtures("short_grace")
async def test_an_answer_to_a_doubt_is_proven_and_good_for_that_doubt_alone(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust, somebody: Somebody
) -> None:
    ana = somebody("ana")
    outside.break_down("post", "after", times=2)
    fleet = orders(tmp_path)
    async with run_fleet(fleet, trust=trust) as stage:
        case = await stage.start("orders", Order(number="1", parts=("post",)))
        seen = await case.gate()
        assert not (await Human(ana.address).answer(case, "do it", seen)).accepted
        assert len(outside.calls("post")) == 1
        said = await ana.answer(case, "do it", seen)
        assert (said.accepted, said.proven) == (True, True)
        again = await case.gate(but=seen)
        assert len(outside.calls("post")) == 2
        agent = fleet.agent("orders")
        policy = agent.policy_file.current()
        facts = Facts("post", Post(order="1"), None, None, case.id, None)
        row = await stage.ledger.effect("orders:1/post/1")
        assert row is not None
        replayed = Attempt(
            case=case.id,
            key=row.key,
            digest=row.digest,
            rulings=(said,),
            doubt=DoubtAnswer(answer="do it", by=ana.address, token=row.owner),
        )
        humans = Entitlement("orders", stage.ledger, trust)
        assert not await humans.answered(WriteContext("orders", policy, facts, replayed))
        assert (await ana.answer(case, "happened", again, result="post-1")).accepted
        outcome = await case.outcome()
        kept = await stage.ledger.rulings(case=case.id)
    assert [(r.how, r.result) for r in outcome.receipts] == [("confirmed", "post-1")]
    assert len({row.effect for row in kept}) == 2
    assert all((row.effect or "").startswith("orders:1/post/1!") for row in kept)
