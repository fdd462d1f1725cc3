"""Intents that the ledger lost: what Temporal kept of them is heeded by who follows or undoes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handrail import Effect, Ledger, write
from handrail.actions import Receipt, Undoes, digest_of
from handrail.agent import Heartbeats, Write
from handrail.guardrails import effects, predecessor
from handrail.guardrails.effects import Doubt
from handrail.guardrails.machine import new_owner, sealed
from handrail.guardrails.recorder import Recorder
from handrail.ledger import EffectState
from handrail.wire import DoubtAnswer
from tests.agents.late_bank import (
    KEY,
    SHORT,
    Bank,
    Pay,
    answered,
    findable,
    once,
    paying,
)


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


def told(monkeypatch: pytest.MonkeyPatch, attempt: int, **said: Any) -> Heartbeats:
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
    said = answered(doubt, datetime.now(UTC))
    assert isinstance(await once(ledger, step, **said), Receipt)


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
    said = answered(Doubt("one|1|1|1|1.0", datetime.now(UTC)), datetime.now(UTC))
    assert isinstance(await once(ledger, paying(bank), **said), Doubt)
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


@pytest.fixture
def frozen() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process that stands still, and the name of an attempt of it whose time is over."""
    process = subprocess.Popen(["sleep", "60"])
    process.send_signal(signal.SIGSTOP)
    here, _, started = new_owner(SHORT).split("|")[:3]
    started = Path(f"/proc/{process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
    owner = f"{here}|{process.pid}|{started}|1|{time.monotonic():.3f}"
    yield process, sealed(owner, b"", KEY, digest_of("pay", {"amount": 1}))
    process.kill()
    process.wait()


def taking_back(bank: Bank, seen: list[list[str]]) -> Write[Pay, str]:
    @write(idempotent=True)
    async def pay_back(action: Pay, effect: Effect) -> str:
        seen.append(list(bank.effects))
        return "paid back"

    return pay_back


async def test_an_undo_waits_for_a_frozen_attempt_that_the_ledger_lost_and_was_followed(
    ledger: Ledger,
    bank: Bank,
    monkeypatch: pytest.MonkeyPatch,
    frozen: tuple[subprocess.Popen[bytes], str],
) -> None:
    """What was about to be sent as its process stopped is sent as soon as that goes on."""
    (process, owner), seen, pay = frozen, list[list[str]](), paying(bank)
    told(monkeypatch, 2, sent=1, by=owner)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await once(ledger, pay)
    told(monkeypatch, 1)
    undo = asyncio.ensure_future(
        once(ledger, taking_back(bank, seen), undoes=Undoes(key=KEY), steps=[pay])
    )
    await asyncio.sleep(1)
    bank.effects.append(KEY)
    process.kill()
    process.wait()
    assert isinstance(await undo, Receipt)
    assert seen == [[KEY]]


async def test_an_undo_waits_for_a_lost_attempt_of_which_not_even_the_name_is_known(
    ledger: Ledger, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, pay = list[list[str]](), paying(bank)
    told(monkeypatch, 2, sent=1)
    assert isinstance(await once(ledger, pay), Doubt)
    # The undo is of another worker, which has waited for nothing yet.
    monkeypatch.setattr(predecessor, "_looks", predecessor._Looks(10))  # pyright: ignore[reportPrivateUsage]
    told(monkeypatch, 1)
    asyncio.get_running_loop().call_later(0.2, bank.effects.append, KEY)
    await once(ledger, taking_back(bank, seen), undoes=Undoes(key=KEY), steps=[pay])
    assert seen == [[KEY]]


@pytest.mark.parametrize("kind", ["key", "find"])
async def test_who_wants_to_be_asked_is_asked_about_a_lost_attempt_too(
    ledger: Ledger, bank: Bank, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    how: dict[str, Any] = (
        {"idempotent": True} if kind == "key" else {"find": bank.look, "settles": timedelta(0)}
    )
    told(monkeypatch, 2, sent=1)
    assert isinstance(await once(ledger, paying(bank, take_over="ask", **how)), Doubt)
    assert bank.numbers == []


async def test_what_people_say_of_a_lost_attempt_whose_key_is_forgotten_is_what_happened(
    ledger: Ledger, bank: Bank
) -> None:
    """The key is as old as the attempt, not as the question about it."""
    step = paying(bank, idempotent=timedelta(hours=1))
    sent = datetime.now(UTC) - timedelta(hours=2)
    doubt = await once(ledger, step, sent=sent)
    assert isinstance(doubt, Doubt)
    assert doubt.since == sent
    said = DoubtAnswer(answer="happened", by="ana@example.com", token=doubt.token)
    receipt = await once(ledger, step, sent=sent, doubt=said)
    assert isinstance(receipt, Receipt)
    assert (receipt.how, bank.numbers) == ("confirmed", [])


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
