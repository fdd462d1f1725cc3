"""The process of a contender, seen from outside: lines in and out, CPU and memory of all of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from benchmarks.comparison.contenders import HERE, Contender
from benchmarks.comparison.servers import Backend

ANSWER = 300.0
"""Seconds after which a contender that does not answer counts as broken."""

LIMIT = 2**24
"""Bytes of the longest answer."""


class ContenderBroken(Exception):
    """A contender does not do what it was asked. The message has the end of its log."""


@dataclass(frozen=True)
class Cost:
    """CPU in milliseconds, of the contender's own process and of its servers."""

    worker: float
    server: float

    @property
    def all(self) -> float:
        """Of all processes."""
        return self.worker + self.server

    def since(self, before: Cost) -> Cost:
        """What was spent in between."""
        return Cost(self.worker - before.worker, self.server - before.server)


def _family(pids: Iterable[int]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
    return found


def cpu_of(pids: Iterable[int]) -> float:
    """Milliseconds that these processes and all of their children have used, ended ones too."""
    spent = 0.0
    for process in _family(pids):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            spent += times.user + times.system + times.children_user + times.children_system
    return spent * 1000


def memory_of(pids: Iterable[int]) -> float:
    """MiB of memory in use; what processes share counts once."""
    used = 0
    for process in _family(pids):
        with contextlib.suppress(psutil.NoSuchProcess):
            used += process.memory_full_info().pss
    return used / 2**20


@dataclass(frozen=True)
class Running:
    """A contender's process that runs."""

    contender: Contender
    backend: Backend
    process: asyncio.subprocess.Process
    log: Path

    @classmethod
    async def start(cls, contender: Contender, backend: Backend, home: Path, **given: str) -> Self:
        """Start it, and wait until it is ready. `given`: more settings, such as `role="client"`.

        Raises:
            ContenderBroken: if it does not come up.
        """
        log = home / "contender.log"
        more = {f"COMPARISON_{name.upper()}": value for name, value in given.items()}
        with log.open("ab") as lines:
            process = await asyncio.create_subprocess_exec(
                str(contender.python),
                str(HERE / contender.program),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=lines,
                limit=LIMIT,
                cwd=home,
                env=_environment() | backend.environment | {"COMPARISON_HOME": str(home)} | more,
            )
        running = cls(contender, backend, process, log)
        await running._answer("to start")
        return running

    async def ask(self, do: str, keys: Iterable[str] = (), **said: Any) -> Any:
        """Have it do something, and wait for the answer.

        Raises:
            ContenderBroken: if it cannot, or does not answer.
        """
        assert self.process.stdin is not None  # noqa: S101  # it was started with a pipe
        line = json.dumps({"do": do, "keys": list(keys), **said})
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()
        return await self._answer(f"to {do}")

    async def _answer(self, what: str) -> Any:
        assert self.process.stdout is not None  # noqa: S101  # it was started with a pipe
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER):
                if line := await self.process.stdout.readline():
                    return json.loads(line)
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise ContenderBroken(f"{self.contender.name}, asked {what}, does not answer:\n{tail}")

    def cpu(self) -> Cost:
        """Spent until now."""
        return Cost(cpu_of([self.process.pid]), cpu_of(self.backend.pids))

    def memory(self) -> tuple[float, float]:
        """MiB of its process, and of its servers."""
        return memory_of([self.process.pid]), memory_of(self.backend.pids)

    async def quiet(self, within: float = 5.0) -> None:
        """Wait until there is nothing left to do: 200 ms with less than 20 ms of CPU."""
        end, before = time.monotonic() + within, self.cpu().all
        while time.monotonic() < end:
            await asyncio.sleep(0.2)
            now = self.cpu().all
            if now - before < 20:  # noqa: PLR2004  # as above
                return
            before = now

    async def kill(self) -> None:
        """Kill -9."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """End it: its stdin is closed, and after a while it is killed."""
        assert self.process.stdin is not None  # noqa: S101  # it was started with a pipe
        self.process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(15):
                await self.process.wait()
        await self.kill()


def _environment() -> dict[str, str]:
    """That of this process, without what would tell a contender of this repository's own."""
    ours = ("HANDRAIL_", "TEMPORAL_", "VIRTUAL_ENV", "PYTHON", "COMPARISON_")
    found = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return found | {"PYTHONPATH": str(HERE / "project"), "LANGSMITH_TRACING": "false"}
