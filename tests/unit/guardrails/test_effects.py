"""Once-only effects, by the code itself: each kind, each error, two attempts at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from handrail import Action, Effect, Final, Ledger, NotDone, current_effect, write
from handrail.actions import Receipt, digest_of
from handrail.agent import BadResult, Write
from handrail.guardrails import effects
from handrail.guardrails.current import UnfitAnswer
from handrail.guardrails.effects import Doubt, KeyUsed
from handrail.ledger import EffectState
from handrail.wire import Attempt, DoubtAnswer
from tests.agents.passed import passed

KEY = "pay:1/pay/1"
WORLD: Counter[str] = Counter()
PLAN: list[BaseException | None] = []
"""What the next calls raise after they have had their effect; None for nothing."""


class Pay(Action):
    """Pay."""

    amount: int


async def _pay(action: Pay, effect: Effect) -> str:
    assert current_effect() == effect
    planned = PLAN.pop(0) if PLAN else None
    if not isinstance(planned, (Final, NotDone)):
        WORLD[effect.key] += 1
    await asyncio.sleep(0.05)
    if planned is not None:
        raise planned
    return f"paid {action.amount}"


async def _find(action: Pay, effect: Effect) -> str | None:
    assert effect.begun is not None  # it knows since when to look
    return f"found {action.amount}" if WORLD[effect.key] else None


async def _pay_once(action: Pay, effect: Effect) -> str:
    if WORLD[effect.key]:
        WORLD[effect.key] -= 1  # the world takes the key: a repetition has no effect
    return await _pay(action, effect)


def named(step: Write[Pay, Any]) -> Write[Pay, str]:
    object.__setattr__(step, "name", "pay")
    return step


IDEMPOTENT = named(write(idempotent=True)(_pay_once))
FINDABLE = named(write(find=_find, settles=timedelta(0))(_pay))
NEITHER = named(write(_pay))
KINDS = pytest.mark.parametrize(
    "step", [IDEMPOTENT, FINDABLE, NEITHER], ids=["key", "find", "none"]
)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty world, and no wait for requests that may still be on their way."""
    monkeypatch.setattr(effects, "GRACE", timedelta(seconds=0.1))
    WORLD.clear()
    PLAN.clear()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncGenerator[Ledger]:
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


async def once(
    ledger: Ledger, step: Write[Any, Any], amount: int = 1, doubt: DoubtAnswer | None = None
) -> Receipt | Doubt:
    action = Pay(amount=amount)
    digest = digest_of("pay", action.model_dump(mode="json"))
    attempt = Attempt(case="pay:1", key=KEY, digest=digest, doubt=doubt)
    return await effects.once(ledger, step, *passed("pay", action, attempt))


async def state(ledger: Ledger) -> EffectState:
    row = await ledger.effect(KEY)
    assert row is not None
    return row.state


@KINDS
async def test_again_and_again_is_once(step: Write[Any, Any], ledger: Ledger) -> None:
    first = await once(ledger, step)
    assert isinstance(first, Receipt)
    assert (first.how, first.result) == ("written", "paid 1")
    assert [await once(ledger, step) for _ in range(3)] == [first] * 3
    assert WORLD == {KEY: 1}


@KINDS
async def test_many_at_once_is_once(step: Write[Any, Any], ledger: Ledger) -> None:
    done = await asyncio.gather(*(once(ledger, step) for _ in range(5)), return_exceptions=True)
    receipts = [each for each in done if isinstance(each, Receipt)]
    assert receipts
    assert all(isinstance(each, (Receipt, NotDone)) for each in done), done
    assert WORLD == {KEY: 1}
    assert isinstance(await once(ledger, step), Receipt)
    assert WORLD == {KEY: 1}


@KINDS
async def test_what_is_known_not_to_have_happened_may_be_tried_again(
    step: Write[Any, Any], ledger: Ledger
) -> None:
    for error in (NotDone("busy"), Final("closed")):
        PLAN.append(error)
        with pytest.raises(type(error)):
            await once(ledger, step)
        assert await state(ledger) is EffectState.NOT_DONE
    assert isinstance(await once(ledger, step), Receipt)
    assert WORLD == {KEY: 1}


async def test_an_unknown_end_is_run_again_with_its_key(ledger: Ledger) -> None:
    PLAN.append(ConnectionError())
    with pytest.raises(ConnectionError):
        await once(ledger, IDEMPOTENT)
    assert await state(ledger) is EffectState.INTENDED
    assert isinstance(await once(ledger, IDEMPOTENT), Receipt)
    assert WORLD == {KEY: 1}


async def test_a_repetition_that_ends_for_good_does_not_deny_what_may_have_happened(
    ledger: Ledger,
) -> None:
    PLAN.extend([ConnectionError(), Final("seen before")])
    for error in (ConnectionError, Final):
        with pytest.raises(error):
            await once(ledger, IDEMPOTENT)
    assert await state(ledger) is EffectState.INTENDED


async def test_an_unknown_end_is_looked_for(ledger: Ledger) -> None:
    PLAN.append(ConnectionError())
    with pytest.raises(ConnectionError):
        await once(ledger, FINDABLE)
    found = await once(ledger, FINDABLE)
    assert isinstance(found, Receipt)
    assert (found.how, found.result) == ("found", "found 1")
    assert WORLD == {KEY: 1}


async def doubt(ledger: Ledger) -> Doubt:
    PLAN.append(ConnectionError())
    with pytest.raises(ConnectionError):
        await once(ledger, NEITHER)
    doubtful = await once(ledger, NEITHER)
    assert isinstance(doubtful, Doubt)
    return doubtful


def said(answer: Any, token: str, result: Any = None) -> DoubtAnswer:
    return DoubtAnswer(answer=answer, by="ana@example.com", token=token, result=result)


async def test_an_unknown_end_that_cannot_be_looked_for_is_a_doubt(ledger: Ledger) -> None:
    first = await doubt(ledger)
    assert await once(ledger, NEITHER) == first
    assert WORLD == {KEY: 1}


async def test_a_human_says_that_it_happened(ledger: Ledger) -> None:
    token = (await doubt(ledger)).token
    receipt = await once(ledger, NEITHER, doubt=said("happened", token, "by hand"))
    assert isinstance(receipt, Receipt)
    assert (receipt.how, receipt.result) == ("confirmed", "by hand")
    assert await once(ledger, NEITHER) == receipt
    assert WORLD == {KEY: 1}


async def test_a_human_says_do_it_once(ledger: Ledger) -> None:
    token = (await doubt(ledger)).token
    PLAN.append(ConnectionError())
    with pytest.raises(ConnectionError):
        await once(ledger, NEITHER, doubt=said("do it", token))
    assert WORLD == {KEY: 2}
    again = await once(ledger, NEITHER, doubt=said("do it", token))
    assert isinstance(again, Doubt)
    assert again.token != token
    assert WORLD == {KEY: 2}


async def test_an_answer_to_another_doubt_is_none(ledger: Ledger) -> None:
    token = (await doubt(ledger)).token
    assert isinstance(await once(ledger, NEITHER, doubt=said("do it", f"{token}0")), Doubt)
    assert isinstance(await once(ledger, NEITHER, doubt=said("happened", "")), Doubt)
    assert WORLD == {KEY: 1}


@KINDS
async def test_one_key_is_for_one_action(step: Write[Any, Any], ledger: Ledger) -> None:
    await once(ledger, step, amount=1)
    with pytest.raises(KeyUsed, match="used for another action"):
        await once(ledger, step, amount=2)
    assert WORLD == {KEY: 1}


async def _slow(action: Pay, effect: Effect) -> str:
    WORLD[effect.key] += 1
    await asyncio.sleep(30)
    return "late"


async def test_a_write_that_takes_too_long_is_broken_off_and_in_doubt(ledger: Ledger) -> None:
    slow = named(write(timeout=timedelta(milliseconds=500))(_slow))
    with pytest.raises(TimeoutError):
        await once(ledger, slow)
    assert isinstance(await once(ledger, slow), Doubt)
    assert WORLD == {KEY: 1}


@pytest.mark.parametrize("result", [object(), 7, {1, 2}, float])
async def test_a_result_of_another_type_is_no_reason_to_do_it_again(
    result: Any, ledger: Ledger
) -> None:
    async def odd(action: Pay, effect: Effect) -> str:
        WORLD[effect.key] += 1
        return cast("str", result)

    step = named(write(odd))
    with pytest.raises(BadResult, match=f"receipt {KEY}"):
        await once(ledger, step)
    assert await state(ledger) is EffectState.DONE
    assert isinstance(await once(ledger, step), Receipt)
    assert WORLD == {KEY: 1}


@pytest.mark.parametrize("answer", [False, True, [], {}, 0, b"\xff", object()])
async def test_an_answer_of_another_type_finds_nothing_and_nothing_is_done(
    answer: Any, ledger: Ledger
) -> None:
    async def answers(action: Pay, effect: Effect) -> Any:
        return answer if len(asked) < 2 else None

    asked: list[None] = []
    step = named(write(find=answers, settles=timedelta(0))(_pay))
    PLAN.append(OSError("the line is dead"))
    WORLD[KEY] = -1  # it did not arrive
    with pytest.raises(OSError, match="line"):
        await once(ledger, step)
    for _ in range(2):
        with pytest.raises(UnfitAnswer, match="whether pay happened is not known"):
            await once(ledger, step)
        asked.append(None)
    assert (await state(ledger), WORLD[KEY]) == (EffectState.INTENDED, 0)
    receipt = await once(ledger, step)
    assert isinstance(receipt, Receipt)
    assert (receipt.how, WORLD[KEY]) == ("written", 1)


async def test_a_result_with_half_a_character_loses_no_receipt(ledger: Ledger) -> None:
    async def odd(action: Pay, effect: Effect) -> dict[str, Any]:
        WORLD[effect.key] += 1
        return {"note": "thank you \ud83d"}

    step = named(write(odd))
    first = await once(ledger, step)
    assert isinstance(first, Receipt)
    assert first.result == {"note": "thank you \ufffd"}
    assert await state(ledger) is EffectState.DONE
    assert await once(ledger, step) == first
    assert WORLD == {KEY: 1}


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
async def test_a_step_that_wants_to_end_the_process_does_not(
    error: BaseException, ledger: Ledger
) -> None:
    PLAN.append(error)
    with pytest.raises(RuntimeError, match=type(error).__name__):
        await once(ledger, NEITHER)
    assert isinstance(await once(ledger, NEITHER), Doubt)


def test_outside_of_a_step_there_is_no_current_effect() -> None:
    with pytest.raises(LookupError):
        current_effect()
