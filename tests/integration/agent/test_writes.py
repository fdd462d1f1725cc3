"""Once-only effects: whatever happens around a write, the world sees it once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.common import RetryPolicy

from handrail import State
from handrail.testing import Human, Outside, interrupted
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order, Part
from tests.agents.tools import by_hand, reset

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("short_grace")]

EVERYTHING: tuple[Part, ...] = ("pay", "ship", "post", "tell")
ON_THE_WAY = [
    "write:arrived",
    "write:judged",
    "write:before-intent",
    "write:after-intent",
    "write:before-effect",
    "write:after-effect",
    "write:before-receipt",
    "write:after-receipt",
    "write:answering",
]


async def test_the_same_event_twice_is_one_case(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        first = await stage.start("orders", Order(number="1", parts=EVERYTHING))
        again = await stage.start("orders", Order(number="1", parts=("pay",)))
        assert (first.duplicate, again.duplicate) == (False, True)
        outcome = await first.outcome()
        late = await stage.start("orders", Order(number="1"))
    assert late.duplicate
    assert (outcome.status, outcome.why) == (State.DONE, "fulfilled")
    keys = [receipt.key for receipt in outcome.receipts]
    assert keys == ["orders:1/pay/1", "orders:1/ship/2", "orders:1/post/3"]
    assert outside.effects() == ["1", *keys, "orders:1/tell/1"]


async def test_another_event_is_another_case(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        for number in ("1", "2"):
            await (await stage.start("orders", Order(number=number))).outcome()
    assert outside.effects("pay") == ["orders:1/pay/1", "orders:2/pay/1"]


async def test_an_answer_that_is_lost_does_not_double_what_takes_a_key(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("pay", "after", times=2)
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay",)))
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert len(outside.calls("pay")) == 3
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_an_answer_that_is_lost_is_found_where_the_world_can_be_asked(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("ship", "after")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("ship",)))
        outcome = await case.outcome()
    assert [receipt.how for receipt in outcome.receipts] == ["found"]
    assert outcome.receipts[0].result == "ship-2"
    assert outside.effects("ship") == ["orders:1/ship/1"]


async def test_what_is_not_found_is_done(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("ship", "before")
    outside.break_down("find", "before")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("ship",)))
        outcome = await case.outcome()
    assert [receipt.how for receipt in outcome.receipts] == ["written"]
    assert outside.effects("ship") == ["orders:1/ship/1"]


async def test_what_certainly_did_not_happen_is_tried_again_without_asking(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("post", "before", times=2, says="not done: the box is full")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("post",)))
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert outside.effects("post") == ["orders:1/post/1"]


async def test_a_final_error_ends_the_write_at_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("post", "before", says="final: no such address")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("post",)))
        outcome = await case.outcome()
        rows = await stage.ledger.effects(case.id)
    assert outcome.status is State.FAILED
    assert "no such address" in outcome.why
    assert outside.effects("post") == []
    assert [row.state for row in rows] == ["not_done"]


@pytest.mark.parametrize("part", ["pay", "ship", "post"])
async def test_interrupted_at_any_point_of_its_way_a_write_happens_once(
    part: Part, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    ana = Human("ana@example.com")
    asked: list[str] = []
    async with run_fleet(orders(tmp_path)) as stage:
        for number, boundary in enumerate(ON_THE_WAY):
            with interrupted(boundary) as met:
                case = await stage.start("orders", Order(number=str(number), parts=(part,)))
                await case.until(lambda view: view.gates or view.receipts)
                assert met == [case.id]
            if not (await case.view()).receipts:
                asked.append(boundary)
                done = f"{case.id}/post/1" in outside.effects("post")
                said = await (
                    ana.answer(case, "happened", result="seen")
                    if done
                    else ana.answer(case, "do it")
                )
                assert said.accepted, said.note
            assert (await case.outcome()).status is State.DONE
    assert outside.doubled() == []
    assert outside.effects(part) == [f"orders:{n}/{part}/1" for n in range(len(ON_THE_WAY))]
    # Whoever is broken off right before the effect puts down that it was not sent.
    doubtful = ["after-intent", "after-effect", "before-receipt"]
    assert asked == ([f"write:{b}" for b in doubtful] if part == "post" else [])


async def test_a_worker_that_remembers_nothing_replays_every_task(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path), max_cached_workflows=0) as stage:
        case = await stage.start("orders", Order(number="1", parts=(*EVERYTHING, *EVERYTHING)))
        assert (await case.outcome()).status is State.DONE
    assert outside.doubled() == []
    keys = [f"orders:1/{part}/{n}" for n, part in enumerate(("pay", "ship", "post") * 2, 1)]
    assert sorted(outside.effects()) == sorted(["1", *keys, "orders:1/tell/1", "orders:1/tell/2"])


async def test_a_reset_case_does_not_write_again(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", parts=EVERYTHING))
        first = await case.outcome()
        await reset(stage, case)
        second = await case.outcome()
    assert second.status is State.DONE
    assert second.receipts == first.receipts
    assert outside.doubled() == []


async def test_after_a_reset_the_old_approval_opens_nothing(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    ana = Human("ana@example.com")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", amount="300"))  # pyright: ignore[reportArgumentType]
        seen = await case.gate()
        outside.break_down("pay", times=1_000)
        assert (await ana.approve(case, seen)).accepted
        await reset(stage, case)
        again = await case.gate()
        assert again.gate != seen.gate
        view = await case.until(lambda view: view.rulings)
        outside.mend("pay")  # not before: an attempt of the first run, approved, may still run
        assert "no gate" in view.rulings[0].note
        assert not view.rulings[0].accepted
        assert outside.effects("pay") == []
        assert (await ana.approve(case, again)).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_a_case_that_temporal_has_forgotten_is_still_a_duplicate(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    order = Order(number="1", parts=("pay", "post"))
    async with run_fleet(orders(tmp_path)) as stage:
        await (await stage.start("orders", order)).outcome()
    async with run_fleet(orders(tmp_path)) as stage:  # a new namespace, the same ledger
        assert (await stage.start("orders", order)).duplicate
        forced = await (await by_hand(stage, "orders:1", order)).outcome()
    assert forced.status is State.DONE
    assert [receipt.how for receipt in forced.receipts] == ["written", "written"]
    assert outside.effects("pay") + outside.effects("post") == ["orders:1/pay/1", "orders:1/post/2"]


async def test_the_same_key_with_another_action_is_refused(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        await (await stage.start("orders", Order(number="1"))).outcome()
    async with run_fleet(orders(tmp_path)) as stage:
        other = await by_hand(stage, "orders:1", Order(number="1", amount=Decimal(51)))
        outcome = await other.outcome()
    assert outcome.status is State.REFUSED
    assert "was used for another action" in outcome.why
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_a_case_that_temporal_retries_writes_and_undoes_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    order = Order(number="1", parts=("pay", "break"))
    retry = RetryPolicy(maximum_attempts=3)
    async with run_fleet(orders(tmp_path)) as stage:
        case = await by_hand(stage, "orders:1", order, retry_policy=retry)
        assert (await case.outcome()).status is State.FAILED
    assert outside.doubled() == []
    assert outside.effects("pay") == ["orders:1/pay/1"]
    assert outside.effects("refund") == ["orders:1/pay/1/undo"]


async def test_what_was_taken_back_is_not_taken_for_written(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    order = Order(number="1", parts=("pay", "break"))
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", order)
        assert (await case.outcome()).status is State.FAILED
        await reset(stage, case)
        outcome = await case.outcome()
    assert outcome.status is State.REFUSED
    assert "taken back" in outcome.why
    assert outside.effects("pay") == ["orders:1/pay/1"]
