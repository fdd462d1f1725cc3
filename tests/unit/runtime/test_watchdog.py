"""A step that blocks the loop of its worker is named in the log."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from handrail.runtime import watchdog


async def careless() -> None:
    time.sleep(0.8)  # noqa: ASYNC251  # what it is about


async def careful() -> None:
    await asyncio.sleep(0.8)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "BLOCKED", timedelta(milliseconds=200))


async def test_the_step_that_blocks_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    steps = {careless.__code__: "careless", careful.__code__: "careful"}
    async with watchdog.watched_loop(steps):
        await careful()
        await careless()
        await asyncio.sleep(0.1)
    said = [each.getMessage() for each in caplog.records if "blocks" in each.getMessage()]
    assert [("`careless`" in each, "test_watchdog.py:" in each) for each in said] == [(True, True)]


EXITS = """\
import asyncio, sys, threading
from handrail.runtime.watchdog import watched_loop

async def main():
    loop = asyncio.get_running_loop()
    async with watched_loop({}):
        try:
            loop.call_soon(sys.exit)
            await asyncio.sleep(60)
        finally:  # as a step that is tried once more meanwhile
            loop.call_soon(sys.exit)
            await asyncio.sleep(60)

threading.Thread(target=threading.Event().wait).start()  # as that of the engine
asyncio.run(main())
"""


def test_a_process_whose_loop_was_ended_under_its_workers_ends() -> None:
    command = [sys.executable, "-c", EXITS]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "this process ends" in ended.stderr
