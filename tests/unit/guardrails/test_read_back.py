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
from handrail.guardrails.data_checks import PAUSES, ReadBack, Unseen, verify

PATIENCE = timedelta(minutes=10)
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


async def verified(
    *says: Callable[[], Any],
    result: Any = "10.00",
    step: Any = pay,
    old: timedelta = timedelta(0),
) -> ReadBack:
    """Read back what was written that long ago; nobody is told before ten minutes are over."""
    SAYS[:] = says
    effect, at = Effect(key="a:1/pay/1", case="a:1", step=step.name), datetime.now(UTC) - old
    receipt = Receipt(key=effect.key, step=step.name, digest="d" * 64, at=at, result=result)
    return await verify(step, Pay(amount=Decimal(10)), effect, receipt, PATIENCE)


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
    assert await verified(says(None)) == ReadBack()
    assert list(SEEN) == [(Pay(amount=Decimal(10)), "a:1/pay/1", Decimal("10.00"), "a:1/pay/1")]


async def test_a_write_that_nobody_can_read_back_is_taken_at_its_word() -> None:
    assert await verified(step=plain) == ReadBack()
    assert SEEN == []


async def test_what_shows_late_is_no_incident() -> None:
    assert await verified(says("not there"), raises(OSError("reset")), says(None)) == ReadBack()
    assert len(SEEN) == 3


async def test_what_is_wrong_three_times_is_wrong() -> None:
    assert await verified(says("a"), says("b"), says("is 3.00")) == ReadBack(differs="is 3.00")
    assert len(SEEN) == 3


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (says(""), "it is not as it should be"),
        (says(False), "False"),
        (says("x" * 5_000), "x" * 1_000),
    ],
)
async def test_what_was_read_and_differs_is_a_mismatch(last: Callable[[], Any], said: str) -> None:
    found = await verified(raises(OSError()), says("no"), last)
    assert found.differs.startswith(said)
    assert (len(found.differs) <= 1_000, found.unread) == (True, "")


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (raises(OSError("no route")), "no route"),
        (raises(ValueError()), "ValueError"),
        (raises(SystemExit(3)), "3"),
        (hangs, "no answer within"),
    ],
)
async def test_what_cannot_be_read_is_not_seen_yet_and_in_the_end_given_up(
    last: Callable[[], Any], said: str
) -> None:
    with pytest.raises(Unseen, match=f"a:1/pay/1 happened, and is not seen yet: {said}"):
        await verified(says("no"), says("no"), last, old=PATIENCE / 2)
    found = await verified(says("no"), says("no"), last, old=PATIENCE)
    assert found.unread.startswith(f"could not be read back within 0:10:00: {said}")
    assert (found.differs, found.wrong) == ("", found.unread)


async def test_it_ends_within_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_back, "LIMIT", timedelta(milliseconds=250))
    began = asyncio.get_running_loop().time()
    assert "no answer" in (await verified(hangs, hangs, hangs, old=PATIENCE)).unread
    assert asyncio.get_running_loop().time() - began < 8  # by itself it is 10 s


async def test_a_receipt_that_does_not_fit_cannot_be_read_back() -> None:
    """Of a write that a human confirmed, without what it returned."""
    assert "has not what it returns" in (await verified(result=None)).unread
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
