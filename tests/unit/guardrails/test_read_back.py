"""Reading back what was written: right, wrong, late, slow, broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from handrail import Action, Effect, StepError, current_effect, write
from handrail.actions import Receipt
from handrail.guardrails import data_checks as read_back
from handrail.guardrails.data_checks import PAUSES, verify

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAYS: list[Callable[[], Any]] = []
SEEN: list[Any] = []


class Pay(Action):
    """Pay somebody."""

    amount: Decimal


async def reads(action: Pay, effect: Effect, result: Decimal) -> str | None:
    SEEN.append((action, effect.key, result, current_effect().key))
    said = SAYS.pop(0)()
    return await said if asyncio.iscoroutine(said) else said


@write(idempotent=True, verify=reads)
async def pay(action: Pay, effect: Effect) -> Decimal:
    """Pay."""
    return action.amount


@write(idempotent=True)
async def plain(action: Pay, effect: Effect) -> Decimal:
    """Pay, and look no further."""
    return action.amount


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_back, "PAUSES", (timedelta(milliseconds=5),) * len(PAUSES))
    monkeypatch.setattr(read_back, "TRY", timedelta(milliseconds=200))
    SAYS.clear()
    SEEN.clear()


async def verified(*says: Callable[[], Any], result: Any = "10.00", step: Any = pay) -> str:
    SAYS[:] = says
    effect = Effect(key="a:1/pay/1", case="a:1", step=step.name)
    receipt = Receipt(key=effect.key, step=step.name, digest="d" * 64, at=NOW, result=result)
    return await verify(step, Pay(amount=Decimal(10)), effect, receipt)


def says(what: Any) -> Callable[[], Any]:
    return lambda: what


def raises(error: BaseException) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


async def hangs() -> str | None:
    await asyncio.sleep(60)
    return "never said"


async def test_what_is_as_it_should_be_is_looked_at_once_with_what_it_returned() -> None:
    assert await verified(says(None)) == ""
    assert list(SEEN) == [(Pay(amount=Decimal(10)), "a:1/pay/1", Decimal("10.00"), "a:1/pay/1")]


async def test_a_write_that_nobody_can_read_back_is_taken_at_its_word() -> None:
    assert await verified(step=plain) == ""
    assert SEEN == []


async def test_what_shows_late_is_no_incident() -> None:
    assert await verified(says("not there"), raises(OSError("reset")), says(None)) == ""
    assert len(SEEN) == 3


async def test_what_is_wrong_three_times_is_wrong() -> None:
    assert await verified(says("a"), says("b"), says("is 3.00")) == "is 3.00"
    assert len(SEEN) == 3


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (raises(OSError("no route")), "could not be read back: no route"),
        (raises(ValueError()), "could not be read back: ValueError"),
        (raises(SystemExit(3)), "could not be read back: 3"),
        (hangs, "could not be read back: no answer within"),
        (says(""), "it is not as it should be"),
        (says(False), "False"),
        (says("x" * 5_000), "x" * 1_000),
    ],
)
async def test_what_cannot_be_read_back_is_no_less_an_incident(
    last: Callable[[], Any], said: str
) -> None:
    found = await verified(says("no"), says("no"), last)
    assert found.startswith(said)
    assert len(found) <= 1_000


async def test_it_ends_within_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_back, "LIMIT", timedelta(milliseconds=250))
    began = asyncio.get_running_loop().time()
    assert "no answer" in await verified(hangs, hangs, hangs)
    assert asyncio.get_running_loop().time() - began < 8  # by itself it is 10 s


async def test_a_receipt_that_does_not_fit_cannot_be_read_back() -> None:
    """Of a write that a human confirmed, without what it returned."""
    assert "has not what it returns" in await verified(result=None)
    assert SEEN == []


async def test_a_case_that_is_cancelled_ends_it() -> None:
    task = asyncio.ensure_future(verified(hangs, hangs, hangs))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_verify_of_another_shape_is_refused_where_it_is_declared() -> None:
    def at_once(action: Pay, effect: Effect, result: Decimal) -> str | None: ...

    async def short(action: Pay, effect: Effect) -> str | None: ...

    for wrong in (at_once, short):
        given: Any = wrong
        with pytest.raises(StepError, match="its `verify` must be"):

            @write(idempotent=True, verify=given)
            async def bad(action: Pay, effect: Effect) -> Decimal: ...
