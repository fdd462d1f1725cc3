"""What an attempt says of itself makes no verdict milder, and touches no other case."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import sqlite3
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from handrail import (
    Action,
    Decision,
    Effect,
    Ledger,
    NoEvidence,
    check,
    decide,
    notify,
    read,
    write,
)
from handrail.actions import (
    Basis,
    LedgerMark,
    Level,
    Receipt,
    Ruling,
    RulingRecord,
    Undoes,
    Wire,
    digest_of,
    undo_key,
)
from handrail.agent import Step
from handrail.guardrails import effects
from handrail.guardrails.context import WriteContext
from handrail.guardrails.door import Door
from handrail.guardrails.machine import new_owner
from handrail.ledger import Intent, OrderRow, RulingRow
from handrail.oversight import Trust
from handrail.policy import AgentShape, Facts, PolicyFile, WriteShape
from handrail.wire import Attempt, DoubtAnswer, Notice, NotifyResult, WriteResult, WriteResultKind
from tests.agents.activity import activity_of

NOW = datetime.now(UTC)
VICTIM = "payers:victim"


class Pay(Action):
    """Pay somebody."""

    account: str
    amount: int = 7


class PayAlike(Action):
    """Has the fields of a payment, and is none."""

    account: str
    amount: int = 7


class PayMore(Pay):
    """A payment, and more."""


DONE: list[tuple[str, str]] = []
WAITED: list[str] = []
SAYS: list[str] = []


@write(idempotent=True)
async def pay_back(action: Pay, effect: Effect) -> str:
    """Take a payment back."""
    DONE.append((effect.case, effect.step))
    return str(effect.undoes and effect.undoes.receipt and effect.undoes.receipt.result)


@write(idempotent=True, undo=pay_back)
async def pay(action: Pay, effect: Effect) -> str:
    """Pay."""
    DONE.append((effect.case, effect.step))
    if action.account == "broken" and len(DONE) % 2:
        raise RuntimeError("no answer")
    return "paid"


@notify
async def tell(text: str) -> None:
    """Tell somebody."""
    DONE.append((text, "tell"))


@read
async def look(account: str) -> str:
    """Look at an account."""
    DONE.append((account, "look"))
    return account


@decide
async def weigh(account: str) -> Decision[Pay, NoEvidence]:
    """Weigh what to pay."""
    DONE.append((account, "weigh"))
    action = Pay(account=account)
    return Decision(action=action, rationale="due", confidence=1, evidence=NoEvidence())


@check
async def may_be_paid(action: Pay) -> str | None:
    return SAYS[0] if SAYS else None


SHAPE = AgentShape(
    agent="payers",
    writes={
        "pay": WriteShape("pay", Pay, undo="pay_back"),
        "pay_back": WriteShape("pay_back", Pay, undoes=frozenset({"pay"})),
    },
    notifies=frozenset({"tell"}),
)
STEPS: dict[str, Any] = {"pay": pay, "pay_back": pay_back}
POLICY = """\
agent: payers
version: 1
owner: boss@example.com
actions:
  pay:
    autonomy: full
    hold: [{when: action.amount > 100, why: much}]
    review: {random: 100%, for: lead}
  pay_back: {autonomy: full, irreversible: nothing but a test is changed by it}
roles: {lead: {people: [ana@example.com], deadline: {after: 1h, then: refuse}}}
"""


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncGenerator[Ledger]:
    DONE.clear()
    SAYS.clear()
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


def door(folder: Path, ledger: Ledger) -> Door:
    path = folder / "payers.yaml"
    path.write_text(POLICY)
    file = PolicyFile(path, SHAPE)
    steps: list[Step[..., Any]] = [pay, pay_back, tell]
    trust = Trust(proof="required")
    return Door("payers", SHAPE, steps, file, ledger, [may_be_paid], trust, workflow="test")


def honest(case: str, step: str, action: Action, number: int = 1, **more: Any) -> Attempt:
    digest = digest_of(step, action.model_dump(mode="json"))
    return Attempt(case=case, key=f"{case}/{step}/{number}", digest=digest, **more)


async def tried(door: Door, case: str, step: str, action: Action, attempt: Attempt) -> WriteResult:
    return await activity_of(case).run(door.write, STEPS[step], action, attempt)


def receipt(key: str, result: Any = "made up") -> Receipt:
    return Receipt(key=key, step="pay", digest="0" * 64, at=NOW, result=result)


# An undo


async def test_an_undo_is_one_of_an_effect_that_the_ledger_knows(
    tmp_path: Path, ledger: Ledger
) -> None:
    payers, action, case = door(tmp_path, ledger), Pay(account="1"), "payers:1"
    await tried(payers, case, "pay", action, honest(case, "pay", action))
    # Data checks judge the world before a write; its undo stands in the world after it.
    SAYS.append("it is paid already")
    paid = f"{case}/pay/1"

    async def undo(
        of: str, claimed: Receipt | None = None, by: str = "pay_back", **more: Any
    ) -> Any:
        changes = {"key": undo_key(of), "undoes": Undoes(key=of, receipt=claimed)} | more
        other = more.pop("action", action)
        attempt = honest(case, by, other).model_copy(update=changes)
        answer = await tried(payers, case, by, other, attempt)
        return answer.kind, [each.check.partition(":")[0] for each in answer.verdict.findings]

    refused, held = WriteResultKind.REFUSED, WriteResultKind.HELD
    assert await undo(paid, by="pay") == (refused, ["undo"])
    assert await undo(f"{VICTIM}/pay/1") == (refused, ["undo"])
    assert await undo(f"{case}/pay/01") == (refused, ["undo"])
    assert await undo(paid, key=f"{case}/pay_back/1") == (refused, ["undo"])
    # Nothing is known of it: it is judged as any write of this step.
    assert await undo(f"{case}/pay/2") == (refused, ["check"])
    # Somebody says that there was something, or something else: people look at it.
    SAYS.clear()
    assert await undo(f"{case}/pay/3", receipt(f"{case}/pay/3")) == (held, ["undo"])
    assert await undo(paid, action=Pay(account="2")) == (held, ["undo"])
    SAYS.append("it is paid already")
    assert (await undo(paid, receipt(paid)))[0] is WriteResultKind.WRITTEN
    row = await ledger.effect(undo_key(paid))
    assert row is not None
    assert row.receipt is not None
    assert row.receipt.result == "paid"  # by the receipt that was kept
    assert await ledger.reviews() != []
    assert [key.key for key in await ledger.reviews()] == [paid]


async def test_only_an_order_in_the_ledger_lets_an_undo_go_past_a_stop(
    tmp_path: Path, ledger: Ledger
) -> None:
    payers, action, case = door(tmp_path, ledger), Pay(account="1"), "payers:1"
    await tried(payers, case, "pay", action, honest(case, "pay", action))
    await ledger.order(OrderRow("stop-no-1", "stop", "*", "ops@example.com", NOW))
    undoes = Undoes(key=f"{case}/pay/1")
    attempt = honest(case, "pay_back", action, undoes=undoes, ordered=True)
    attempt = attempt.model_copy(update={"key": undo_key(undoes.key)})
    answer = await tried(payers, case, "pay_back", action, attempt)
    assert answer.kind is WriteResultKind.STOPPED
    await ledger.order_back(VICTIM, "ops@example.com", NOW, "of another case")
    assert (await tried(payers, case, "pay_back", action, attempt)).kind is answer.kind
    await ledger.order_back(case, "ops@example.com", NOW, "wrong")
    answer = await tried(payers, case, "pay_back", action, attempt)
    assert answer.kind is WriteResultKind.WRITTEN
    # It lets nothing else past.
    answer = await tried(payers, case, "pay", action, honest(case, "pay", action, 2))
    assert answer.kind is WriteResultKind.STOPPED


# Whose it is


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ({"workflow_id": "payers:2"}, "in the name of payers:1, by payers:2"),
        ({"workflow_id": None, "workflow_type": None}, "by no workflow at all"),
        ({"workflow_type": "Another"}, "payers:1 runs as Another"),
    ],
)
async def test_an_activity_does_what_its_own_case_asks_for(
    tmp_path: Path, ledger: Ledger, info: dict[str, Any], says: str
) -> None:
    payers, action = door(tmp_path, ledger), Pay(account="1")
    env = activity_of("payers:1")
    env.info = dataclasses.replace(env.info, **info)
    answer = await env.run(payers.write, pay, action, honest("payers:1", "pay", action))
    assert answer.kind is WriteResultKind.REFUSED
    assert says in answer.verdict.why()
    notice = Notice(case="payers:1", key="payers:1/tell/1")
    told = await env.run(payers.notify, tell, notice, "hello")
    assert (told.sent, says in told.why) == (False, True)
    assert (await ledger.verdicts(), await ledger.effects("payers:1"), DONE) == ([], [], [])
    assert (await activity_of("payers:1").run(payers.notify, tell, notice, "hello")).sent


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ({"workflow_id": None, "workflow_type": None}, "by no workflow at all"),
        ({"workflow_id": "others:1"}, "others:1 is no case of payers"),
        ({"workflow_type": "Another"}, "payers:1 runs as Another"),
    ],
)
async def test_what_reads_and_thinks_does_it_for_cases_of_its_agent_alone(
    tmp_path: Path, ledger: Ledger, info: dict[str, Any], says: str
) -> None:
    """It has the agent's credentials, and what it costs is the agent's."""
    payers, env = door(tmp_path, ledger), activity_of("payers:1")
    env.info = dataclasses.replace(env.info, **info)
    with pytest.raises(ApplicationError, match=says) as reading:
        await env.run(payers.read, look, "1")
    with pytest.raises(ApplicationError, match=says) as thinking:
        await env.run(payers.decide, weigh, "1")
    assert reading.value.non_retryable
    assert thinking.value.non_retryable
    assert DONE == []
    assert await activity_of("payers:1").run(payers.read, look, "1") == "1"


async def test_a_case_of_which_a_write_was_recorded_stays_in_pilot(
    tmp_path: Path, ledger: Ledger
) -> None:
    action, case = Pay(account="1"), "payers:1"
    first = await tried(
        door(tmp_path, ledger), case, "pay", action, honest(case, "pay", action, pilot=True)
    )
    payers = door(tmp_path, ledger)
    second = await tried(payers, case, "pay", action, honest(case, "pay", action, 2))
    assert (first.kind, second.kind) == (WriteResultKind.PILOT, WriteResultKind.PILOT)
    notice = Notice(case=case, key=f"{case}/tell/1")
    told = await activity_of(case).run(payers.notify, tell, notice, "hello")
    assert (told.sent, DONE) == (False, [])


@pytest.mark.parametrize("action", [PayAlike(account="1"), PayMore(account="1")])
async def test_an_action_of_another_class_is_refused(
    tmp_path: Path, ledger: Ledger, action: Action
) -> None:
    payers, case = door(tmp_path, ledger), "payers:1"
    attempt = honest(case, "pay", action)
    said = attempt.model_copy(update={"kind": type(action).__name__})
    for given_, asked in ((action, attempt), (Pay(account="1"), said)):
        answer = await tried(payers, case, "pay", given_, asked)
        assert answer.kind is WriteResultKind.REFUSED
        assert "pay takes Pay, not" in answer.verdict.why()
    assert DONE == []


# Who may not approve it


async def test_who_wrote_an_action_by_amending_another_is_known_from_the_ledger(
    tmp_path: Path, ledger: Ledger
) -> None:
    payers, case = door(tmp_path, ledger), "payers:1"
    first, second, third = (Pay(account="1", amount=amount) for amount in (700, 600, 500))
    digests = [digest_of("pay", each.model_dump(mode="json")) for each in (first, second, third)]

    def amended(by: str, digest: str, to: Action, jti: str) -> RulingRow:
        made = to.model_dump(mode="json")
        ruling = Ruling(gate="g" * 16, digest=digest[:12], by=by, action=made)
        said: dict[str, Any] = {"verb": "amend", "case": case, "step": "pay", "kid": "k", "at": NOW}
        return RulingRow.of(ruling, digest=digest, by=by, jti=jti, **said)

    await ledger.record_rulings(
        [
            amended("ana@example.com", digests[0], second, "1"),
            amended("bo@example.com", digests[1], third, "2"),
            amended("cy@example.com", digests[0], Pay(account="2"), "3"),
        ]
    )
    policy = payers.policy.current()

    async def drafters(action: Pay, said: tuple[str, ...]) -> tuple[str, ...]:
        attempt = honest(case, "pay", action, drafters=said)
        facts = Facts("pay", action, None, None, case, None)
        write = WriteContext("payers", policy, facts, attempt)
        return (await activity_of(case).run(payers.admission.people, write)).attempt.drafters

    assert await drafters(first, ()) == ()
    assert await drafters(second, ()) == ("ana@example.com",)
    assert await drafters(third, ("dee@example.com",)) == (
        "dee@example.com",
        "bo@example.com",
        "ana@example.com",
    )


# What stands in the ledger


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("mark", ["", "#" + "0" * 32, "moved"])
async def test_an_intent_that_no_worker_made_lets_nothing_pass(
    tmp_path: Path, ledger: Ledger, mark: str, *, first: bool
) -> None:
    """Whoever can write to the database says that a held write had begun."""
    payers, case, action = door(tmp_path, ledger), "payers:1", Pay(account="1", amount=700)
    attempt = honest(case, "pay", action)
    owner = new_owner(pay.timeout)
    if mark == "moved":  # the mark of another write, which was let pass
        small = Pay(account="1")
        await tried(payers, case, "pay", small, honest(case, "pay", small, 2))
        row = await ledger.effect(f"{case}/pay/2")
        assert row is not None
        owner, mark = row.owner, ""
    DONE.clear()
    intent = Intent(
        key=attempt.key,
        case=case,
        agent="payers",
        step="pay",
        digest=attempt.digest,
        action=action.model_dump(mode="json"),
        policy="payers",
        owner=owner + mark,
        deadline=NOW,
        alone=True,
    )
    await ledger.begin(intent)
    env = activity_of(case, attempt=1 if first else 2)
    answer = await env.run(payers.write, pay, action, attempt)
    assert (answer.kind, DONE) == (WriteResultKind.HELD, [])
    assert answer.token == intent.owner  # it may have happened: its undo stays known


async def test_what_a_worker_had_begun_is_finished_by_every_worker_of_the_fleet(
    tmp_path: Path, ledger: Ledger
) -> None:
    case, action = "payers:1", Pay(account="broken")
    attempt = honest(case, "pay", action)
    one = dataclasses.replace(door(tmp_path, ledger), seal=b"of the fleet")
    with pytest.raises(RuntimeError, match="no answer"):
        await tried(one, case, "pay", action, attempt)
    SAYS.append("it is paid already")  # the traces of the write itself
    other = dataclasses.replace(door(tmp_path, ledger), seal=b"of the fleet")
    answer = await activity_of(case, attempt=2).run(other.write, pay, action, attempt)
    assert answer.kind is WriteResultKind.WRITTEN
    stranger = door(tmp_path, ledger)
    action = Pay(account="broken", amount=8)
    attempt = honest(case, "pay", action, 2)
    SAYS.clear()
    with pytest.raises(RuntimeError, match="no answer"):
        await tried(stranger, case, "pay", action, attempt)
    SAYS.append("it is paid already")
    answer = await activity_of(case, attempt=2).run(other.write, pay, action, attempt)
    assert answer.kind is WriteResultKind.REFUSED
    assert answer.token != ""


# Anything, in any field

CASES = itertools.count(1)
SITUATIONS = ("open", "open", "much", "check", "stop", "agent", "fleet", "pilot", "piloted")
WAYS = (*STEPS, "again", "undo")
"""What the honest attempt does: a step, the same payment as before, or taking that back."""
NAMES = st.sampled_from(["", "pay", "pay_back", "Pay", "PayAlike"]) | st.text(max_size=8)
PEOPLE = st.sampled_from(["ana@example.com", "bo@example.com", ""])


def key_of(case: str) -> st.SearchStrategy[str]:
    ends = ["/pay/1", "/pay/2", "/pay/9", "/pay_back/1", "/pay/1/undo", "/pay/2/undo", "/", ""]
    known = [f"{each}{end}" for each in (case, VICTIM, "others:1") for end in ends]
    return st.just(f"{case}/pay/1") | st.sampled_from(known) | st.text(max_size=20)


def built(model: type[Wire], **said: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A model that an attempt holds: anything in each of its fields, which may be left out."""
    return st.builds(model, **or_left_out(model, said))


def or_left_out(
    model: type[Wire], said: dict[str, st.SearchStrategy[Any]]
) -> dict[str, st.SearchStrategy[Any]]:
    fields = model.model_fields
    assert said.keys() == fields.keys(), f"say what may be said in {model.__name__}"
    left = {
        name: st.just(field.get_default(call_default_factory=True))
        for name, field in fields.items()
        if not field.is_required()
    }
    return {name: left[name] | each if name in left else each for name, each in said.items()}


WORDS = st.sampled_from(["", "x", "pay"])
TIMES = st.datetimes(timezones=st.just(UTC))
SECONDS = st.sampled_from([0.0, 9.9])


def basis() -> st.SearchStrategy[Basis]:
    return built(
        Basis,
        rationale=WORDS,
        confidence=st.sampled_from([0, 1.0]),
        evidence=st.sampled_from([{}, {"vip": True}, [1], "x"]),
        unsourced=st.sampled_from([("*",), ("action.account",)]),
    )


def rulings(digest: str) -> st.SearchStrategy[tuple[RulingRecord, ...]]:
    people, verbs = PEOPLE, st.sampled_from(["approve", "amend", "answer", "delegate"])
    answers = st.sampled_from(["do it", "happened", "drop"])
    ruling = built(
        Ruling,
        gate=st.just("g" * 16),
        digest=st.just(digest[:12]),
        by=people.filter(bool),
        why=WORDS,
        action=st.just({"account": "1", "amount": 1}),
        answer=answers,
        result=WORDS,
        to=people.filter(bool),
        question=WORDS,
        via=st.sampled_from(["", "slack", "inbox"]),
        looked=SECONDS,
        proof=st.just("a.b.c"),
    )
    record = built(
        RulingRecord,
        verb=verbs,
        gate=st.just("g" * 16),
        by=people,
        at=st.just(NOW) | TIMES,
        accepted=st.just(True) | st.booleans(),
        note=st.just("accepted"),
        why=WORDS,
        digest=st.just(digest) | WORDS,
        role=st.sampled_from(["lead", "people"]),
        answer=answers,
        proven=st.just(True),
        stands_for=people,
        to=people,
        via=WORDS,
        looked=SECONDS,
        ruling=ruling,
    )
    return st.lists(record, max_size=3).map(tuple)


def marks() -> st.SearchStrategy[LedgerMark]:
    return built(LedgerMark, id=st.text(), height=st.integers())


def receipts(case: str) -> st.SearchStrategy[Receipt]:
    return built(
        Receipt,
        key=key_of(case),
        step=NAMES,
        digest=st.just("0" * 64) | WORDS,
        at=st.just(NOW) | TIMES,
        how=st.sampled_from(["written", "found", "confirmed"]),
        result=st.just("made up"),
        ledger=marks(),
    )


def undoes(case: str) -> st.SearchStrategy[Undoes]:
    return built(Undoes, key=key_of(case), receipt=receipts(case), left=TIMES)


def unknown(case: str) -> st.SearchStrategy[Undoes]:
    """Of a write of which the ledger knows nothing, and which may be on its way."""
    return st.builds(Undoes, key=st.just(f"{case}/pay/9"), left=st.none() | TIMES)


def doubt() -> st.SearchStrategy[DoubtAnswer]:
    said, token = st.sampled_from(["happened", "do it"]), st.sampled_from(["", "m|1|1|1"])
    return built(DoubtAnswer, answer=said, by=PEOPLE, token=token, result=WORDS)


def lies(case: str, digest: str) -> dict[str, st.SearchStrategy[Any]]:
    """Anything, and above all what would help, for each field of an attempt, or nothing.

    Evidence and confidence are the case's word: no rule here relies on them.
    """
    said: dict[str, st.SearchStrategy[Any]] = {
        "case": st.sampled_from([VICTIM, "others:1", "", "payers:"]) | st.text(max_size=12),
        "key": key_of(case),
        "digest": st.sampled_from(["", "0" * 64]) | st.text(max_size=64),
        "basis": basis(),
        "rulings": rulings(digest),
        "requester": PEOPLE,
        "undoes": undoes(case),
        "doubt": doubt(),
        "drafters": st.lists(PEOPLE, max_size=2).map(tuple),
        "askers": st.lists(PEOPLE, max_size=2).map(tuple),
        "pilot": st.booleans(),
        "ordered": st.booleans(),
        "kind": NAMES,
        "unknown_kind": NAMES,
        # What is higher than the ledger itself stops the write until somebody says otherwise.
        "ledger": marks(),
        "sent": TIMES,
    }
    return or_left_out(Attempt, said)


MILDNESS = {WriteResultKind.WRITTEN: 0, WriteResultKind.HELD: 1, WriteResultKind.IN_DOUBT: 1}
"""What is not among them has done nothing, and asks nobody."""


def mildness(answer: WriteResult) -> int:
    return MILDNESS.get(answer.kind, 2)


class Bench:
    """One ledger with a case that is not to be touched, and doors in many situations."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder, self.ledger = folder, ledger
        self.door = door(folder, ledger)

    async def case(self, situation: str) -> tuple[str, Door]:
        """A new case in a situation; it has paid 1 to account 1 before."""
        # An example that breaks off leaves its stop behind.
        for order in await self.ledger.orders(live=True):
            await self.ledger.end_order(order.id, "ops", NOW)
        SAYS.clear()
        self.door.pipeline.known.situation = None
        case, one = f"payers:{next(CASES)}", Pay(account="1", amount=1)
        await tried(self.door, case, "pay", one, honest(case, "pay", one))
        if situation == "piloted":
            recorded = honest(case, "pay", one, 2, pilot=True)
            await tried(self.door, case, "pay", one, recorded)
        order = {"agent": "payers", "fleet": "*", "stop": "payers", "pilot": "payers"}
        if situation in order:
            level = Level(situation) if situation in set(Level) else None
            kind = "stop" if level is None else "level"
            row = OrderRow(f"of {case}", kind, order[situation], "ops", NOW, level=level)
            await self.ledger.order(row)
        SAYS[:] = ["it may not be paid"] if situation == "check" else []
        self.door.pipeline.known.situation = None
        return case, self.door

    def others(self) -> list[Any]:
        """All that the ledger has of other cases than those of the examples."""
        tables = ("effects", "verdicts", "rulings", "reviews", "incidents")
        wrong = "select key from handrail_effects where substr(key, 1, length(case_id)) <> case_id"
        select = "select * from handrail_{} where case_id not glob 'payers:[0-9]*'"
        with sqlite3.connect(self.folder / "ledger.db") as found:
            rows = [found.execute(select.format(table)).fetchall() for table in tables]
            return [rows, found.execute(wrong).fetchall()]

    async def comes_last(self, attempt: Attempt) -> bool:
        """Whether an undo that was made has waited for what the ledger may have lost."""
        if attempt.undoes is None or attempt.undoes.receipt is not None:
            return True
        known = await self.ledger.effect(attempt.undoes.key)
        return (known is not None and known.digest != "") or WAITED != []

    def is_reviewed(self, key: str) -> bool:
        """Whether people look at a write afterwards."""
        with sqlite3.connect(self.folder / "ledger.db") as found:
            select = "select 1 from handrail_reviews where key = ?"
            return found.execute(select, (key,)).fetchone() is not None


@pytest.fixture(autouse=True)
def _waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the ledger knows nothing of is waited for only so that it is known."""

    async def settled(step: Step[..., Any], grace: timedelta) -> None:
        WAITED.append(step.name)

    monkeypatch.setattr(effects, "settled", settled)


@pytest.fixture(scope="module")
def runner() -> Any:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Any:
    folder = tmp_path_factory.mktemp("bench")
    ledger = Ledger(f"sqlite:///{folder}/ledger.db")
    runner.run(ledger.__aenter__())
    made = Bench(folder, ledger)
    action = Pay(account="1", amount=1)
    runner.run(tried(made.door, VICTIM, "pay", action, honest(VICTIM, "pay", action)))
    yield made
    runner.run(ledger.__aexit__(None, None, None))


POINTED = ("key", "ordered", "undoes")
"""Of what can be said in these fields little would help: more of it is tried."""
CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
IN = st.tuples(st.sampled_from(SITUATIONS), st.sampled_from(WAYS))
HELPS = {
    "undoes": (("open", "open", "check", "stop", "pilot", "piloted"), ("again", "pay_back")),
    "ordered": (("agent", "fleet"), ("undo",)),
    "pilot": (("piloted", "pilot"), ("pay", "pay_back")),
    "rulings": (("much",), ("pay",)),
    "digest": (("much", "open"), ("pay",)),
}
"""In which situations, and of what, a lie would help: half of the lies are told there."""


@pytest.mark.parametrize("field", sorted(set(Attempt.model_fields) - set(POINTED)))
@settings(deadline=None, max_examples=20, suppress_health_check=CHECKS)
@given(data=st.data(), of=IN)
def test_no_field_of_an_attempt_makes_a_verdict_milder_or_touches_another_case(
    bench: Bench, runner: asyncio.Runner, field: str, data: st.DataObject, of: tuple[str, str]
) -> None:
    believes_nothing(bench, runner, field, data, of)


@pytest.mark.parametrize("field", POINTED)
@settings(deadline=None, max_examples=60, suppress_health_check=CHECKS)
@given(data=st.data(), of=IN)
def test_no_field_of_an_attempt_that_says_which_write_it_is_makes_it_milder(
    bench: Bench, runner: asyncio.Runner, field: str, data: st.DataObject, of: tuple[str, str]
) -> None:
    believes_nothing(bench, runner, field, data, of)


def believes_nothing(
    bench: Bench, runner: asyncio.Runner, field: str, data: st.DataObject, of: tuple[str, str]
) -> None:
    """Lie in this field, and perhaps in others, where an honest attempt is judged beside it."""
    situation, way = of
    helps = field in HELPS and data.draw(st.booleans(), "where it helps")
    if helps:
        situation, way = (data.draw(st.sampled_from(each)) for each in HELPS[field])
        way = "pay_back" if field == "undoes" and situation == "open" else way
    step, amount = {"undo": "pay_back", "again": "pay"}.get(way, way), 7
    if situation == "much":
        amount = 700

    async def one(fields: dict[str, Any] | None) -> tuple[WriteResult, int]:
        case, payers = await bench.case(situation)
        # Nobody has paid there yet, or it would be the same payment twice.
        action = Pay(account=case, amount=amount)
        attempt = honest(case, step, action, 3)
        if way in {"undo", "again"}:
            action = Pay(account="1", amount=1)
            attempt = honest(case, step, action, 3)
        if way == "undo":
            taken = {"key": undo_key(f"{case}/pay/1"), "undoes": Undoes(key=f"{case}/pay/1")}
            attempt = attempt.model_copy(update=taken)
        strategies = lies(case, attempt.digest)
        if fields is None:
            more = st.just(set[str]()) | st.sets(st.sampled_from(sorted(strategies)), max_size=2)
            chosen = data.draw(more) | {field}
            fields = {name: data.draw(strategies[name], name) for name in sorted(chosen)}
            if helps and field == "undoes":
                of_it = unknown(case) if situation == "open" else undoes(case)
                fields = {"undoes": data.draw(of_it, "undoes")}
            if fields.get("undoes") is not None and (helps or data.draw(st.booleans())):
                fields["key"] = undo_key(fields["undoes"].key)
            attempt = attempt.model_copy(update=fields)
        others = bench.others()
        DONE.clear()
        WAITED.clear()
        answer = await tried(payers, case, step, action, attempt)
        assert bench.others() == others
        assert not DONE or await bench.comes_last(attempt), "what is on its way comes after it"
        assert all(of == case for of, _ in DONE), "made in the name of another"
        made = len(DONE)
        # What had been written before is only said again.
        assert made <= (answer.kind is WriteResultKind.WRITTEN)
        reviewed = step != "pay" or bench.is_reviewed(attempt.key)
        assert not made or reviewed, "spared a review"
        again = answer.receipt is not None and not made
        return answer, 2 if again else mildness(answer)

    said, honestly = runner.run(one({}))
    lied, lying = runner.run(one(None))
    assert lying >= honestly, (said.kind, lied.kind)


@settings(deadline=None, max_examples=30, suppress_health_check=CHECKS)
@given(data=st.data(), situation=st.sampled_from(SITUATIONS))
def test_no_field_of_a_notice_makes_it_go_out(
    bench: Bench, runner: asyncio.Runner, data: st.DataObject, situation: str
) -> None:
    async def one(honestly: bool) -> NotifyResult:  # noqa: FBT001  # as one reads it
        case, payers = await bench.case(situation)
        asked = Notice(case=case, key=f"{case}/tell/1", pilot=situation == "piloted")
        known = {name: lies(case, "0" * 64)[name] for name in ("case", "key", "pilot")}
        strategies = or_left_out(Notice, known)
        if not honestly:
            changes = {name: data.draw(strategies[name], name) for name in sorted(strategies)}
            kept = data.draw(st.sets(st.sampled_from(sorted(strategies))))
            asked = asked.model_copy(update={k: v for k, v in changes.items() if k not in kept})
        others = bench.others()
        told = await activity_of(case).run(payers.notify, tell, asked, "hello")
        assert bench.others() == others
        assert not told.sent or (asked.case, asked.key.rpartition("/")[0]) == (case, f"{case}/tell")
        return told

    said, lied = runner.run(one(True)), runner.run(one(False))
    assert said.sent or not lied.sent
