"""Limits: what is over them is refused, however many ask at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from handrail import State
from handrail.testing import Human, Outside
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import ALONE, orders, policy
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration


async def test_of_32_at_once_exactly_as_many_pass_as_the_limit_allows(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleet = orders(tmp_path, policy(actions={"pay": ALONE | {"limits": {"count": "7 per hour"}}}))
    async with run_fleet(fleet) as stage:
        cases = await asyncio.gather(
            *(stage.start("orders", Order(number=str(n))) for n in range(32))
        )
        outcomes = await asyncio.gather(*(case.outcome() for case in cases))
    assert Counter(outcome.status for outcome in outcomes) == {State.DONE: 7, State.REFUSED: 25}
    assert len(outside.effects("pay")) == 7
    refused = next(outcome for outcome in outcomes if outcome.status is State.REFUSED)
    assert "count: at most 7 per hour" in refused.why


async def test_a_budget_is_counted_exactly(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    limits = {"limits": {"amount": "0.3 per day"}}
    async with run_fleet(orders(tmp_path, policy(actions={"pay": ALONE | limits}))) as stage:
        ends = [
            (await (await stage.start("orders", Order(number=n, amount=Decimal(cost)))).outcome())
            for n, cost in (("1", "0.1"), ("2", "0.2"), ("3", "0.000001"))
        ]
    assert [end.status for end in ends] == [State.DONE, State.DONE, State.REFUSED]


async def test_what_did_not_happen_uses_nothing_up(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    limits = {"limits": {"count": "1 per day"}}
    outside.break_down("pay", "before", says="final: no such account")
    async with run_fleet(orders(tmp_path, policy(actions={"pay": ALONE | limits}))) as stage:
        failed = await (await stage.start("orders", Order(number="1"))).outcome()
        passed = await (await stage.start("orders", Order(number="2"))).outcome()
    assert (failed.status, passed.status) == (State.FAILED, State.DONE)


async def test_a_human_is_not_asked_about_what_is_over_a_limit(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    pay = {"autonomy": "supervised", "limits": {"amount": "100 per day"}}
    async with run_fleet(orders(tmp_path, policy(actions={"pay": pay}))) as stage:
        case = await stage.start("orders", Order(number="1", amount=Decimal(101)))
        outcome = await case.outcome()
        view = await case.view()
    assert outcome.status is State.REFUSED
    assert State.WAITING not in {move.state for move in view.moves}


async def test_an_approval_does_not_lift_a_limit_that_was_used_up_meanwhile(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    pay = {"autonomy": "supervised", "limits": {"count": "1 per day"}}
    ana = Human("ana@example.com")
    async with run_fleet(orders(tmp_path, policy(actions={"pay": pay}))) as stage:
        first = await stage.start("orders", Order(number="1"))
        second = await stage.start("orders", Order(number="2"))
        await second.gate()
        await ana.approve(first)
        assert (await first.outcome()).status is State.DONE
        await ana.approve(second)
        outcome = await second.outcome()
    assert outcome.status is State.REFUSED
    assert "count: at most 1 per day" in outcome.why
    assert outside.effects("pay") == ["orders:1/pay/1"]
