"""Cases that have ended are opened again: tried once more, or undone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path

import pytest

from handrail import State
from handrail.client import Operator
from handrail.testing import Human, Outside, Stage
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy, put_policy
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration

OPS = "ops@example.com"
ANA = Human("ana@example.com")
SHUT = [{"when": 'action.order != ""', "why": "the carrier is shut"}]
NO = policy(actions={"ship": {"autonomy": "full", "refuse": SHUT}})
PAY, SHIP = "orders:1/pay/1", "orders:1/ship/2"
ASKS = policy(actions={"ship": {"autonomy": "supervised"}})


@pytest.fixture
async def operator(stage: Stage) -> Operator:
    return Operator(stage.client, stage.ledger, by=OPS)


@pytest.fixture
async def stage(run_fleet: RunFleet, tmp_path: Path) -> AsyncGenerator[Stage]:
    async with run_fleet(orders(tmp_path)) as running:
        yield running


async def test_a_case_that_was_refused_goes_on_after_its_last_receipt(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, NO)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "ship", "call")))
        assert (await case.outcome()).status is State.REFUSED
        again = Operator(stage.client, stage.ledger, by=OPS)
        [still] = (await again.retry(case.id, why="is it open?", wait=True)).cases
        assert (still.ok, still.state) == (False, State.REFUSED)
        put_policy(tmp_path, ASKS)
        [told] = (await again.retry(case.id, why="the carrier is open")).cases
        assert (told.ok, told.error) == (True, "")
        assert (await ANA.approve(case, await case.gate())).accepted
        outcome = await case.outcome()
        log = [line.text for line in (await again.case(case.id)).log or ()]
        listed = await again.cases("orders")
        refused = await again.cases("orders", state="refused")
        done = await again.cases(state=("done", "refused"))
        kept = await stage.ledger.effects(case.id)
    assert outcome.status is State.DONE
    assert [r.key for r in outcome.receipts] == [
        "orders:1/pay/1",
        "orders:1/ship/2",
        "orders:1/call/3",
    ]
    assert outside.doubled() == []
    assert outside.effects("pay") == [PAY]
    assert any(
        "resumed by ops@example.com" in each and "the carrier is open" in each
        for each in map(str, log or ())
    )
    assert ([each.case for each in listed.cases], listed.total) == ([case.id], 1)
    assert (refused.cases, refused.total) == ((), 0)
    assert ([(each.state, each.case) for each in done.cases], done.total) == (
        [(State.DONE, case.id)],
        1,
    )
    assert len(kept) == 3


async def test_from_the_start_what_was_written_is_known_by_its_key(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, NO)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "ship")))
        assert (await case.outcome()).status is State.REFUSED
        put_policy(tmp_path, policy())
        again = Operator(stage.client, stage.ledger, by=OPS)
        [told] = (await again.retry(case.id, from_start=True, wait=True)).cases
    assert (told.ok, told.state) == (True, State.DONE)
    assert outside.doubled() == []
    assert (outside.effects("pay"), outside.effects("ship")) == ([PAY], [SHIP])


async def test_an_old_no_says_nothing_of_the_new_question(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, ASKS)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("ship",)))
        await ANA.reject(case, await case.gate())
        assert (await case.outcome()).status is State.REJECTED
        again = Operator(stage.client, stage.ledger, by=OPS)
        assert (await again.retry(case.id)).cases[0].ok
        seen = await case.gate()
        assert outside.effects("ship") == []
        assert (await ANA.approve(case, seen)).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("ship") == ["orders:1/ship/1"]


async def test_a_case_that_is_done_is_rolled_back(
    stage: Stage, operator: Operator, outside: Outside
) -> None:
    case = await stage.start("orders", Order(number="1", parts=("pay", "ship")))
    assert (await case.outcome()).status is State.DONE
    [told] = (await operator.roll_back(case.id, why="the wrong customer", wait=True)).cases
    assert (told.ok, told.state) == (True, State.ROLLED_BACK)
    assert told.outcome is not None
    assert told.outcome.why == "rolled back by ops@example.com (unproven): the wrong customer"
    assert outside.effects("refund") == ["orders:1/pay/1/undo"]
    [again] = (await operator.roll_back(case.id)).cases
    assert again.error == "orders:1 is not rolled back: it was rolled back"
    assert outside.doubled() == []


async def test_a_roll_back_that_is_refused_is_no_order(
    stage: Stage, operator: Operator, outside: Outside
) -> None:
    del outside  # it is there
    case = await stage.start("orders", Order(number="1", amount=Decimal(300)))
    await case.gate()
    await operator.stop(case.id, wait=True)
    [told] = (await operator.roll_back(case.id)).cases
    assert told.error.endswith("it was stopped, which leaves what it wrote as it is")
    assert not await stage.ledger.rolled_back(case.id)


async def test_what_cannot_be_tried_again_says_why(
    stage: Stage, operator: Operator, outside: Outside
) -> None:
    done = await stage.start("orders", Order(number="1", parts=("pay",)))
    broken = await stage.start("orders", Order(number="2", parts=("pay", "break")))
    waits = await stage.start("orders", Order(number="3", amount=Decimal(300)))
    assert (await done.outcome()).status is State.DONE
    assert (await broken.outcome()).status is State.FAILED
    await waits.gate()
    told = (await operator.retry(done.id, broken.id, waits.id, "orders:none")).cases
    assert [each.ok for each in told] == [False] * 4
    assert [each.error for each in told] == [
        (
            "orders:1 has ended (done), and is not tried again; "
            "fix: what shall be done anew needs an event with another key"
        ),
        (
            "orders:2 has undone what it wrote (orders:2/pay/1), which is not done again under "
            "the same key; fix: give its event another key"
        ),
        "orders:3 is waiting: only what has ended is retried",
        "there is no case orders:none; `handrail cases` lists them (an id is agent:key)",
    ]
    assert outside.doubled() == []
