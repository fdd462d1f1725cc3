"""Writes whose attempt was taken for dead and goes on: overtaken, taken back, frozen."""

import asyncio
import functools
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue
from temporalio.service import RPCError, RPCStatusCode
from typing_extensions import override

from handrail import Action, Effect, Ledger, NotDone, write
from handrail.actions import Receipt, Undoes, digest_of, undo_key
from handrail.agent import Heartbeats, Write
from handrail.guardrails import effects, predecessor
from handrail.guardrails.effects import KeyUsed
from handrail.guardrails.machine import new_owner
from handrail.ledger import EffectState, Intent, OrderRow, Stopped, database
from handrail.wire import Attempt, DoubtAnswer
from tests.agents.passed import passed

KEY = "pay:1/pay/1"


class Pay(Action):
    """Pay."""

    amount: int


@pytest.fixture
def world() -> list[str]:
    return []


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncGenerator[Ledger]:
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "GRACE", timedelta(seconds=0.3))


async def once(ledger: Ledger, step: Write[Any, Any], attempt: Attempt) -> Any:
    return await effects.once(ledger, step, *passed(step.name, Pay(amount=1), attempt))


async def until(seen: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not seen():  # noqa: ASYNC110  # no event tells of it
            await asyncio.sleep(0.01)


def attempt_at(step: Write[Any, Any], undoes: Undoes | None = None) -> Attempt:
    digest = digest_of(step.name, {"amount": 1})
    key = undo_key(KEY) if undoes else KEY
    return Attempt(case="pay:1", key=key, digest=digest, undoes=undoes)


def paying(world: list[str]) -> Write[Pay, str]:
    async def found(action: Pay, effect: Effect) -> str | None:
        return "paid" if "paid" in world else None

    @write(find=found, settles=timedelta(0), timeout=timedelta(seconds=2))
    async def pay(action: Pay, effect: Effect) -> str:
        world.append("paid")
        return "paid"

    return pay


def keyless(world: list[str]) -> Write[Pay, str]:
    @write(timeout=timedelta(seconds=2))
    async def pay(action: Pay, effect: Effect) -> str:
        world.append("paid")
        return "paid"

    return pay


def paying_back(world: list[str]) -> Write[Pay, str]:
    @write(idempotent=True, timeout=timedelta(seconds=1))
    async def pay_back(action: Pay, effect: Effect) -> str:
        world.append("paid back" if "paid" in world else "nothing to pay back")
        return "done"

    return pay_back


async def test_a_write_that_has_not_begun_never_begins_once_its_undo_has(
    ledger: Ledger, world: list[str]
) -> None:
    pay, pay_back = paying(world), paying_back(world)
    await once(ledger, pay_back, attempt_at(pay_back, Undoes(key=KEY)))
    with pytest.raises(KeyUsed, match="taken back"):
        await once(ledger, pay, attempt_at(pay))
    assert world == ["nothing to pay back"]


async def test_a_write_known_not_to_have_happened_is_not_begun_again_after_its_undo(
    ledger: Ledger, world: list[str]
) -> None:
    @write
    async def pay(action: Pay, effect: Effect) -> str:
        raise NotDone("nobody listens")

    with pytest.raises(NotDone):
        await once(ledger, pay, attempt_at(pay))
    pay_back = paying_back(world)
    await once(ledger, pay_back, attempt_at(pay_back, Undoes(key=KEY)))
    with pytest.raises(KeyUsed, match="taken back"):
        await once(ledger, pay, attempt_at(pay))


async def test_an_undo_waits_for_the_write_that_is_still_under_way(
    ledger: Ledger, world: list[str], short_grace: None
) -> None:
    begun: list[str] = []

    @write(timeout=timedelta(seconds=2))
    async def pay(action: Pay, effect: Effect) -> str:
        begun.append(effect.key)
        await asyncio.sleep(0.5)
        world.append("paid")
        return "paid"

    pay_back = paying_back(world)
    writing = asyncio.ensure_future(once(ledger, pay, attempt_at(pay)))
    await until(lambda: begun)
    await once(ledger, pay_back, attempt_at(pay_back, Undoes(key=KEY)))
    assert world == ["paid", "paid back"]
    assert isinstance(await writing, Receipt)


async def test_a_write_that_gives_up_while_its_undo_waits_is_not_begun_again(
    ledger: Ledger, world: list[str]
) -> None:
    begun: list[str] = []

    @write(timeout=timedelta(seconds=2))
    async def pay(action: Pay, effect: Effect) -> str:
        begun.append(effect.key)
        await asyncio.sleep(0.5)
        raise NotDone("nobody listens")

    pay_back = paying_back(world)
    writing = asyncio.ensure_future(once(ledger, pay, attempt_at(pay)))
    await until(lambda: begun)
    await once(ledger, pay_back, attempt_at(pay_back, Undoes(key=KEY)))
    with pytest.raises(NotDone):
        await writing
    with pytest.raises(KeyUsed, match="taken back"):
        await once(ledger, pay, attempt_at(pay))
    assert len(begun) == 1


async def test_an_undo_of_a_write_in_doubt_closes_it(
    ledger: Ledger, world: list[str], short_grace: None
) -> None:
    @write(timeout=timedelta(seconds=2))
    async def pay(action: Pay, effect: Effect) -> str:
        world.append("paid")
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await once(ledger, pay, attempt_at(pay))
    pay_back = paying_back(world)
    await once(ledger, pay_back, attempt_at(pay_back, Undoes(key=KEY)))
    row = await ledger.effect(KEY)
    assert row is not None
    assert row.state is EffectState.TAKEN_BACK
    assert world == ["paid", "paid back"]


@pytest.mark.usefixtures("short_grace")
async def test_a_thread_that_outlives_its_time_is_awaited_and_not_followed(ledger: Ledger) -> None:
    done: list[str] = []

    @write(timeout=timedelta(seconds=0.3))
    def pay(action: Pay, effect: Effect) -> int:
        time.sleep(2)  # as a client that blocks: no time-out ends it
        done.append(effect.key)
        return 1

    first = asyncio.ensure_future(once(ledger, pay, attempt_at(pay)))
    await asyncio.sleep(0.1)
    second = await once(ledger, pay, attempt_at(pay))
    assert second == await first
    assert isinstance(second, Receipt)
    assert done == [second.key]


@pytest.mark.usefixtures("short_grace")
async def test_a_thread_that_does_not_end_is_named_with_its_process(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(predecessor, "_PATIENCE", 0.2)
    going_on = threading.Event()

    @write(timeout=timedelta(seconds=0.3))
    def pay(action: Pay, effect: Effect) -> int:
        going_on.wait(10)
        return 1

    first = asyncio.ensure_future(once(ledger, pay, attempt_at(pay)))
    await asyncio.sleep(0.1)
    with pytest.raises(NotDone, match=f"its thread in process {os.getpid()} of this machine"):
        await once(ledger, pay, attempt_at(pay))
    assert any("pay has gone on for" in each.getMessage() for each in caplog.records)
    going_on.set()
    assert isinstance(await first, Receipt)


async def test_an_overtaken_attempt_cannot_say_that_the_write_did_not_happen(
    ledger: Ledger, world: list[str]
) -> None:
    late = asyncio.Event()

    @write(idempotent=True, timeout=timedelta(seconds=5))
    async def pay(action: Pay, effect: Effect) -> str:
        world.append("asked")
        if len(world) == 1:
            await late.wait()
            raise NotDone("it was too late")
        raise ConnectionResetError  # it happened, and its answer was lost

    first = asyncio.ensure_future(once(ledger, pay, attempt_at(pay)))
    await until(lambda: world)
    with pytest.raises(ConnectionResetError):
        await once(ledger, pay, attempt_at(pay))
    late.set()
    with pytest.raises(NotDone):
        await first
    row = await ledger.effect(KEY)
    assert row is not None
    assert row.state is EffectState.INTENDED


async def test_an_attempt_that_broke_off_is_not_waited_for_until_its_deadline(
    ledger: Ledger, world: list[str], short_grace: None
) -> None:
    async def found(action: Pay, effect: Effect) -> str | None:
        return "found"

    @write(find=found, settles=timedelta(0), timeout=timedelta(seconds=30))
    async def pay(action: Pay, effect: Effect) -> str:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await once(ledger, pay, attempt_at(pay))
    async with asyncio.timeout(5):
        receipt = await once(ledger, pay, attempt_at(pay))
    assert receipt.how == "found"


class _Marking(Heartbeats):
    """Of which the server does not take the mark at once."""

    answer: Callable[[], Awaitable[None]]

    @override
    async def mark_sent(self, owner: str) -> None:
        await self.answer()


@pytest.fixture
def marking(monkeypatch: pytest.MonkeyPatch) -> _Marking:
    made = _Marking()
    monkeypatch.setattr(effects, "current_heartbeats", lambda: made)
    return made


async def test_what_is_broken_off_before_it_is_sent_is_asked_of_nobody(
    ledger: Ledger, world: list[str], marking: _Marking
) -> None:
    pay, marks = keyless(world), asyncio.Event()

    async def forever() -> None:
        marks.set()
        await asyncio.sleep(60)

    marking.answer = forever
    first = asyncio.ensure_future(once(ledger, pay, attempt_at(pay)))
    await marks.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    marking.answer = functools.partial(asyncio.sleep, 0)
    assert isinstance(await once(ledger, pay, attempt_at(pay)), Receipt)
    assert world == ["paid"]


@pytest.mark.usefixtures("short_grace")
async def test_who_wakes_after_its_time_says_that_it_sends_nothing_before_people_are_asked(
    ledger: Ledger, world: list[str], marking: _Marking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was frozen before its intent: its time is over, and it does not know that yet."""
    pay, marks, known = keyless(world), asyncio.Event(), asyncio.Event()

    async def refused() -> None:
        marks.set()
        await known.wait()
        raise RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")

    def long_ago(_: timedelta) -> str:
        return new_owner(timedelta(seconds=-5))

    with monkeypatch.context() as frozen:
        frozen.setattr(effects, "new_owner", long_ago)
        marking.answer = refused
        first = asyncio.ensure_future(once(ledger, pay, attempt_at(pay)))
        await marks.wait()
    second = asyncio.ensure_future(once(ledger, pay, attempt_at(pay)))
    await asyncio.sleep(0.1)
    known.set()
    for each in (first, second):
        with pytest.raises(NotDone):
            await each
    marking.answer = functools.partial(asyncio.sleep, 0)
    assert isinstance(await once(ledger, pay, attempt_at(pay)), Receipt)
    assert world == ["paid"]


async def test_a_receipt_is_kept_although_the_ledger_is_away_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY", timedelta(milliseconds=50))
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)

    @write
    async def pay(action: Pay, effect: Effect) -> str:
        other.execute("begin immediate")
        asyncio.get_running_loop().call_later(0.5, other.execute, "rollback")
        return "paid"

    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        receipt = await once(ledger, pay, attempt_at(pay))
        row = await ledger.effect(KEY)
    other.close()
    assert receipt.how == "written"
    assert row is not None
    assert row.receipt == receipt


FROZEN = """
import asyncio, os, signal, sys
from datetime import timedelta
from handrail import Action, Ledger, Effect, write
from handrail.actions import digest_of
from handrail.guardrails import effects
from handrail.wire import Attempt
from tests.agents.passed import passed

class Pay(Action):
    amount: int

async def found(action: Pay, effect: Effect) -> str | None:
    return None

@write(find=found, settles=timedelta(0), timeout=timedelta(seconds=0.2))
async def pay(action: Pay, effect: Effect) -> str:
    os.kill(os.getpid(), signal.SIGSTOP)
    open(sys.argv[2], "a").write("paid")
    return "paid"

async def main():
    async with Ledger(sys.argv[1]) as ledger:
        attempt = Attempt(case="pay:1", key="%s", digest=digest_of("pay", {"amount": 1}))
        await effects.once(ledger, pay, *passed("pay", Pay(amount=1), attempt))

asyncio.run(main())
"""


def stands_still(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return stat.rpartition(")")[2].split()[0] == "T"


@pytest.fixture
def frozen(tmp_path: Path, ledger: Ledger) -> Iterator[int]:
    program = textwrap.dedent(FROZEN % KEY)
    url, paid = f"sqlite:///{tmp_path}/ledger.db", str(tmp_path / "paid")
    process = subprocess.Popen([sys.executable, "-c", program, url, paid])
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.slow
async def test_a_frozen_process_is_not_overtaken_because_it_may_send_when_it_thaws(
    ledger: Ledger, tmp_path: Path, short_grace: None, frozen: int
) -> None:
    paid = tmp_path / "paid"

    async def found(action: Pay, effect: Effect) -> str | None:
        return "paid" if paid.exists() else None

    @write(find=found, settles=timedelta(0))
    async def pay(action: Pay, effect: Effect) -> str:
        paid.write_text("paid twice", encoding="utf-8")
        return "paid"

    await until(lambda: stands_still(frozen))
    overtaking = asyncio.ensure_future(once(ledger, pay, attempt_at(pay)))
    await asyncio.sleep(1.5)  # longer than its time and the grace together
    assert not overtaking.done()
    os.kill(frozen, signal.SIGCONT)
    async with asyncio.timeout(10):
        assert isinstance(await overtaking, Receipt)
    assert paid.read_text(encoding="utf-8") == "paid"


async def begun_elsewhere(ledger: Ledger, seconds: float) -> None:
    """An intent of a process of another machine, which may begin its effect for so long."""
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    digest = digest_of("pay", {"amount": 1})
    action: dict[str, JsonValue] = {"amount": 1}
    owner = "another machine|1|1|1"
    await ledger.begin(
        Intent(KEY, "pay:1", "pay", "pay", digest, action, "v1", owner, deadline=deadline)
    )


async def stopped_meanwhile(ledger: Ledger, step: Write[Any, Any], attempt: Attempt) -> None:
    """Stop the agent while an attempt waits for the end of the one before it."""
    going = asyncio.ensure_future(once(ledger, step, attempt))
    await asyncio.sleep(0.3)
    await ledger.order(OrderRow("s" * 8, "stop", "pay", "ana@example.com", datetime.now(UTC)))
    with pytest.raises(Stopped):
        await going


async def test_a_stop_that_comes_while_an_attempt_waits_for_another_one_is_heeded(
    ledger: Ledger, world: list[str], short_grace: None
) -> None:
    pay = paying(world)
    await begun_elsewhere(ledger, 1)
    await stopped_meanwhile(ledger, pay, attempt_at(pay))
    assert world == []
    assert await ledger.end_order("s" * 8, "ana@example.com", datetime.now(UTC))
    await once(ledger, pay, attempt_at(pay))
    assert world == ["paid"]


async def test_what_people_said_of_a_doubt_outlives_a_stop(
    ledger: Ledger, world: list[str], short_grace: None
) -> None:
    @write(timeout=timedelta(seconds=2))
    async def pay(action: Pay, effect: Effect) -> str:
        world.append("paid")
        return "paid"

    await begun_elsewhere(ledger, 1)
    doubtful = await ledger.effect(KEY)
    assert doubtful is not None
    said = DoubtAnswer(answer="do it", by="ana@example.com", token=doubtful.owner)
    attempt = attempt_at(pay).model_copy(update={"doubt": said})
    await stopped_meanwhile(ledger, pay, attempt)
    assert world == []
    assert await ledger.end_order("s" * 8, "ana@example.com", datetime.now(UTC))
    await once(ledger, pay, attempt)
    assert world == ["paid"]
