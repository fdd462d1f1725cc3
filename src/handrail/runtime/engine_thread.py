"""The engine's own thread: workers turn on a loop apart from the one that the agents' steps run on.

A step that blocks its loop keeps neither the door nor the ledger waiting, nor heartbeats,
deadlines and what Temporal sends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from temporalio.worker import Worker

from handrail.agent import StepLoop, steps_on
from handrail.runtime.process import run


@contextlib.asynccontextmanager
async def running_apart(workers: Callable[[], Sequence[Worker]]) -> AsyncGenerator[None]:
    """Run workers in this context, on a loop of their own; their steps run on the present one.

    What ends a worker ends the context, as with Temporal's own `async with worker`.
    """
    steps, body = StepLoop(), asyncio.current_task()
    ready: asyncio.Future[Callable[[], object]] = steps.loop.create_future()

    async def serve() -> None:
        ending, own = asyncio.Event(), asyncio.get_running_loop()
        with steps_on(steps):
            async with contextlib.AsyncExitStack() as stack:
                for worker in workers():
                    await stack.enter_async_context(worker)
                steps.loop.call_soon_threadsafe(
                    ready.set_result, lambda: own.call_soon_threadsafe(ending.set)
                )
                await ending.wait()

    thread = ThreadPoolExecutor(1, "handrail-engine")
    context = copy_context()
    served = steps.loop.run_in_executor(thread, lambda: context.run(run, serve()))

    def ended(_: object) -> None:
        if body is not None:
            body.cancel()

    try:
        await asyncio.wait([ready, served], return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            served.add_done_callback(ended)
            yield
    finally:
        served.remove_done_callback(ended)
        await asyncio.wait([ready, served], return_when=asyncio.FIRST_COMPLETED)
        if not served.done():
            ready.result()()
        await served
        steps.close()
        thread.shutdown(wait=False)
