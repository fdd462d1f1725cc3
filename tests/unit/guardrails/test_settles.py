"""Requests that take effect late, keys that are forgotten, attempts of other machines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from handrail import Effect, Final, Ledger, NotDone, write
from handrail.actions import Receipt, Undoes, digest_of, undo_key
from handrail.agent import Heartbeats, Write
from handrail.guardrails.effects import Doubt
from handrail.guardrails.machine import begins_until, is_over, new_owner, released_owner
from handrail.guardrails.predecessor import Predecessor
from handrail.ledger import EffectRow, EffectState, Intent
from tests.agents.late_bank import (
    KEY,
    SETTLES,
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


async def test_a_find_that_can_never_tell_has_people_asked(ledger: Ledger, bank: Bank) -> None:
    async def look(action: Pay, effect: Effect) -> str | None:
        raise Final("401: who are you?")

    step = findable(bank, find=look)
    bank.delay = 0.6
    with pytest.raises(TimeoutError):
        await once(ledger, step)
    doubt = await once(ledger, step)
    await bank.all_done()
    assert isinstance(doubt, Doubt)
    assert bank.effects == [KEY]
    row = await ledger.effect(KEY)
    assert row is not None
    assert row.state is EffectState.INTENDED


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


@pytest.mark.parametrize("ago", [None, timedelta(0), timedelta(days=1)])
async def test_an_undo_waits_also_for_a_write_that_the_ledger_has_lost(
    ledger: Ledger, bank: Bank, ago: timedelta | None
) -> None:
    """Whatever its attempt says of when that ended, or leaves out; but not once it has begun."""
    bank.delay, pay = 1, paying(bank, settles=SETTLES)
    asked = asyncio.create_task(bank.ask(Effect(key=KEY, case="pay:1", step="pay")))
    seen: list[list[str]] = []

    @write(idempotent=True)
    async def pay_back(action: Pay, effect: Effect) -> str:
        seen.append(list(bank.effects))
        if len(seen) == 1:
            raise RuntimeError("no answer")
        return "paid back"

    undoes = Undoes(key=KEY, left=None if ago is None else datetime.now(UTC) - ago)
    await asyncio.sleep(0)
    for patience in (0.1, 0.1, None):
        # Another attempt at the undo finds only what the one before it has forbidden.
        with contextlib.suppress(TimeoutError, RuntimeError):
            async with asyncio.timeout(patience):
                await once(ledger, pay_back, undoes=undoes, steps=[pay])
    assert seen == [[KEY]]
    async with asyncio.timeout(1):
        await once(ledger, pay_back, undoes=undoes, steps=[pay])
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
    early = await once(ledger, step, **answered(doubt, doubt.until - timedelta(seconds=1)))
    assert isinstance(early, Doubt)
    now = datetime.now(UTC)
    for stripped in (doubt.token.partition("|arrives")[0], doubt.token.replace(":", "", 1)):
        forged = await once(ledger, step, **answered(replace(doubt, token=stripped), now))
        assert isinstance(forged, Doubt), "whoever words an attempt can strip the time from it"
    # No answer counts as later than now.
    await asyncio.sleep((doubt.until - datetime.now(UTC)).total_seconds() + 0.1)
    bank.delay = 0
    assert isinstance(await once(ledger, step, **answered(doubt, datetime.now(UTC))), Receipt)
    assert bank.numbers == [1, 2]


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


@pytest.mark.parametrize("released", [False, True], ids=["goes on, perhaps", "said that it ended"])
async def test_what_was_waited_for_is_not_waited_for_anew_by_the_attempt_that_follows(
    ledger: Ledger, *, released: bool
) -> None:
    """On a busy machine one that waits is taken for dead, and followed in the same process."""
    hour = timedelta(hours=1)
    owner = await begun_elsewhere(ledger, released=released)
    row, now = await ledger.effect(KEY), time.monotonic()
    assert row is not None

    def until(row: EffectRow, looked: float) -> datetime:
        found = Predecessor(row, hour, 2 * hour, timedelta(0), looked).doubt(owner, row.begun).until
        assert found is not None
        return found

    first, second = until(row, now - 600), until(row, now)
    assert timedelta(minutes=9) < first - second < timedelta(minutes=11)
    # Another attempt, of which nothing was seen before, is waited for in full.
    assert abs(until(replace(row, owner=f"x{owner}"), now) - first) < timedelta(minutes=1)


async def test_an_attempt_of_another_machine_that_said_it_ended_is_not_waited_for(
    ledger: Ledger, bank: Bank
) -> None:
    await begun_elsewhere(ledger, seconds=60, released=True)
    step = findable(bank, timeout=timedelta(seconds=30), settles=timedelta(0))
    async with asyncio.timeout(5):
        assert isinstance(await once(ledger, step), Receipt)


class Followed(Heartbeats):
    """Those of an attempt that was taken for dead as it waited."""

    @override
    async def superseded(self) -> bool:
        return True


@pytest.mark.parametrize("kind", ["key", "find"])
async def test_an_attempt_that_another_has_followed_leaves_the_write_to_it(
    ledger: Ledger, bank: Bank, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = paying(bank, idempotent=True) if kind == "key" else findable(bank)
    await begun_elsewhere(ledger, released=True)
    with monkeypatch.context() as patch:
        patch.setattr("handrail.guardrails.effects.current_heartbeats", Followed)
        with pytest.raises(NotDone, match="another attempt has followed this one"):
            await once(ledger, step)
    assert bank.numbers == []
    assert isinstance(await once(ledger, step), Receipt)
    assert bank.effects == [KEY]


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
    assert isinstance(await once(ledger, step, **answered(doubt, datetime.now(UTC))), Receipt)


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


HIDING = """\
import os, sys
from handrail.guardrails.machine import is_over, new_owner, stands_still
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
try:
    os.stat(f"/proc/{os.getppid()}")
except OSError:
    print(*((is_over(owner), stands_still(owner)) for owner in sys.argv[1:]))
else:
    print("nothing is hidden")
"""
"""Says of owners whether they are over, and stand still, where others' processes are hidden."""


def test_a_process_of_another_user_that_is_hidden_is_not_taken_for_gone() -> None:
    owner = new_owner(timedelta(seconds=30))
    pid = subprocess.Popen(["true"])
    pid.wait()
    gone = owner.replace(f"|{os.getpid()}|", f"|{pid.pid}|")
    alone = ["unshare", "--mount", "sh", "-c"]
    hide = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    run = subprocess.run(
        [*alone, hide, "sh", sys.executable, "-c", HIDING, owner, gone],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode or "nothing is hidden" in run.stdout:
        pytest.skip(f"processes cannot be hidden here: {run.stderr[-200:]}")
    assert run.stdout.strip() == "(False, False) (True, False)"
