"""The client as a user's program works with it, on the real engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import Agent, Fleet, HandrailError, Receipt, State
from handrail.actions import digest_of
from handrail.client import Bounds, Operator, Statement, Term, gates
from handrail.exceptions import CaseError, InvalidRequest, NotFound, NotPermitted, RequestError
from handrail.inbox.web.directory import PolicyDirectory
from handrail.ledger import IncidentRow, Intent, ReviewRow
from handrail.oversight import (
    ORDER_STATEMENT,
    GateView,
    Keyring,
    NoOrder,
    NotProven,
    NotReviewed,
    OrderState,
    SigningKey,
    Trust,
)
from handrail.testing import CaseHandle, Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents import refunds_flow, refunds_steps
from tests.agents.fleets import put_policy
from tests.agents.refunds_steps import Complaint
from tests.agents.situations import (
    ANA,
    BO,
    BOSS,
    CY,
    DEE,
    EVE,
    EXPIRED,
    KEYLESS,
    POLICY,
    REVOKED,
    SITUATIONS,
    Situation,
)

pytestmark = pytest.mark.integration

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = {who: SigningKey.new(who, LONG_AGO) for who in (ANA, BO, BOSS, CY, EVE, EXPIRED, REVOKED)}
INBOX = SigningKey.new(None, LONG_AGO)


class Desk:
    """An agent at work, and operators for whoever acts."""

    def __init__(self, stage: Stage, keyring: Keyring, policies: Path) -> None:
        self.stage = stage
        self.keyring = keyring
        self.known = PolicyDirectory(policies, policies / "nobody.yaml")

    def as_(self, who: str | None, **more: Any) -> Operator:
        """An operator of somebody, with their key, if they have one."""
        given: dict[str, Any] = {"signer": KEYS.get(who or ""), "keyring": self.keyring}
        return Operator(self.stage.client, self.stage.ledger, by=who, **(given | more))

    async def asks(self, number: str, **more: Any) -> GateView:
        """A gate that is open."""
        return await (await self.case(number, **more)).gate()

    async def case(self, number: str, requester: str | None = None, **more: Any) -> CaseHandle:
        event = Complaint(number=number, **more)
        return await self.stage.start("refunds", event, requested_by=requester)


@pytest.fixture
async def desk(run_fleet: RunFleet, tmp_path: Path, outside: Outside) -> AsyncGenerator[Desk]:
    policies = tmp_path / "guardrails"
    policies.mkdir()
    path = put_policy(policies, POLICY)
    agent = Agent("refunds", refunds_flow.RefundAgent, steps=refunds_steps, policy=path)
    keyring = Keyring(tmp_path / "trusted.json")
    for key in (*KEYS.values(), INBOX):
        keyring.trust(key.public())
    keyring.expire(KEYS[EXPIRED].kid, LONG_AGO + timedelta(days=1), "a new one")
    keyring.revoke(KEYS[REVOKED].kid, LONG_AGO + timedelta(days=1), "it was stolen")
    trust = Trust(keyring=keyring, proof="required")
    async with run_fleet(Fleet(agent), trust=trust) as stage:
        yield Desk(stage, keyring, policies)


# What must be the same wherever it is done


async def done(desk: Desk, gate: GateView, each: Situation) -> str:
    """What whoever acts is told; empty where it is done."""
    operator = (
        desk.as_(each.who) if not each.via else desk.as_(each.who, via=each.via, signer=INBOX)
    )
    fields = dict(each.fields)
    try:
        match each.act:
            case "allow":
                up_to = {name: Decimal(most) for name, most in fields["up_to"].items()}
                term = Term(lasts=timedelta(hours=fields["hours"]))
                await operator.allow(gate, Bounds(uses=fields["uses"], term=term, up_to=up_to))
                return ""
            case "amend":
                result = await operator.amend(gate, fields)
            case "ask":
                result = await operator.ask(gate, fields.get("to", ""), fields.get("question", ""))
            case verb:
                to: dict[str, Any] = fields | ({"to": ""} if verb == "delegate" else {})
                result = await operator.rule(gate, verb, **to)
    except RequestError as error:
        return str(error)
    return "" if result.accepted else result.note


async def test_each_situation_ends_as_it_must(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, str] = {}
    real = gates.views_of
    # All are asked first: what one of them allows in advance would be asked no more.
    asked = [
        await desk.asks(f"R-{number}", requester=each.requester)
        for number, each in enumerate(SITUATIONS)
    ]
    for gate, each in zip(asked, SITUATIONS, strict=True):
        if each.before is not None:
            assert not await done(desk, gate, each.before)

        def shown(case: str, given: Any, changes: Mapping[str, Any] = each.shows) -> list[GateView]:
            return [view.model_copy(update=dict(changes)) for view in real(case, given)]

        monkeypatch.setattr(gates, "views_of", shown)
        told[each.name] = await done(desk, gate, each)
        monkeypatch.setattr(gates, "views_of", real)
    expected = {each.name: each.says for each in SITUATIONS}
    wrong = {
        name: (said, expected[name])
        for name, said in told.items()
        if expected[name] not in said or bool(said) != bool(expected[name])
    }
    assert wrong == {}


# Cases


async def test_a_program_starts_waits_rules_and_reads_the_outcome(desk: Desk) -> None:
    program = desk.as_(None, agents=desk.stage.fleet.agents)
    started = await program.start("refunds", {"number": "R-1"})
    assert started.model_dump(mode="json") == {
        "version": 1,
        "case": "refunds:R-1",
        "duplicate": False,
        "changed": False,
        "taken": False,
    }
    assert (await program.start("refunds", Complaint(number="R-1"))).duplicate
    waits = await program.wait(started.case)
    assert (waits.state, waits.outcome) == (State.WAITING, None)
    ana = desk.as_(ANA)
    listed = await ana.gates(person=ANA)
    assert (listed.total, listed.gates[0].case) == (1, started.case)
    form = await ana.form(listed.gates[0])
    assert form is not None
    assert "amount" in form["properties"]
    assert ana.rights(listed.gates[0]).approves
    ruled = await ana.approve(started.case, "the glass broke")
    assert (ruled.accepted, ruled.sent) == (True, "update")
    assert ruled.record is not None
    assert (ruled.record.by, ruled.record.proven, ruled.record.via) == (ANA, True, "key")
    over = await program.outcome(started.case, timedelta(seconds=60))
    assert over.outcome is not None
    assert over.outcome.status is State.DONE
    shown = await program.case(started.case)
    assert (shown.state, shown.worker_answered, shown.lacking) == (State.DONE, True, ())
    assert [receipt.step for receipt in shown.receipts] == ["refund"]
    assert [effect.state for effect in shown.effects or ()] == ["done"]
    (record,) = (await ana.rulings(prove=True)).rulings
    assert (record.by, record.proven, record.why) == (ANA, True, "")
    listing = await program.cases("refunds", state="done")
    assert (listing.total, listing.cases[0].case) == (1, started.case)


async def test_who_starts_a_case_asked_for_it_and_may_not_approve_it(desk: Desk) -> None:
    ana = desk.as_(ANA, agents=desk.stage.fleet.agents)
    started = await ana.start("refunds", {"number": "R-1"})
    await ana.wait(started.case)
    refused = await ana.approve(started.case)
    assert (refused.accepted, "may not approve" in refused.note) == (False, True)


async def test_an_agent_that_is_not_known_here_is_started_by_name(desk: Desk) -> None:
    program = desk.as_(None)
    with pytest.raises(InvalidRequest, match="has had no case yet"):
        await program.start("refunds", {"number": "R-1"}, key="R-1")
    with pytest.raises(InvalidRequest, match="which case"):
        await program.start("refunds", {"number": "R-1"}, workflow="RefundAgent")
    with pytest.raises(CaseError, match="characters that can be read"):
        await program.start("refunds", {"number": ""}, key=" ", workflow="RefundAgent")
    event: Any = {"number": "R-1", "amount": "10.00"}
    first = await program.start("refunds", event, key="R-1", workflow="RefundAgent")
    over = await program.outcome(first.case, timedelta(seconds=60))
    assert over.state is State.DONE
    known = desk.as_(None, agents=desk.stage.fleet.agents)
    with pytest.raises(InvalidRequest, match="it has the fields number, text, amount"):
        await known.start("refunds", {"numero": "R-2"})


async def test_cases_are_paused_resumed_and_rolled_back_and_one_failure_hides_no_other(
    desk: Desk,
) -> None:
    gate = await desk.asks("R-1")
    ana = desk.as_(ANA)
    told = await ana.pause(gate.case, "refunds:none", why="a look", wait=True)
    assert [(each.case, each.ok) for each in told.cases] == [
        (gate.case, True),
        ("refunds:none", False),
    ]
    assert "there is no case" in told.cases[1].error
    assert (await ana.resume(gate.case, wait=True)).cases[0].ok
    over = (await ana.roll_back(gate.case, wait=True)).cases[0]
    assert (over.ok, over.state) == (True, State.ROLLED_BACK)
    again = (await ana.roll_back(gate.case)).cases[0]
    assert again.error.endswith("is not rolled back: it was rolled back")


async def test_without_a_worker_what_waits_is_shown_and_a_ruling_is_left(
    run_fleet: RunFleet, tmp_path: Path, outside: Outside
) -> None:
    path = put_policy(tmp_path, POLICY | {"proof": "unproven"})
    agent = Agent("refunds", refunds_flow.RefundAgent, steps=refunds_steps, policy=path)
    async with run_fleet(Fleet(agent), workers=False) as stage:
        async with stage.fleet.running(stage.client, stage.ledger):
            case = await stage.start("refunds", Complaint(number="R-1"))
            await case.gate()
        ana = Operator(stage.client, by=ANA)
        shown = await ana.case(case.id)
        assert (len(shown.gates), shown.worker_answered, shown.effects) == (1, False, None)
        assert "no worker answers" in shown.lacking[0]
        left = await ana.approve(shown.gates[0])
        assert (left.accepted, left.sent) == (None, "signal")


# Gates


async def test_a_gate_is_found_by_its_id_its_beginning_and_its_case(desk: Desk) -> None:
    one, _ = await desk.asks("R-1"), await desk.asks("R-2")
    ana = desk.as_(ANA)
    assert (await ana.find(one.gate[:8])).gate == one.gate
    assert (await ana.find(one.case)).gate == one.gate
    assert (await ana.gate(one.case, one.gate)).digest == one.digest
    for named in ("", "nothing", "refunds:none"):
        with pytest.raises(CaseError):
            await ana.find(named)


async def test_a_gate_that_was_amended_meanwhile_is_not_ruled_on(desk: Desk) -> None:
    seen = await desk.asks("R-1")
    assert (await desk.as_(BO).amend(seen, {"account.holder": "Ida B."})).accepted
    case = desk.stage.case(seen.case)
    again = await case.gate(but=seen)
    assert again.action["account"]["holder"] == "Ida B."
    with pytest.raises(CaseError, match="has closed"):
        await desk.as_(ANA).approve(seen)
    refused = await desk.as_(BO).approve(again)
    assert (refused.accepted, "may not approve" in refused.note) == (False, True)
    assert (await desk.as_(ANA).approve(again)).accepted


async def test_questions_are_asked_answered_and_delegated(desk: Desk) -> None:
    gate = await desk.asks("R-1")
    ana, bo = desk.as_(ANA), desk.as_(BO)
    assert (await ana.ask(gate, BO, "have you seen it?")).accepted
    (asked,) = bo.rights(await bo.find(gate.case)).to_answer
    with pytest.raises(InvalidRequest, match="write your answer"):
        await bo.answer(gate, " ", question=asked.id)
    assert (await bo.answer(gate, "yes", question=asked.id)).accepted
    assert (await ana.delegate(gate, DEE)).accepted
    assert (await ana.revoke(gate)).accepted


async def test_the_agents_own_question_takes_a_typed_answer(desk: Desk) -> None:
    gate = await desk.asks("ASK-1")
    ana = desk.as_(ANA)
    wrong = await ana.answer(gate, result={"deserved": "perhaps"})
    assert wrong.accepted is False
    assert (await ana.answer(gate, result={"deserved": True})).accepted
    over = await ana.outcome(gate.case, timedelta(seconds=60))
    assert over.outcome is not None
    assert over.outcome.why == "50 % plain True"


# Mandates


async def test_what_is_allowed_with_an_approval_is_kept_only_if_the_case_takes_it(
    desk: Desk,
) -> None:
    own, other = await desk.asks("R-1", requester=BO), await desk.asks("R-2")
    dead = await desk.asks("R-3")
    bounds = Bounds(2, Term(lasts=timedelta(hours=8)), up_to={"amount": Decimal(100)})
    with pytest.raises(NotPermitted):
        await desk.as_(BO).approve(own, such_as=bounds)
    ruled = await desk.as_(ANA).approve(other, such_as=bounds)
    assert ruled.mandate is not None
    assert ruled.mandate.state == "in force"
    assert ruled.mandate.mandate is not None
    # Lists and objects are never free.
    assert sorted(ruled.mandate.mandate.same) == ["account", "articles"]
    (kept,) = (await desk.as_(ANA).mandates()).mandates
    assert kept.id == ruled.mandate.id
    await desk.as_(ANA).reject(dead, "no")
    with pytest.raises(CaseError):
        await desk.as_(ANA).approve(dead, such_as=bounds)
    assert len((await desk.as_(ANA).mandates(every=True)).mandates) == 1


async def test_a_mandate_is_revoked_by_who_gave_it_and_by_who_controls_the_agent(
    desk: Desk,
) -> None:
    day = Term(lasts=timedelta(days=1))
    ana = desk.as_(ANA, directory=desk.known)
    first, second = await ana.stand_in("refunds", DEE, day), await ana.stand_in("refunds", DEE, day)
    with pytest.raises(NotPermitted, match="only they revoke it"):
        await desk.as_(BO, directory=desk.known).revoke_mandate(first.id)
    assert (await ana.revoke_mandate(first.id)).state == "revoked"
    with pytest.raises(CaseError, match="was revoked already"):
        await ana.revoke_mandate(first.id)
    boss = desk.as_(BOSS, directory=desk.known)
    assert (await boss.revoke_mandate(second.id[:10])).revoked_by == BOSS
    shown = await boss.mandate(second.id)
    assert (shown.uses, shown.statement.count(".")) == ((), 2)
    with pytest.raises(NotFound, match="is no mandate"):
        await boss.mandate("nothing")


async def test_nobody_stands_in_whom_the_policy_does_not_let(desk: Desk) -> None:
    ana, day = desk.as_(ANA, directory=desk.known), Term(lasts=timedelta(days=1))
    with pytest.raises(NotPermitted, match=f"lets {DEE} stand in for {ANA}"):
        await ana.stand_in("refunds", CY, day)
    with pytest.raises(RequestError, match="another person"):
        await desk.as_(ANA).stand_in("refunds", ANA, day)
    for term in (Term(), Term(lasts=timedelta(1), ends=LONG_AGO), Term(ends=LONG_AGO)):
        with pytest.raises(InvalidRequest, match="end"):
            await ana.stand_in("refunds", DEE, term)
    with pytest.raises(NotProven, match="a mandate must be signed"):
        await desk.as_(KEYLESS).stand_in("refunds", DEE, day)


# Orders


async def test_a_stop_is_in_force_without_a_server_and_is_lifted_by_who_may(desk: Desk) -> None:
    alone = Operator(None, desk.stage.ledger, by="ops")
    stopped = await alone.stop("refunds/refund", why="  the bank is down ")
    assert (stopped.in_force, bool(stopped.untold)) == (True, True)
    (shown,) = (await alone.stops()).stops
    assert (shown.what, shown.by, shown.proven, shown.why) == (
        "refunds/refund",
        "ops",
        False,
        "the bank is down",
    )
    eve, boss = desk.as_(EVE), desk.as_(BOSS)
    (refused,) = (await eve.lift("refunds/refund")).lifted
    assert refused.stand is OrderState.REFUSED
    with pytest.raises(NotPermitted, match="does not let"):
        await desk.as_(EVE, directory=desk.known).lift("refunds/refund")
    (lifted,) = (await boss.lift(shown.id[:8], "mended")).lifted
    assert (lifted.stand, lifted.proven) == (OrderState.DONE, True)
    with pytest.raises(NotFound, match="nothing is in force"):
        await boss.lift("refunds/refund")
    (over,) = (await boss.stops(every=True)).stops
    assert (over.lifted_by, over.lifted_why) == (BOSS, "mended")


async def test_a_stop_of_a_case_that_never_was_does_not_stay(desk: Desk) -> None:
    ana, gate = desk.as_(ANA), await desk.asks("R-1")
    told = await ana.stop("refunds:none", gate.case, wait=True)
    assert [(each.case, each.ok) for each in told.cases] == [
        ("refunds:none", False),
        (gate.case, True),
    ]
    left = await desk.stage.ledger.orders(live=True)
    assert [row.case for row in left] == [gate.case]


async def test_the_inbox_stops_only_for_those_whom_a_policy_names(desk: Desk) -> None:
    as_eve = desk.as_(EVE, signer=INBOX, via="inbox", directory=desk.known)
    for target in ("refunds", "fleet"):
        with pytest.raises(NotPermitted, match="no policy names"):
            await as_eve.stop(target)
    as_dee = desk.as_(DEE, signer=INBOX, via="inbox", directory=desk.known)
    (shown,) = (await as_dee.stop("fleet")).stops
    assert (shown.what, shown.proven) == ("every agent", True)
    by_mail = desk.as_(ANA, signer=INBOX, via="mail")
    with pytest.raises(NotPermitted, match="sign in"):
        await by_mail.stop("refunds")


async def test_a_level_is_set_and_what_is_none_is_refused(desk: Desk) -> None:
    boss = desk.as_(BOSS)
    lower = await boss.set_level("refunds/refund", "supervised", why="a look")
    assert (lower.stand, lower.what) == (OrderState.IN_FORCE, "supervised for refunds/refund")
    share = await boss.set_level("refunds/refund", "full", "25%")
    assert share.stand is OrderState.IN_FORCE

    async def rollouts() -> bool:
        (shown,) = (await boss.autonomy("refunds")).agents
        assert shown.picture is not None
        return [(s.step, s.rollout) for s in shown.picture.steps] == [("refund", 2_500)]

    # Its own workflow shows what the ledger has; it hears of it a moment later.
    await eventually(rollouts)
    assert (await desk.as_(EVE).set_level("refunds", "full")).stand is OrderState.REFUSED
    with pytest.raises(NoOrder, match="is no level"):
        await boss.set_level("refunds", "most")
    for wrong in ("101%", "NaN", "a lot", "0.001"):
        with pytest.raises(InvalidRequest, match="write a share"):
            await boss.set_level("refunds", "full", wrong)
    with pytest.raises(NoOrder, match="only `full`"):
        await boss.set_level("refunds", "supervised", "25%")


async def test_nobody_is_the_second_person_of_their_own_order(
    run_fleet: RunFleet, tmp_path: Path, desk: Desk
) -> None:
    two = {"people": [BOSS, ANA], "two": ["full"]}
    put_policy(tmp_path / "guardrails", POLICY | {"version": 2, "control": two})
    boss = desk.as_(BOSS)
    await boss.set_level("refunds", "supervised")
    asked = await boss.set_level("refunds", "full")
    assert asked.stand is OrderState.WAITING
    with pytest.raises(NotPermitted, match="another person"):
        await boss.second(asked.id)
    with pytest.raises(NotFound, match="is no order that waits"):
        await boss.second("nothing")
    assert (await desk.as_(ANA).second(asked.id[:8])).stand is OrderState.IN_FORCE


# Reviews and incidents


async def wrote(desk: Desk, number: str, **more: Any) -> str:
    """A refund that was given without asking anybody, and drawn."""
    case, key = f"refunds:{number}", f"refunds:{number}/refund/1"
    action: dict[str, Any] = {"order": number, "amount": "9.00"}
    digest = digest_of("refund", action)
    place: dict[str, Any] = {"agent": "refunds", "step": "refund", "case": case}
    await desk.stage.ledger.begin(
        Intent(
            key=key,
            digest=digest,
            action=action,
            policy="refunds v1",
            owner="",
            deadline=LONG_AGO,
            alone=True,
            share=1.0,
            **place,
        )
    )
    await desk.stage.ledger.finish(
        Receipt(key=key, step="refund", digest=digest, at=LONG_AGO, result="B-9")
    )
    row: dict[str, Any] = {"role": "lead", "people": (ANA,), **more}
    await desk.stage.ledger.review(
        ReviewRow(key=key, at=LONG_AGO, why="it was drawn", share=1.0, **place, **row)
    )
    return key


async def test_a_review_is_answered_once_by_who_may_and_is_signed(desk: Desk) -> None:
    key, own = await wrote(desk, "R-1"), await wrote(desk, "R-10", requester=ANA)
    heard: list[Any] = []

    def hear(*place: str, **said: Any) -> None:
        heard.append((place, said["answer"]))

    ana = desk.as_(ANA, audit_review=hear)
    with pytest.raises(NotReviewed, match="say what is wrong"):
        await ana.answer_review(key, "wrong")
    with pytest.raises(NotReviewed, match="is no answer"):
        await ana.answer_review(key, "good")
    with pytest.raises(NotPermitted, match="you asked for this write"):
        await ana.answer_review(own, "right")
    with pytest.raises(NotPermitted, match="not of the role lead"):
        await desk.as_(BO).answer_review(key, "right")
    # A case is its own, not the beginning of another's.
    said = await ana.answer_review("refunds:R-1", "wrong", " too much ")
    assert (said.answer, said.by, said.note) == ("wrong", ANA, "too much")
    assert [answer for _, answer in heard] == ["wrong"]
    shown = await ana.review(key)
    assert [(each.by, each.proven) for each in shown.answers] == [(ANA, True)]
    assert shown.why_not is None
    # Bo has come to the role since.
    bo = desk.as_(BO, directory=desk.known)
    with pytest.raises(NotPermitted, match="has answered it already"):
        await bo.answer_review(key, "right")
    mine = await bo.reviews(mine=True)
    assert [each.key for each in mine.reviews] == [own]
    with pytest.raises(NotFound, match="is not to be reviewed"):
        await bo.review("refunds:R-2")


async def test_an_incident_is_closed_once_with_a_reason(desk: Desk) -> None:
    ids = [f"refunds:R-{n}/refund/1!mismatch" for n in (1, 2)]
    for each in ids:
        case = each.partition("/")[0]
        await desk.stage.ledger.incident(
            IncidentRow(each, "refunds", "refund", case, "k", "mismatch", "is 3.00", LONG_AGO)
        )
    ana = desk.as_(ANA, directory=desk.known)
    assert len((await ana.incidents(open_only=True)).incidents) == 2
    with pytest.raises(InvalidRequest, match="what was done"):
        await ana.close_incident(ids[0], "  ")
    with pytest.raises(NotFound, match="2 incidents"):
        await ana.close_incident("refunds", "paid back")
    assert (await ana.close_incident(ids[0][:12], "paid back")).closed_by == ANA
    with pytest.raises(CaseError, match="was closed already"):
        await ana.close_incident(ids[0], "paid back")
    eve = desk.as_(EVE, directory=desk.known)
    assert (await eve.incidents()).incidents == ()
    with pytest.raises(NotFound):
        await eve.close_incident(ids[1], "nothing")


# Who signs


async def test_somebody_elses_key_is_refused_and_a_signer_may_be_anything(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match=f"the key of {BO}, who cannot act as {ANA}"):
        desk.as_(ANA, signer=KEYS[BO])
    seen: list[Statement] = []

    async def at_the_safe(statement: Statement) -> str:
        seen.append(statement)
        assert not isinstance(statement.said, dict)
        return ORDER_STATEMENT.sign(statement.said, KEYS[BOSS], datetime.now(UTC))

    boss = desk.as_(BOSS, signer=at_the_safe)
    assert (await boss.set_level("refunds", "pilot")).proven
    assert len(seen) == 1


async def test_an_operator_without_a_ledger_says_what_to_do(desk: Desk) -> None:
    with pytest.raises(HandrailError, match="HANDRAIL_LEDGER_URL"):
        await Operator(desk.stage.client).mandates()
    with pytest.raises(InvalidRequest, match="say who you are"):
        await desk.as_(None).approve(await desk.asks("R-1"))
