"""Plain steps hold threads: where none is free, it is said which steps hold them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from handrail import NotDone
from handrail.agent import StepLoop, call_step, steps_on
from handrail.agent.step_calls import StepThreads


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
