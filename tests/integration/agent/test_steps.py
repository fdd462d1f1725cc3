"""Steps that return or raise anything: a clear end, no wedged case, no worker that dies."""

from __future__ import annotations

import logging
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from handrail import State
from handrail.testing import Outside, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import odd, orders
from tests.agents.odd_steps import RAISED, Odd
from tests.agents.orders_steps import Order
from tests.agents.tools import by_hand, raw, reported_problems

pytestmark = pytest.mark.integration


@pytest.fixture
def no_log() -> Generator[None]:
    """Keep what cannot be encoded from the reports that test processes send each other."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("no_log")
async def test_a_read_may_raise_anything_and_is_tried_again(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        for what in RAISED:
            case = await stage.start("odd", Odd(number=what, step="burst", what=what))
            outcome = await case.outcome()
            assert (what, outcome.status) == (what, State.DONE)
            assert len(outside.calls("burst")) == 2
            outside.forget()


async def test_a_short_read_that_asks_to_be_tried_in_a_year_does_not_wait_unseen(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="burst", what="in a year"))
        assert (await case.outcome()).status is State.DONE
    assert len(outside.calls("burst")) > 1


@pytest.mark.usefixtures("no_log")
async def test_a_write_may_raise_anything_and_is_done_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        for what in RAISED:
            case = await stage.start("odd", Odd(number=what, step="make", what=what))
            outcome = await case.outcome()
            assert (what, outcome.status) == (what, State.DONE)
            assert len(outside.calls("make")) == 2
            assert outside.effects("make") == [f"odd:{what}/make/1"]
            outside.forget()


@pytest.mark.parametrize("what", ["TypeError", "a text", "nothing", "a coroutine"])
async def test_a_mistake_in_a_read_fails_the_case_and_names_the_step(
    what: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="mistaken", what=what))
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert "mistaken" in outcome.why
    assert ("is declared to return" in outcome.why) is (what != "TypeError")


async def test_a_verb_that_is_given_the_call_of_another_one_says_so(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="mistaken", what="a call"))
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert "self.read is given a call that nobody awaited" in outcome.why


@pytest.mark.parametrize("what", ["a text", "another action", "megabytes"])
async def test_a_decision_of_another_kind_fails_the_case_and_writes_nothing(
    what: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="choose", what=what))
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert "choose" in outcome.why
    assert outside.effects("make") == []


@pytest.mark.parametrize("what", ["an object", "a number"])
async def test_a_write_that_returns_the_wrong_type_is_not_repeated_but_taken_back(
    what: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="make", what=what))
        outcome = await case.outcome()
    assert outcome.status is State.FAILED
    assert "make happened" in outcome.why
    assert len(outside.calls("make")) == 1
    assert outside.effects("unmake") == ["odd:1/make/1/undo"]


async def test_a_write_may_return_megabytes(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="make", what="much"))
        outcome = await case.outcome()
        assert outcome.status is State.DONE
        assert len(str(outcome.receipts[0].result)) == 3 * 1024 * 1024
        assert await history_size(case) < 20_000
    assert len(outside.calls("make")) == 1


async def history_size(case: Any) -> int:
    return sum(event.ByteSize() for event in (await case.history()).events)


async def test_a_read_may_return_megabytes_and_the_history_stays_small(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path), max_cached_workflows=0) as stage:
        case = await stage.start("odd", Odd(number="1", step="heavy", what="3"))
        outcome = await case.outcome()
        assert outcome.why == f"heavy: {3 * 1024 * 1024}"
        assert await history_size(case) < 20_000


async def test_an_event_may_have_megabytes(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        odd_event = Odd(number="1", step="shaky", what="x" * 3 * 1024 * 1024)
        case = await stage.start("odd", odd_event)
        assert (await case.outcome()).status is State.DONE
        assert await history_size(case) < 20_000


async def test_a_read_that_takes_too_long_is_tried_again(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="slow", what="x"))
        assert (await case.outcome()).status is State.DONE
    assert len(outside.calls("slow")) == 2


async def test_a_short_step_that_fails_three_times_goes_on_where_its_error_can_be_seen(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    outside.break_down("shaky", times=1_000, says="the line is dead")
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="shaky", what="x"))

        async def failing() -> str:
            pending = (await case.handle.describe()).raw_description.pending_activities
            return pending[0].last_failure.message if pending else ""

        assert "the line is dead" in await eventually(failing)
        assert (await case.view()).state is State.WORKING
        outside.mend("shaky")
        assert (await case.outcome()).status is State.DONE


async def test_a_notification_that_cannot_be_sent_is_named_and_fails_nothing(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside.break_down("announce", times=1_000, says="nobody is there")
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="announce", what="x"))
        await eventually(lambda: _retrying(case))
        await case.pass_time(timedelta(minutes=10))
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert outcome.unsent == ("announce: nobody is there",)


async def _retrying(case: Any) -> bool:
    return bool((await case.handle.describe()).raw_description.pending_activities)


async def test_a_notification_that_the_policy_forbids_is_not_sent(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path, notify={"announce": {"allow": False}})) as stage:
        case = await stage.start("odd", Odd(number="1", step="announce", what="x"))
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert outcome.unsent == ("announce: the policy does not allow announce",)
    assert outside.calls("announce") == []


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [None],
        [{}],
        [{"number": 1, "parts": []}],
        [{"number": "1", "colour": "red"}],
        ["an order"],
        [{"number": "1"}, {"number": "2"}],
        [raw(b"half a {")],
        [raw(b"\x00\x01", "binary/plain")],
    ],
)
async def test_a_bad_event_by_hand_fails_cleanly_before_anything(
    bad: list[Any], run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await by_hand(stage, "orders:1", *bad)
        with pytest.raises(WorkflowFailureError) as caught:
            await case.handle.result()
        assert await reported_problems(case) == []
    assert isinstance(caught.value.cause, ApplicationError)
    assert outside.calls() == []


async def test_a_wrong_event_is_refused_before_a_case_begins(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        with pytest.raises(Exception, match="is started by Order, not by Odd"):
            await stage.start("orders", Odd(number="1", step="x"))
        with pytest.raises(Exception, match="no agent `order`"):
            await stage.start("order", Order(number="1"))
        for number in (" ", "1" * 201, "1\n", "1\0", "1\x9b", "1\ud83d"):
            with pytest.raises(Exception, match="1 to 200 characters that can be read"):
                await stage.start("orders", Order(number=number))
        assert [case async for case in stage.client.list_workflows("")] == []
