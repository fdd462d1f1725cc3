"""What is run in which order: sizes, and the rounds in which contenders take turns."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from benchmarks.contender import (
    ALL,
    HANDRAIL,
    HELD,
    LEAN,
    LEAN_FINDABLE,
    LEAN_HELD,
    ORDINARY,
    PASSING,
    REFUSED,
    UNHELD,
    WAITING,
)
from benchmarks.door import Stage, profile
from benchmarks.measure import (
    Bench,
    Load,
    Size,
    Waiting,
    held_load,
    load,
    ruling_to_write,
    size,
    waiting,
)
from benchmarks.stats import in_turn
from handrail.runtime import EmbeddedServer
from handrail.testing import free_ports

FEWEST = 2
"""Rounds that are run however long they take: one alone has no spread."""


@dataclass(frozen=True)
class Plan:
    """How much is run. `loads`: cases at each concurrency, a round.

    Many short rounds, since what disturbs a machine lasts longer than one. `time`: after it
    no further round begins, but two are run in any case, if so many are planned.
    """

    rounds: int
    time: timedelta
    loads: Mapping[int, int]
    held: int
    rulings: int
    waiting: int
    writes: int


FULL = Plan(
    rounds=8,
    time=timedelta(minutes=5),
    loads={1: 8, 16: 48, 128: 128},
    held=64,
    rulings=15,
    waiting=1000,
    writes=600,
)
QUICK = Plan(
    rounds=1,
    time=timedelta(minutes=1),
    loads={1: 6, 16: 32, 128: 128},
    held=32,
    rulings=10,
    waiting=100,
    writes=200,
)

KINDS = (
    (HANDRAIL, "passed", PASSING),
    (ORDINARY, "passed", PASSING),
    (LEAN, "passed", PASSING),
    (HANDRAIL, "approved", HELD),
    (LEAN_HELD, "approved", HELD),
    (LEAN_FINDABLE, "approved", HELD),
    (HANDRAIL, "refused", REFUSED),
)


@dataclass
class Results:
    """Everything that was measured. Rounds are in order, so that they can be paired."""

    sizes: list[Size] = field(default_factory=list[Size])
    loads: list[Load] = field(default_factory=list[Load])
    held: list[Load] = field(default_factory=list[Load])
    rulings: list[dict[str, list[float]]] = field(default_factory=list[dict[str, list[float]]])
    waiting: list[Waiting] = field(default_factory=list[Waiting])
    stages: list[Stage] = field(default_factory=list[Stage])

    def of(self, contender: str, concurrency: int) -> list[Load]:
        """The loads of a contender at one concurrency, round by round."""
        return [
            found
            for found in self.loads
            if found.contender == contender and found.concurrency == concurrency
        ]

    def held_of(self, contender: str) -> list[Load]:
        """The held loads of a contender, round by round."""
        return [found for found in self.held if found.contender == contender]

    def size(self, contender: str, kind: str) -> Size:
        """What a case of a kind leaves in the history."""
        return next(s for s in self.sizes if s.contender == contender and s.kind == kind)


async def run(plan: Plan, home: Path, say: Callable[[str], None] = lambda _: None) -> Results:
    """Measure everything, on a server of its own in `home`.

    Raises:
        CaseBroken: if a case did not do its work.
        WorkerBroken: if a worker died.
    """
    results = Results(stages=await profile(home, plan.writes))
    say("the door: measured")
    async with _bench(home) as bench:
        for contender in ALL.values():
            worker = await bench.add(contender)
            await load(bench, contender, 32, 16)
            await worker.quiet()
        say("workers: warm")
        for contender, kind, extra_cost in KINDS:
            results.sizes.append(await size(bench, contender, kind, extra_cost))
        begun = time.monotonic()
        for number in range(plan.rounds):
            if number >= FEWEST and time.monotonic() - begun > plan.time.total_seconds():
                say(f"no time for more rounds: {plan.time} are over")
                break
            await _round(plan, bench, results, number)
            say(f"round {number + 1} of {plan.rounds}: measured")
        await bench.close()
        for contender in WAITING:
            results.waiting.append(await waiting(bench, contender, plan.waiting))
        say(f"{plan.waiting} waiting cases: measured")
    return results


async def _round(plan: Plan, bench: Bench, results: Results, number: int) -> None:
    for concurrency, cases in plan.loads.items():
        for contender in in_turn(UNHELD, number):
            results.loads.append(await load(bench, contender, cases, concurrency))
            await bench.workers[contender.queue].quiet()
    for contender in in_turn(WAITING, number):
        results.held.append(await held_load(bench, contender, plan.held, 16))
        await bench.workers[contender.queue].quiet()
    results.rulings.append(await ruling_to_write(bench, in_turn(WAITING, number), plan.rulings))


@asynccontextmanager
async def _bench(home: Path) -> AsyncGenerator[Bench]:
    port, ui_port = free_ports()
    async with EmbeddedServer(home / "server", port=port, ui_port=ui_port) as server:
        pid = server.pid
        if pid is None:
            sys.exit("the embedded server died at its start")
        bench = Bench(server.address, home, pid, server.database)
        try:
            yield bench
        finally:
            await bench.close()
