"""A worker whose clock jumps: no limit opens by it, forwards or backwards."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from socket import gethostname
from typing import Any, Self

import pytest
from typing_extensions import override

from handrail import State
from handrail.guardrails import context, effects
from handrail.guardrails import machine as clock
from handrail.ledger import effects as ledger_effects
from handrail.ledger import limits
from handrail.testing import Outside
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy
from tests.agents.orders_steps import Order
from tests.integration.guardrails.faults_tools import LOOK, explains

pytestmark = pytest.mark.integration

READERS: tuple[Any, ...] = (clock, effects, context, ledger_effects, limits)
"""Whatever of a write looks at the clock of its worker."""


def shifted(by: timedelta) -> type[datetime]:
    class Shifted(datetime):
        @override
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            at = datetime.now(tz) + by
            return cls.fromtimestamp(at.timestamp(), at.tzinfo)

    return Shifted


Clock = Callable[[timedelta], contextlib.AbstractContextManager[None]]


@pytest.fixture
def jumped(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let the clock of the worker be wrong for a while."""

    @contextlib.contextmanager
    def jump(by: timedelta) -> Generator[None]:
        with monkeypatch.context() as patch:
            # As in production, where nobody skips time.
            patch.setattr(clock, "_skipped", False)
            for reader in READERS:
                patch.setattr(reader, "datetime", shifted(by))
            yield

    return jump


async def pay(stage: Any, number: int) -> State:
    case = await stage.start("orders", Order(number=str(number), amount=Decimal(1)))
    return (await case.outcome()).status


@pytest.mark.parametrize(
    ("by", "says"),
    [
        (timedelta(minutes=5), "0:05:00 ahead of"),
        (timedelta(hours=25), "1 day, 1:00:00 ahead of"),
        (timedelta(days=4_000), "4000 days, 0:00:00 ahead of"),
        (timedelta(minutes=-5), "0:05:00 behind"),
        (timedelta(hours=-25), "1 day, 1:00:00 behind"),
        (timedelta(days=-4_000), "4000 days, 0:00:00 behind"),
    ],
    ids=str,
)
async def test_a_clock_that_jumps_opens_no_limit_now_or_later(  # noqa: PLR0917  # fixtures
    by: timedelta, says: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path, jumped: Clock
) -> None:
    two = policy(actions={"pay": {"autonomy": "full", "limits": {"count": "2 per day"}}})
    async with run_fleet(orders(tmp_path, two)) as stage:
        assert await pay(stage, 1) is State.DONE
        with jumped(by):
            case = await stage.start("orders", Order(number="2"))
            await explains(case, f"the clock of {gethostname()} is {says} the server's", "fix:")
            await asyncio.sleep(LOOK)
            assert outside.effects("pay") == ["orders:1/pay/1"]
        assert (await case.outcome()).status is State.DONE
        assert await pay(stage, 3) is State.REFUSED
    assert len(outside.effects("pay")) == 2


async def test_a_clock_that_differs_by_a_little_is_right(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, jumped: Clock
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        for number, by in enumerate((timedelta(seconds=-30), timedelta(seconds=30))):
            with jumped(by):
                assert await pay(stage, number) is State.DONE
    assert len(outside.effects("pay")) == 2
