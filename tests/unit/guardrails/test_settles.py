"""Requests that take effect late, keys that are forgotten, attempts of other machines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handrail import Action, Effect, Ledger, NotDone, write
from handrail.actions import Receipt, RulingRecord, Undoes, digest_of, undo_key
from handrail.agent import Heartbeats, Write
from handrail.guardrails import effects
from handrail.guardrails.effects import Doubt
from handrail.guardrails.machine import begins_until, is_over, new_owner, released_owner
from handrail.guardrails.recorder import Recorder
from handrail.ledger import EffectState, Intent
from handrail.wire import Attempt, DoubtAnswer
from tests.agents.passed import passed

KEY = "pay:1/pay/1"
SHORT = timedelta(seconds=0.3)
SETTLES = timedelta(seconds=1.5)


class Pay(Action):
    """Pay."""

    amount: int


class Bank:
    """An outside system that does what it was asked to some time after it was asked."""

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.numbers: list[int] = []
        self.late: list[asyncio.Task[None]] = []
        self.delay = 0.0

    async def ask(self, effect: Effect, answers_after: float = 0) -> str:
        self.numbers.append(effect.attempt)
        self.late.append(asyncio.create_task(self._do(effect.key)))
        await asyncio.sleep(self.delay + answers_after)
        return effect.key

    async def _do(self, key: str) -> None:
        await asyncio.sleep(self.delay)
        self.effects.append(key)

    async def look(self, action: Pay, effect: Effect) -> str | None:
        return effect.key if effect.key in self.effects else None

    async def all_done(self) -> None:
        await asyncio.gather(*self.late)


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture(autouse=True)
def _short(short_grace: None) -> None:
    """Nobody waits two seconds."""


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncGenerator[Ledger]:
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


def paying(bank: Bank, **options: Any) -> Write[Pay, str]:
    given: dict[str, Any] = {"timeout": SHORT} | options

    @write(**given)
    async def pay(action: Pay, effect: Effect) -> str:
        return await bank.ask(effect)

    return pay


def findable(bank: Bank, **options: Any) -> Write[Pay, str]:
    return paying(bank, **{"find": bank.look, "settles": SETTLES} | options)


def attempt_at(step: Write[Any, Any], undoes: Undoes | None = None, **more: Any) -> Attempt:
    key = undo_key(KEY) if undoes else KEY
    digest = digest_of(step.name, {"amount": 1})
    return Attempt(case="pay:1", key=key, digest=digest, undoes=undoes, **more)


async def once(ledger: Ledger, step: Write[Any, Any], **more: Any) -> Receipt | Doubt:
    steps = more.pop("steps", ())
    recorder = more.pop("recorder", None)
    given = passed(step.name, Pay(amount=1), attempt_at(step, **more))
    return await effects.once(ledger, step, *given, recorder, steps=steps)


async def begun_elsewhere(ledger: Ledger, *, seconds: float = 0.3, released: bool = False) -> str:
    """An intent of a process of another machine, whose clock says that it is over for long."""
    owner = "another machine|1|1|1|9.000" + ("|over" if released else "")
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    digest = digest_of("pay", {"amount": 1})
    action: dict[str, Any] = {"amount": 1}
    await ledger.begin(Intent(KEY, "pay:1", "pay", "pay", digest, action, "v1", owner, deadline))
    return owner


# A request that takes effect late


@pytest.mark.parametrize("delay", [0.1, 0.6, 1.3])
async def test_what_takes_effect_late_is_looked_for_and_not_done_again(
    ledger: Ledger, bank: Bank, delay: float
) -> None:
    bank.delay, step = delay, findable(bank)
    try:
        receipt = await once(ledger, step)
    except TimeoutError:
        receipt = await once(ledger, step)
    await bank.all_done()
    assert isinstance(receipt, Receipt)
    assert receipt.how == ("written" if delay < SHORT.total_seconds() else "found")
    assert bank.effects == [KEY]


async def test_what_does_not_come_within_its_time_is_done_again_after_it(
    ledger: Ledger, bank: Bank
) -> None:
    lost = findable(bank)
    bank.delay = 60
    with pytest.raises(TimeoutError):
        await once(ledger, lost)
    bank.late.pop().cancel()
    bank.delay, began = 0, asyncio.get_running_loop().time()
    receipt = await once(ledger, lost)
    assert isinstance(receipt, Receipt)
    assert receipt.how == "written"
    assert asyncio.get_running_loop().time() - began >= SETTLES.total_seconds() - 0.1


async def test_a_late_undo_is_looked_for_too(ledger: Ledger, bank: Bank) -> None:
    undo = findable(bank)
    bank.delay = 0.6
    undoes = Undoes(key=KEY, receipt=None)
    await ledger.forbid(_intent_of(undo))
    with pytest.raises(TimeoutError):
        await once(ledger, undo, undoes=undoes)
    receipt = await once(ledger, undo, undoes=undoes)
    await bank.all_done()
    assert isinstance(receipt, Receipt)
    assert receipt.how == "found"
    assert bank.effects == [undo_key(KEY)]


def _intent_of(step: Write[Any, Any]) -> Intent:
    digest = digest_of(step.name, {"amount": 1})
    return Intent(KEY, "pay:1", "pay", "pay", digest, {}, "v1", "", datetime.now(UTC))


async def test_an_undo_waits_until_the_request_of_its_write_has_taken_effect(
    ledger: Ledger, bank: Bank
) -> None:
    bank.delay, pay = 1, paying(bank, settles=SETTLES)
    with pytest.raises(TimeoutError):
        await once(ledger, pay)
    seen: list[list[str]] = []

    @write(idempotent=True)
    async def pay_back(action: Pay, effect: Effect) -> str:
        seen.append(list(bank.effects))
        return "paid back"

    await once(ledger, pay_back, undoes=Undoes(key=KEY), steps=[pay])
    assert seen == [[KEY]]


@pytest.mark.parametrize(("ago", "waits"), [(0.0, True), (60.0, False)])
async def test_an_undo_waits_also_for_a_write_that_the_ledger_has_lost(
    ledger: Ledger, bank: Bank, ago: float, *, waits: bool
) -> None:
    """Its case knows when the last attempt ended: from then on nothing is waited for twice."""
    bank.delay, pay = 1, paying(bank, settles=SETTLES)
    asked = asyncio.create_task(bank.ask(Effect(key=KEY, case="pay:1", step="pay")))
    seen: list[list[str]] = []

    @write(idempotent=True)
    async def pay_back(action: Pay, effect: Effect) -> str:
        seen.append(list(bank.effects))
        return "paid back"

    left = datetime.now(UTC) - timedelta(seconds=ago)
    await asyncio.sleep(0)
    for _ in range(2):
        # Another attempt at the undo finds only what the one before it has forbidden.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1 if not seen else None):
                await once(ledger, pay_back, undoes=Undoes(key=KEY, left=left), steps=[pay])
    await once(ledger, pay_back, undoes=Undoes(key=KEY, left=left), steps=[pay])
    assert seen[0] == ([KEY] if waits else [])
    await asked


async def test_what_was_broken_off_is_not_believed_that_it_did_not_happen(
    ledger: Ledger, bank: Bank
) -> None:
    @write(timeout=SHORT)
    async def pay(action: Pay, effect: Effect) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise NotDone("nobody answered") from None
        return "paid"

    with pytest.raises(TimeoutError, match="too long"):
        await once(ledger, pay)
    row = await ledger.effect(KEY)
    assert row is not None
    assert row.state is EffectState.INTENDED


# Questions


async def test_a_question_says_until_when_it_may_come_and_an_early_answer_is_no_answer(
    ledger: Ledger, bank: Bank
) -> None:
    bank.delay, step = 0.8, paying(bank, settles=SETTLES)
    with pytest.raises(TimeoutError):
        await once(ledger, step)
    doubt = await once(ledger, step)
    assert isinstance(doubt, Doubt)
    assert doubt.until is not None
    early = await once(ledger, step, **_answered(doubt, doubt.until - timedelta(seconds=1)))
    assert isinstance(early, Doubt)
    # No answer counts as later than now.
    await asyncio.sleep((doubt.until - datetime.now(UTC)).total_seconds() + 0.1)
    bank.delay = 0
    assert isinstance(await once(ledger, step, **_answered(doubt, datetime.now(UTC))), Receipt)
    assert bank.numbers == [1, 2]


def _answered(doubt: Doubt, at: datetime) -> dict[str, Any]:
    ruled = RulingRecord(
        verb="answer", gate="g", by="ana@example.com", at=at, accepted=True, note="", answer="do it"
    )
    said = DoubtAnswer(answer="do it", by="ana@example.com", token=doubt.token)
    return {"rulings": (ruled,), "doubt": said}


# Keys that are forgotten


async def _a_lost_answer(ledger: Ledger, bank: Bank, step: Write[Any, Any]) -> None:
    bank.delay = 0.5
    lost = paying(bank, idempotent=True, timeout=timedelta(seconds=0.3))
    with pytest.raises(TimeoutError):
        await once(ledger, lost)
    await bank.all_done()
    bank.delay = 0


async def test_a_key_that_may_be_forgotten_is_not_relied_on(ledger: Ledger, bank: Bank) -> None:
    keeps = timedelta(seconds=30)
    step = paying(bank, idempotent=keeps)
    await _a_lost_answer(ledger, bank, step)
    assert isinstance(await once(ledger, step), Receipt)
    assert bank.numbers == [1, 2]


async def test_with_a_key_that_is_forgotten_a_human_is_asked_or_it_is_looked_for(
    ledger: Ledger, bank: Bank
) -> None:
    keeps = timedelta(seconds=0.1)
    asked = paying(bank, idempotent=keeps)
    await _a_lost_answer(ledger, bank, asked)
    assert isinstance(await once(ledger, asked), Doubt)
    sought = findable(bank, idempotent=keeps)
    receipt = await once(ledger, sought)
    assert isinstance(receipt, Receipt)
    assert (receipt.how, bank.effects) == ("found", [KEY])


# Other machines


async def test_the_clock_of_another_machine_is_not_believed(ledger: Ledger, bank: Bank) -> None:
    await begun_elsewhere(ledger, seconds=-60)
    step, began = findable(bank), asyncio.get_running_loop().time()
    assert isinstance(await once(ledger, step), Receipt)
    waited = asyncio.get_running_loop().time() - began
    assert waited >= (SHORT + SETTLES).total_seconds()
    assert bank.numbers == [2]


async def test_an_attempt_of_another_machine_that_said_it_ended_is_not_waited_for(
    ledger: Ledger, bank: Bank
) -> None:
    await begun_elsewhere(ledger, seconds=60, released=True)
    step = findable(bank, timeout=timedelta(seconds=30), settles=timedelta(0))
    async with asyncio.timeout(5):
        assert isinstance(await once(ledger, step), Receipt)


@pytest.mark.parametrize("kind", ["key", "find"])
async def test_who_wants_to_be_asked_before_another_machine_is_followed_is_asked(
    ledger: Ledger, bank: Bank, kind: str
) -> None:
    how: dict[str, Any] = (
        {"idempotent": True} if kind == "key" else {"find": bank.look, "settles": timedelta(0)}
    )
    step = paying(bank, take_over="ask", **how)
    owner = await begun_elsewhere(ledger)
    doubt = await once(ledger, step)
    assert isinstance(doubt, Doubt)
    assert doubt.token.startswith(owner)
    assert bank.numbers == []
    assert isinstance(await once(ledger, step, **_answered(doubt, datetime.now(UTC))), Receipt)


async def test_an_attempt_that_has_ended_is_followed_without_a_question(
    ledger: Ledger, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = paying(bank, take_over="ask", idempotent=True)
    await begun_elsewhere(ledger, released=True)
    assert isinstance(await once(ledger, step), Receipt)
    assert bank.numbers == [2]


def test_an_owner_says_until_when_it_begins_its_effect_and_that_it_has_ended() -> None:
    owner = new_owner(timedelta(seconds=30))
    until = begins_until(owner)
    assert until is not None
    assert not is_over(owner)
    ended = released_owner(owner)
    sooner = begins_until(ended)
    assert is_over(ended)
    assert sooner is not None
    assert 29 < until - sooner < 31
    assert begins_until("another machine|1|1|1|5.0") is None


# A ledger that lost what it knew


def told(monkeypatch: pytest.MonkeyPatch, attempt: int, **said: int) -> Heartbeats:
    """What Temporal says to the attempt of that number."""
    known = Heartbeats(attempt, datetime.now(UTC) - timedelta(seconds=1), dict(said))
    monkeypatch.setattr(effects, "current_heartbeats", lambda: known)
    return known


async def test_a_keyless_write_that_was_sent_and_is_unknown_is_asked_about(
    ledger: Ledger, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = paying(bank)
    told(monkeypatch, 2, sent=1)
    doubt = await once(ledger, step)
    assert isinstance(doubt, Doubt)
    assert bank.numbers == []
    again = await once(ledger, step)
    assert isinstance(again, Doubt)
    assert again.token == doubt.token
    answered = _answered(doubt, datetime.now(UTC))
    assert isinstance(await once(ledger, step, **answered), Receipt)


async def test_a_keyless_write_of_which_nothing_was_sent_is_new(
    ledger: Ledger, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, 7)
    assert isinstance(await once(ledger, paying(bank)), Receipt)
    assert bank.numbers == [7]


async def test_a_findable_write_that_is_unknown_is_looked_for_as_long_as_it_may_come(
    ledger: Ledger, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, 2)
    asyncio.get_running_loop().call_later(1, bank.effects.append, KEY)
    receipt = await once(ledger, findable(bank))
    assert isinstance(receipt, Receipt)
    assert (receipt.how, bank.numbers) == ("found", [])


async def test_two_attempts_that_look_for_an_unknown_write_do_it_once(
    ledger: Ledger, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, 2)
    bank.delay, step = 0.25, findable(bank)
    both = await asyncio.gather(once(ledger, step), once(ledger, step), return_exceptions=True)
    await bank.all_done()
    assert bank.effects == [KEY]
    assert sum(isinstance(each, Receipt) for each in both) >= 1


async def test_an_attempt_that_ended_unsent_is_followed_at_once(
    ledger: Ledger, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, 3, unsent=2)
    step = findable(bank, timeout=timedelta(seconds=30), settles=timedelta(seconds=30))
    async with asyncio.timeout(5):
        assert isinstance(await once(ledger, step), Receipt)
    assert not told(monkeypatch, 3, unsent=1).nothing_sent(marked=False)


async def test_an_answer_to_a_doubt_that_the_ledger_does_not_know_is_asked_again(
    ledger: Ledger, bank: Bank
) -> None:
    answered = _answered(Doubt("one|1|1|1|1.0", datetime.now(UTC)), datetime.now(UTC))
    assert isinstance(await once(ledger, paying(bank), **answered), Doubt)
    assert bank.numbers == []


async def test_what_an_earlier_activity_may_have_sent_is_looked_for_or_asked_about(
    ledger: Ledger, bank: Bank, tmp_path: Path
) -> None:
    sent = datetime.now(UTC) - timedelta(hours=2)
    doubt = await once(ledger, paying(bank), sent=sent)
    assert isinstance(doubt, Doubt)
    assert doubt.since == sent
    assert bank.numbers == []
    bank.effects.append(KEY)
    async with Ledger(f"sqlite:///{tmp_path}/second.db") as second:
        found = await once(second, findable(bank), sent=sent)
        assert isinstance(found, Receipt)
        assert found.how == "found"
    async with Ledger(f"sqlite:///{tmp_path}/third.db") as third:
        keys_end = paying(bank, idempotent=timedelta(hours=1))
        assert isinstance(await once(third, keys_end, sent=sent), Doubt)
    assert bank.numbers == []


async def test_a_lost_intent_makes_an_incident(ledger: Ledger, bank: Bank, tmp_path: Path) -> None:
    async def lose(action: Pay, effect: Effect) -> str:
        await ledger._run(_forget)  # pyright: ignore[reportPrivateUsage]  # as a restore would
        return await bank.ask(effect)

    step = write(lose)
    object.__setattr__(step, "name", "pay")
    assert isinstance(await once(ledger, step, recorder=Recorder("pay", ledger, "")), Receipt)
    row = await ledger.effect(KEY)
    assert row is not None
    assert row.state is EffectState.DONE
    (incident,) = await ledger.incidents("pay")
    assert (incident.kind, incident.key) == ("lost", KEY)
    assert incident.what.startswith("the ledger lost an intent")


@pytest.mark.parametrize(
    ("options", "twice"),
    [
        ({}, True),
        ({"idempotent": True}, False),
        ({"idempotent": timedelta(hours=1)}, False),
        ({"idempotent": timedelta(seconds=1)}, True),
    ],
)
async def test_what_an_attempt_that_was_followed_has_done_too_is_an_incident(
    ledger: Ledger, bank: Bank, options: dict[str, Any], *, twice: bool
) -> None:
    early = datetime.now(UTC) - timedelta(minutes=1)
    digest = digest_of("pay", {"amount": 1})

    async def overtaken(action: Pay, effect: Effect) -> str:
        first = Receipt(key=KEY, step="pay", digest=digest, at=early, result="first")
        await ledger.finish(first)
        return await bank.ask(effect)

    step = write(**options)(overtaken)
    object.__setattr__(step, "name", "pay")
    await once(ledger, step, recorder=Recorder("pay", ledger, ""))
    found = await ledger.incidents("pay")
    assert [(each.kind, each.key) for each in found] == ([("twice", KEY)] if twice else [])
    assert all("happened twice: first at" in each.what for each in found)


def _forget(connection: Any) -> None:
    connection.exec_driver_sql("delete from handrail_effects")
