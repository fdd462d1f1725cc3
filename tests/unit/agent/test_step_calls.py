"""Plain steps hold threads: where none is free, it is said which steps hold them."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
import warnings
from collections.abc import Awaitable, Callable

import pytest

from handrail import NotDone
from handrail.agent import StepLoop, call_step, steps_on
from handrail.agent.step_calls import LoopEnded, StepThreads


async def test_who_holds_the_threads_is_named() -> None:
    ends = threading.Event()

    def hangs() -> None:
        ends.wait(10)

    def waits() -> int:
        return 1

    place = StepLoop()
    place.threads = StepThreads(2, "few")
    with steps_on(place):
        held = [asyncio.ensure_future(call_step(hangs, [], 10)) for _ in range(2)]
        await asyncio.sleep(0.1)
        with pytest.raises(NotDone, match=r"before a thread was free .* held by: hangs 2;"):
            await call_step(waits, [], 0.2)
        ends.set()
        await asyncio.gather(*held)
        assert await call_step(waits, [], 1) == 1
    place.close()


async def _leaves() -> None:
    await asyncio.sleep(0)
    sys.exit(3)


async def gathers() -> None:
    await asyncio.gather(_leaves(), _leaves())


async def groups() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_leaves())


async def hands_to_a_thread() -> None:
    await asyncio.to_thread(sys.exit)


async def forgets() -> None:
    left = asyncio.create_task(_leaves())
    await asyncio.wait([left])
    raise RuntimeError(left.exception())


@pytest.mark.parametrize("step", [gathers, groups, hands_to_a_thread, forgets])
def test_a_task_of_a_step_that_exits_ends_its_step_and_not_the_process(
    step: Callable[[], Awaitable[None]],
) -> None:
    async def call() -> list[Exception]:
        place = StepLoop()
        with steps_on(place):
            said = await asyncio.gather(call_step(step, [], 5), return_exceptions=True)
            assert await call_step(asyncio.sleep, [0, "goes on"], 5) == "goes on"
        place.close()
        return [each for each in said if isinstance(each, Exception)]

    [error] = asyncio.run(call())
    assert "SystemExit" in "".join(traceback.format_exception(error))


async def test_a_task_of_a_step_that_is_cancelled_before_it_began_is_closed() -> None:
    async def step() -> str:
        task = asyncio.create_task(_leaves(), name="begun")
        assert "_leaves" in repr(task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.get_name()

    place = StepLoop()
    with steps_on(place), warnings.catch_warnings(action="error"):
        assert await call_step(step, [], 5) == "begun"
    place.close()
    assert asyncio.get_running_loop().get_task_factory() is None


async def exits_in_a_callback() -> None:
    asyncio.get_running_loop().call_soon(sys.exit)
    await asyncio.sleep(10)


async def stops_the_loop() -> None:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(10)


async def waits() -> None:
    await asyncio.sleep(10)


@pytest.mark.parametrize("guilty", [exits_in_a_callback, stops_the_loop])
def test_who_runs_on_a_loop_that_is_ended_is_cut_off_and_says_so(
    guilty: Callable[[], Awaitable[None]],
) -> None:
    found = list[BaseException | None]()

    def engine(place: StepLoop) -> None:
        async def both() -> None:
            with steps_on(place):
                calls = [call_step(each, [], 20) for each in (waits, guilty)]
                found.extend(await asyncio.gather(*calls, return_exceptions=True))

        asyncio.run(both())

    async def worker() -> None:
        await asyncio.get_running_loop().run_in_executor(None, engine, StepLoop())

    with pytest.raises((SystemExit, RuntimeError)):
        asyncio.run(worker())
    assert [type(each) for each in found] == [LoopEnded, LoopEnded]
    assert "waits was cut off" in str(found[0])
