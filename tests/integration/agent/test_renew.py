"""Cases that live long: they continue as new, and nothing of them is lost or done again."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from handrail import State
from handrail.agent import verbs
from handrail.testing import Human, Outside
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy
from tests.agents.orders_steps import Order
from tests.agents.tools import reset

pytestmark = pytest.mark.integration

STANDING = policy(agent="standing")
ANA = Human("ana@example.com")


@pytest.fixture(autouse=True)
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew after a few steps instead of 150."""
    monkeypatch.setattr(verbs, "LONG_RUN", 20)


async def test_keys_receipts_and_books_go_along(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, STANDING)) as stage:
        case = await stage.start("standing", Order(number="1", times=8))
        first = (await case.handle.describe()).run_id
        outcome = await case.outcome()
        view = await case.view()
        assert (await case.handle.describe()).run_id != first
        assert len((await case.history()).events) < 60
    assert outcome.status is State.DONE
    assert outcome.why == "paid 8 times"
    assert [receipt.key for receipt in outcome.receipts] == outside.effects("pay")
    assert outside.effects("pay") == [f"standing:1/pay/{n}" for n in range(1, 9)]
    assert outside.effects("tell") == [f"standing:1/tell/{n}" for n in range(1, 9)]
    texts = [line.text for line in view.log]
    assert "the case continued in a new run" in texts
    assert texts.count("pay written") == 8
    assert view.moves[0].state is State.WORKING


async def test_a_roll_back_reaches_what_earlier_runs_wrote(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, STANDING)) as stage:
        case = await stage.start("standing", Order(number="1", times=6, parts=("break",)))
        assert (await case.outcome()).status is State.FAILED
    assert outside.effects("refund") == [f"standing:1/pay/{n}/undo" for n in range(6, 0, -1)]


async def test_a_reset_of_the_last_run_repeats_nothing(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, STANDING)) as stage:
        case = await stage.start("standing", Order(number="1", times=6))
        first = await case.outcome()
        await reset(stage, case)
        second = await case.outcome()
    assert second.receipts == first.receipts
    assert outside.doubled() == []


async def test_rulings_and_who_asked_go_along(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    order = Order(number="1", times=4, amount=Decimal(300))
    async with run_fleet(orders(tmp_path, STANDING)) as stage:
        case = await stage.start("standing", order, requested_by=ANA.address)
        seen = None
        for _ in range(4):
            seen = await case.gate(but=seen)
            assert "may not approve" in (await ANA.approve(case, seen)).note
            assert (await Human("bo@example.com").approve(case, seen)).accepted
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert [ruling.accepted for ruling in outcome.rulings] == [False, True] * 4


async def test_the_same_event_is_a_duplicate_in_every_run(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, STANDING)) as stage:
        case = await stage.start("standing", Order(number="1", times=6))
        await case.until(lambda view: len(view.receipts) > 3)
        assert (await stage.start("standing", Order(number="1", times=6))).duplicate
        await case.outcome()
        assert (await stage.start("standing", Order(number="1", times=6))).duplicate
    assert outside.doubled() == []
