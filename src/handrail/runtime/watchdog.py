"""A watchdog over the event loop of a worker's steps: it names the one that blocks the others.

`async def` steps share one loop. One that computes, sleeps or waits for a socket without `await`
makes the others late, though nothing else. One that ends the loop leaves a process that neither
works nor ends: it is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from types import CodeType, FrameType
from typing import NoReturn

BLOCKED = timedelta(seconds=1)
"""How long the loop may not come to turn before it is said who keeps it."""

log = logging.getLogger("handrail.worker")

_LOGGED = 0.5


@contextlib.asynccontextmanager
async def watched_loop(steps: Mapping[CodeType, str]) -> AsyncGenerator[None]:
    """Say in the log, in this context, which of these steps blocks the loop."""
    loop, ended = asyncio.get_running_loop(), threading.Event()
    given = (loop, threading.get_ident(), steps, ended)
    thread = threading.Thread(target=_watch, args=given, name="handrail-watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        if not loop.is_closed():  # nobody has left: what was there is put away
            ended.set()


def _watch(
    loop: asyncio.AbstractEventLoop,
    thread: int,
    steps: Mapping[CodeType, str],
    ended: threading.Event,
) -> None:
    patience = BLOCKED.total_seconds()
    while not ended.wait(patience / 2):
        turn = threading.Event()
        try:
            loop.call_soon_threadsafe(turn.set)
        except RuntimeError:
            _end()
        if turn.wait(patience):
            continue
        if loop.is_closed():
            _end()
        frames = sys._current_frames()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # public
        step, where = _named(frames.get(thread), steps)
        log.error(
            "%s blocks the other `async def` steps of this worker for more than %s s at %s; "
            "fix: await what it waits for, or make it a plain `def`, which runs in a thread",
            step,
            patience,
            where,
        )
        while not turn.wait(patience) and not ended.is_set():
            if loop.is_closed():
                _end()


def _end() -> NoReturn:
    """End a process whose workers have lost their loop: who watches over it begins another."""
    log.critical("the loop that steps run on was closed under its workers: this process ends")
    time.sleep(_LOGGED)
    os._exit(1)


def _named(frame: FrameType | None, steps: Mapping[CodeType, str]) -> tuple[str, str]:
    """The step on a stack, and where it stands; else the innermost place."""
    where = "an unknown place"
    if frame is not None:
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    while frame is not None:
        if frame.f_code in steps:
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            return f"the step `{steps[frame.f_code]}`", place
        frame = frame.f_back
    return "something", where
