"""What is measured, on a running server with the worker of each contender beside it."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from benchmarks.contender import HELD, LONGEST, PASSING, Contender, Handle
from benchmarks.process import WorkerProcess, cpu_of
from benchmarks.stats import percentile

_ENDED_WELL = "done"


class CaseBroken(Exception):
    """A case did not end as it must, or its write was not entered exactly once."""


@dataclass(frozen=True)
class Load:
    """A number of cases, `concurrency` of them at once. CPU in milliseconds a case.

    `median` is the time of one case from its start to its result, in milliseconds.
    """

    contender: str
    concurrency: int
    cases: int
    rate: float
    median: float
    worker_cpu: float
    server_cpu: float
    client_cpu: float

    @property
    def cpu(self) -> float:
        """CPU of worker and server together."""
        return self.worker_cpu + self.server_cpu


@dataclass(frozen=True)
class Size:
    """What one case leaves in the history; these are exact."""

    contender: str
    kind: str
    events: int
    bytes: int
    workflow_tasks: int


@dataclass(frozen=True)
class Waiting:
    """What a case costs that waits for a human, in kilobytes (1,000 bytes).

    `worker_memory`: resident, in a worker that keeps all of them in its cache.
    """

    contender: str
    cases: int
    worker_memory: float
    server_disk: float


@dataclass
class Bench:
    """The server, and the worker and the client of each contender."""

    address: str
    home: Path
    server: int
    database: Path
    workers: dict[str, WorkerProcess] = field(default_factory=dict[str, WorkerProcess])
    clients: dict[str, Client] = field(default_factory=dict[str, Client])
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def add(self, contender: Contender) -> WorkerProcess:
        """Start the worker of a contender, or start it anew, and connect its client."""
        await self.remove(contender)
        worker = await WorkerProcess.start(contender, self.address, self.home)
        self.workers[contender.queue] = worker
        if contender.queue not in self.clients:
            self.clients[contender.queue] = await contender.connect(self.address, self.home)
        return worker

    async def remove(self, contender: Contender) -> None:
        """Stop the worker of a contender, if there is one."""
        worker = self.workers.pop(contender.queue, None)
        if worker is not None:
            await worker.stop()

    async def close(self) -> None:
        """Stop all workers."""
        await asyncio.gather(*(worker.stop() for worker in self.workers.values()))
        self.workers.clear()

    async def start(self, contender: Contender, extra_cost: Decimal) -> tuple[str, Handle]:
        """Start one more case; its key, and a handle to it."""
        key = f"AWB-{next(self._numbers):06}"
        return key, await contender.start(self.clients[contender.queue], key, extra_cost)

    def cpu(self, contender: Contender) -> tuple[float, float, float]:
        """CPU seconds so far of the contender's worker, the server and this process."""
        worker = self.workers[contender.queue].cpu().total_seconds()
        return worker, cpu_of(self.server).total_seconds(), time.process_time()


async def ended(handle: Handle) -> None:
    """Wait until a case has ended well.

    Raises:
        CaseBroken: if it ended otherwise.
    """
    async with asyncio.timeout(LONGEST.total_seconds()):
        result: Any = await handle.result()
    if result["status"] != _ENDED_WELL:
        raise CaseBroken(f"{handle.id} ended {result}")


async def at_once(jobs: Sequence[Callable[[], Awaitable[None]]], concurrency: int) -> None:
    """Do all jobs, at most `concurrency` of them at a time."""
    left = iter(jobs)

    async def work() -> None:
        for job in left:
            await job()

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())


async def load(bench: Bench, contender: Contender, cases: int, concurrency: int) -> Load:
    """Run cases from start to end, and see that each wrote exactly once."""
    keys: set[str] = set()
    took: list[float] = []

    async def job() -> None:
        begun = time.perf_counter()
        key, handle = await bench.start(contender, PASSING)
        await ended(handle)
        took.append((time.perf_counter() - begun) * 1000)
        keys.add(key)

    before, begun = bench.cpu(contender), time.perf_counter()
    await at_once([job] * cases, concurrency)
    seconds, after = time.perf_counter() - begun, bench.cpu(contender)
    _written(contender, keys, await bench.workers[contender.queue].entered())
    worker, server, client = ((b - a) * 1000 / cases for a, b in zip(before, after, strict=True))
    return Load(
        contender=contender.name,
        concurrency=concurrency,
        cases=cases,
        rate=cases / seconds,
        median=percentile(took, 50),
        worker_cpu=worker,
        server_cpu=server,
        client_cpu=client,
    )


def _written(contender: Contender, keys: set[str], entered: dict[str, int]) -> None:
    if keys != entered.keys():
        odd = sorted(keys ^ entered.keys())[:5]
        raise CaseBroken(f"{contender.name}: not written exactly once: {odd}")


async def held_load(bench: Bench, contender: Contender, cases: int, concurrency: int) -> Load:
    """Run cases that wait for a human. What it costs to look at them is not counted.

    Rate and time of a case are those from its approval on.
    """
    begun: list[tuple[str, Handle]] = []

    async def begin() -> None:
        begun.append(await bench.start(contender, HELD))

    worker = bench.workers[contender.queue]
    marks = [bench.cpu(contender)]
    await at_once([begin] * cases, concurrency)
    await worker.quiet()
    marks.append(bench.cpu(contender))
    took: list[float] = []
    jobs = [_approving(handle, await _approval(contender, handle), took) for _, handle in begun]
    await worker.quiet()
    marks.append(bench.cpu(contender))
    sent = time.perf_counter()
    await at_once(jobs, concurrency)
    seconds = time.perf_counter() - sent
    marks.append(bench.cpu(contender))
    _written(contender, {key for key, _ in begun}, await worker.entered())
    spent = [
        (marks[1][i] - marks[0][i] + marks[3][i] - marks[2][i]) * 1000 / cases for i in range(3)
    ]
    return Load(contender.name, concurrency, cases, cases / seconds, percentile(took, 50), *spent)


async def _approval(contender: Contender, handle: Handle) -> object:
    async with asyncio.timeout(LONGEST.total_seconds()):
        while True:
            said = await contender.approval(handle)
            if said is not None:
                return said
            await asyncio.sleep(0.05)


def _approving(handle: Handle, said: object, took: list[float]) -> Callable[[], Awaitable[None]]:
    async def job() -> None:
        begun = time.perf_counter()
        await handle.signal("approve", said)
        await ended(handle)
        took.append((time.perf_counter() - begun) * 1000)

    return job


async def ruling_to_write(
    bench: Bench, contenders: Sequence[Contender], cases: int
) -> dict[str, list[float]]:
    """Milliseconds from sending an approval to the entry of the write, one case at a time.

    The contenders take turns case by case, so that a disturbance meets all of them alike.
    All cases are in their worker's memory.
    """
    begun = {c.name: [await bench.start(c, HELD) for _ in range(cases)] for c in contenders}
    for contender in contenders:
        await bench.workers[contender.queue].quiet()
    said = {
        handle.id: await _approval(contender, handle)
        for contender in contenders
        for _, handle in begun[contender.name]
    }
    for contender in contenders:
        await bench.workers[contender.queue].quiet()
    sent: dict[str, int] = {}
    for turn in range(cases):
        for contender in contenders:
            key, handle = begun[contender.name][turn]
            sent[key] = time.monotonic_ns()
            await handle.signal("approve", said[handle.id])
            await ended(handle)
            await asyncio.sleep(0.01)
    found: dict[str, list[float]] = {}
    for contender in contenders:
        entered = await bench.workers[contender.queue].entered()
        keys = {key for key, _ in begun[contender.name]}
        _written(contender, keys, entered)
        found[contender.name] = [(entered[key] - sent[key]) / 1e6 for key in sorted(keys)]
    return found


async def size(bench: Bench, contender: Contender, kind: str, extra_cost: Decimal) -> Size:
    """Run one case of a kind, approving it if it waits, and count what its history holds."""
    _, handle = await bench.start(contender, extra_cost)
    if extra_cost == HELD:
        # Asked while it works, it would cut its first workflow task in two to answer.
        await bench.workers[contender.queue].quiet()
        await handle.signal("approve", await _approval(contender, handle))
    async with asyncio.timeout(LONGEST.total_seconds()):
        await handle.result()
    history = await handle.fetch_history()
    tasks = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    await bench.workers[contender.queue].entered()
    return Size(
        contender=contender.name,
        kind=kind,
        events=len(history.events),
        bytes=sum(event.ByteSize() for event in history.events),
        workflow_tasks=sum(event.event_type == tasks for event in history.events),
    )


async def waiting(bench: Bench, contender: Contender, cases: int) -> Waiting:
    """Let many cases wait in a fresh worker, and see what that takes. They are left behind."""
    worker = await bench.add(contender)
    await load(bench, contender, 50, 16)
    await worker.quiet()
    before = (worker.resident(), _stored(bench.database))

    async def begin() -> None:
        await bench.start(contender, HELD)

    await at_once([begin] * cases, 16)
    await worker.quiet()
    after = (worker.resident(), _stored(bench.database))
    await bench.remove(contender)
    memory, disk = ((b - a) / 1000 / cases for a, b in zip(before, after, strict=True))
    return Waiting(contender.name, cases, memory, disk)


def _stored(database: Path) -> int:
    """Bytes of the pages in use of an SQLite database, its write-ahead log included."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        pages, free, page = (
            connection.execute(f"pragma {what}").fetchone()[0]
            for what in ("page_count", "freelist_count", "page_size")
        )
    finally:
        connection.close()
    return (pages - free) * page
