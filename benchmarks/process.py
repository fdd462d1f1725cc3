"""The processes that are measured, seen from outside: CPU, memory, and a line in and out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

if TYPE_CHECKING:
    from benchmarks.contender import Contender

START = timedelta(seconds=30)
STOP = timedelta(seconds=15)
ROOT = Path(__file__).resolve().parent.parent
ANSWER_LIMIT = 2**24
"""Bytes of the longest line a worker may answer with."""


class WorkerBroken(Exception):
    """A worker died, or does not answer. Its log says why."""


def cpu_of(pid: int) -> timedelta:
    """User and system time that a process has used so far; in steps of 10 ms on Linux."""
    times = psutil.Process(pid).cpu_times()
    return timedelta(seconds=times.user + times.system)


@dataclass(frozen=True)
class WorkerProcess:
    """The running worker of one contender."""

    contender: Contender
    process: asyncio.subprocess.Process
    log: Path

    @classmethod
    async def start(cls, contender: Contender, address: str, home: Path) -> Self:
        """Start the worker and wait until it polls.

        Raises:
            WorkerBroken: if it does not come up.
        """
        log = home / f"{contender.queue}.log"
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "benchmarks.worker", contender.queue, address, str(home)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                cwd=ROOT,
                limit=ANSWER_LIMIT,
            )
        worker = cls(contender, process, log)
        await worker.answer()
        return worker

    async def answer(self) -> Any:
        """The next line that the worker says.

        Raises:
            WorkerBroken: if it says none in time.
        """
        assert self.process.stdout is not None  # noqa: S101  # it was started with a pipe
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START.total_seconds()):
                line = await self.process.stdout.readline()
                if line:
                    return json.loads(line)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise WorkerBroken(f"the worker of {self.contender.name} does not answer:\n{tail}")

    async def entered(self) -> dict[str, int]:
        """When each write was entered since the last time asked, in monotonic nanoseconds."""
        assert self.process.stdin is not None  # noqa: S101  # it was started with a pipe
        self.process.stdin.write(b"entered\n")
        await self.process.stdin.drain()
        return await self.answer()

    def cpu(self) -> timedelta:
        """CPU used so far."""
        return cpu_of(self.process.pid)

    def resident(self) -> int:
        """Bytes of memory in use (RSS)."""
        return psutil.Process(self.process.pid).memory_info().rss

    async def quiet(self) -> None:
        """Wait until it has nothing left to do: 200 ms with less than 20 ms of CPU."""
        before = self.cpu()
        while True:
            await asyncio.sleep(0.2)
            now = self.cpu()
            if now - before < timedelta(milliseconds=20):
                return
            before = now

    async def stop(self) -> None:
        """End it: its stdin is closed, and after a while it is killed."""
        assert self.process.stdin is not None  # noqa: S101  # it was started with a pipe
        self.process.stdin.close()
        try:
            async with asyncio.timeout(STOP.total_seconds()):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
