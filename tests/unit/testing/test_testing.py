"""What `handrail.testing` promises to users' tests."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from handrail import failpoints
from handrail.actions import Undoes
from handrail.testing import (
    Crash,
    Interrupted,
    Outside,
    OutsideError,
    call_find,
    call_notify,
    call_write,
    interrupted,
)
from tests.agents.orders_steps import Pay, Post, Ship, pay, post, recall, refund, ship, tell

ELSEWHERE = """
import asyncio
from handrail.testing import Outside

asyncio.run(Outside.current().do("post", "k1"))
"""


@pytest.fixture
def world(tmp_path: Path) -> Outside:
    return Outside(tmp_path / "outside.db")


async def test_a_surface_that_takes_keys_does_nothing_twice(world: Outside) -> None:
    first = await world.put("bank", "k1", {"amount": 5})
    assert await world.put("bank", "k1", {"amount": 5}) == first
    assert await world.put("bank", "k2") != first
    assert world.effects("bank") == ["k1", "k2"]
    assert [call.new for call in world.calls("bank")] == [True, False, True]
    assert world.doubled() == []


async def test_one_that_takes_none_does_and_its_doubles_are_counted(world: Outside) -> None:
    await world.do("post", "k1")
    await world.do("post", "k1")
    assert world.effects() == ["k1", "k1"]
    assert world.doubled() == [("post", "k1")]


async def test_what_was_done_is_found_again(world: Outside) -> None:
    done = await world.do("post", "k1")
    await world.do("post", "k1")
    assert await world.find("post", "k1") == done
    assert await world.find("post", "k2") is None
    assert await world.find("bank", "k1") is None


async def test_it_breaks_down_as_planned_before_or_after(world: Outside) -> None:
    world.break_down("bank", "before", times=2, says="line is dead")
    world.break_down("post", "after")
    for _ in range(2):
        with pytest.raises(OutsideError, match="line is dead"):
            await world.put("bank", "k1")
    await world.put("bank", "k1")
    with pytest.raises(OutsideError):
        await world.do("post", "k1")
    assert world.effects() == ["k1", "k1"]
    world.break_down("bank", times=99)
    world.mend("bank")
    await world.put("bank", "k2")


async def test_it_keeps_callers_waiting(world: Outside) -> None:
    with world.kept_waiting("bank"):
        call = asyncio.ensure_future(world.put("bank", "k1"))
        await world.arrived("bank")
        assert world.calls() == []
    await call
    assert world.effects() == ["k1"]


async def test_it_is_found_by_steps_while_it_is_installed(world: Outside, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="installed"):
        Outside.current()
    with world.installed(), Outside(tmp_path / "other.db").installed() as other:
        assert Outside.current().path == other.path
        await Outside.current().put("bank", "k1")
        assert other.effects() == ["k1"]
    assert world.effects() == []


async def test_another_process_sees_the_same_world(world: Outside) -> None:
    with world.installed():
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", ELSEWHERE)
        await process.wait()
    assert world.effects() == ["k1"]


async def test_write_functions_can_be_called_by_themselves(world: Outside) -> None:
    with world.installed():
        payment = Pay(order="1", amount=Decimal(5))
        first = await call_write(pay, payment, key="a:1/pay/1")
        assert await call_write(pay, payment, key="a:1/pay/1") == first
        assert await call_find(ship, Ship(order="1"), key="a:1/ship/2") is None
        sent = await call_write(ship, Ship(order="1"), key="a:1/ship/2")
        assert await call_find(ship, Ship(order="1"), key="a:1/ship/2") == sent
        await call_notify(tell, "a:1/tell/1", "1")
        with pytest.raises(TypeError, match="post has no `find`"):
            await call_find(post, Post(order="1"))
    assert world.effects() == ["a:1/pay/1", "a:1/ship/2", "a:1/tell/1"]


@pytest.mark.parametrize("done", [True, False])
async def test_an_undo_can_be_called_for_what_may_not_have_happened(
    world: Outside, *, done: bool
) -> None:
    undoes = Undoes(key="a:1/ship/2")
    with world.installed():
        if done:
            await call_write(ship, Ship(order="1"), key=undoes.key)
        await call_write(recall, Ship(order="1"), key="a:1/ship/2/undo", undoes=undoes)
    assert world.effects("recall") == (["a:1/ship/2/undo"] if done else [])
    assert refund.idempotent


def test_a_boundary_can_be_interrupted_and_is_free_again() -> None:
    with interrupted("write:after-effect", times=1, case="a:1") as met:
        failpoints.reached("write:after-effect", "a:2")
        failpoints.reached("write:before-effect", "a:1")
        with pytest.raises(Interrupted):
            failpoints.reached("write:after-effect", "a:1")
        failpoints.reached("write:after-effect", "a:1")
    failpoints.reached("write:after-effect", "a:1")
    assert met == ["a:1"]


def test_a_crash_at_a_boundary_that_no_code_reaches_is_refused() -> None:
    with pytest.raises(ValidationError, match="no boundary 'write:somewhere'"):
        Crash(boundary="write:somewhere")
    with pytest.raises(ValueError, match="no boundary"), interrupted("write:somewhere"):
        pass
