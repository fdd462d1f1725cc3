"""A test that does not end: it is said where it waits, and its process is ended.

Else the whole run waits until somebody ends it, and nobody knows for what. Of several processes
beside each other the one is said to have crashed, and `make test` ends.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import threading
import time
from collections.abc import Generator
from typing import Any, Final, cast

import pytest

LIMIT: Final = 900.0
"""Seconds. The longest test takes 100 of them, and 300 on a slow machine that has much to do."""

_LOOK: Final = 1.0
_MORE: Final = 10.0


class StuckTests:
    """Looks, from a thread of its own, how long the present test has been running."""

    def __init__(self, limit: float = LIMIT) -> None:
        """Write to where stderr leads now, which pytest keeps to itself while a test runs."""
        self._limit = limit
        self._stderr = os.fdopen(os.dup(2), "w")
        self._present: tuple[str, float] | None = None
        threading.Thread(target=self._watch, name="stuck-tests", daemon=True).start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """pytest's hook around a test and its fixtures."""
        self._present = item.nodeid, time.monotonic()
        # Where no thread of Python comes to turn any more, this one of C does.
        faulthandler.dump_traceback_later(self._limit + _MORE, exit=True, file=self._stderr)
        try:
            return (yield)
        finally:
            self._present = None
            faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK)
            present = self._present
            if present and time.monotonic() - present[1] > self._limit:
                self._say(present[0])
                os._exit(1)

    def _say(self, test: str) -> None:
        print(f"\n{test} has not ended after {self._limit:g} s.", file=self._stderr, flush=True)
        faulthandler.dump_traceback(self._stderr)
        for task in _tasks():
            print(f"\n{task.get_name()} waits:", *_awaits(task), sep="\n  ", file=self._stderr)
        self._stderr.flush()


def _tasks() -> list[asyncio.Task[Any]]:
    """Those of all loops, in whatever threads these turn."""
    gc.unfreeze()  # what is frozen is not told of
    found = cast("list[object]", gc.get_objects())
    tasks = [cast("asyncio.Task[Any]", each) for each in found if isinstance(each, asyncio.Task)]
    return [each for each in tasks if not each.done()]


def _awaits(task: asyncio.Task[Any]) -> Generator[str]:
    """Where a task waits, from its beginning to the innermost place."""
    waits: Any = task.get_coro()
    while waits is not None:
        frame = getattr(waits, "cr_frame", None) or getattr(waits, "ag_frame", None)
        if frame is not None:
            yield f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        waits = getattr(waits, "cr_await", None) or getattr(waits, "ag_await", None)
