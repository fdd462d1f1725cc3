"""`python -m benchmarks.growth`: what a case costs as it grows, and as it waits.

A case of 10, 100 and 1,000 steps, reads or writes: CPU of a step, the history, and how long a
worker takes to have the case in its memory again. And cases that wait for a human: the memory of
each while it is cached, and when the cache is smaller than their number.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from temporalio.worker import Replayer

from benchmarks.contender import project
from benchmarks.report import machine, table
from handrail import Agent, Event, Fleet
from handrail.runtime import EmbeddedServer, configure_logging
from handrail.testing import Stage, eventually, free_ports, running

LENGTHS = (10, 100, 1000)
POLICY = """\
agent: counter
version: 1
owner: ana@example.com
proof: unproven
actions:
  put:
    autonomy: full
    irreversible: it is a measurement
    hold: [{when: action.held, why: a measurement of waiting, for: lead}]
roles:
  lead: {people: [ana@example.com], deadline: {after: 8h, then: refuse}}
"""


def fleet(directory: Path) -> Fleet:
    """The fleet of one agent."""
    policy = directory / "counter.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    steps = project("counting_steps")
    agent = Agent("counter", project("counting").Counter, steps=steps, policy=policy)
    return Fleet(agent, passthrough=["counting_steps"])


def task(number: str, **said: Any) -> Event:
    """The event of a case."""
    return project("counting_steps").Task(number=number, **said)


def _rss() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss


async def _case(stage: Stage, pid: int, steps: int, *, writes: bool) -> list[str]:
    server = psutil.Process(pid)
    before, then = time.process_time(), server.cpu_times()
    case = await stage.start("counter", task(f"{steps}-{writes}", steps=steps, writes=writes))
    await case.outcome(within=timedelta(minutes=10))
    used, now = time.process_time() - before, server.cpu_times()
    spent = now.user + now.system - then.user - then.system
    histories = [await case.history()]
    events, size = (
        sum(len(each.events) for each in histories),
        sum(event.ByteSize() for each in histories for event in each.events),
    )
    replayer = Replayer(
        workflows=[project("counting").Counter], plugins=[stage.fleet.plugin(stage.directory / "p")]
    )
    begun = time.process_time()
    await replayer.replay_workflow(histories[0])
    replayed = time.process_time() - begun
    return [
        "write" if writes else "read",
        f"{steps:,}",
        f"{used * 1000 / steps:.1f}",
        f"{spent * 1000 / steps:.1f}",
        f"{events:,}",
        f"{size / steps:,.0f}",
        f"{replayed * 1000:.0f}",
    ]


async def _waiting(stage: Stage, cases: int, name: str) -> float:
    """KB of memory of each case that waits, in a worker that has done cases before."""
    for number in range(20):
        warm = await stage.start("counter", task(f"{name}-warm{number}", steps=1))
        await warm.outcome()
    before = _rss()
    started = [
        await stage.start("counter", task(f"{name}-{number}", steps=1, held=True))
        for number in range(cases)
    ]

    async def all_wait() -> bool:
        query = "HandrailWaitingFor IS NOT NULL"
        return (await stage.client.count_workflows(query)).count >= len(started)

    await eventually(all_wait, within=timedelta(minutes=5), what="that all wait")
    await asyncio.sleep(1)
    return (_rss() - before) / 1000 / cases


async def measure(directory: Path, cases: int, lengths: tuple[int, ...]) -> str:
    """Both tables."""
    port, ui_port = free_ports()
    async with EmbeddedServer(directory / "server", port=port, ui_port=ui_port) as server:
        made = fleet(directory)
        rows: list[list[str]] = []
        async with running(made, server, directory) as stage:
            await (await stage.start("counter", task("warm", steps=5, writes=True))).outcome()
            for writes in (False, True):
                rows += [await _case(stage, server.pid or 0, n, writes=writes) for n in lengths]
        memory: list[list[Any]] = []
        for cached in (max(cases, 1000), 100):
            home = directory / f"cache-{cached}"
            home.mkdir()
            async with running(made, server, home, max_cached_workflows=cached) as stage:
                kilobytes = await _waiting(stage, cases, f"c{cached}")
                memory.append([f"{cases:,}", f"{cached:,}", f"{kilobytes:.0f}"])
    steps = (
        "step", "steps", "worker CPU a step, ms", "server CPU a step, ms", "events",
        "bytes a step", "read again by a worker, ms CPU",
    )  # fmt: skip
    return f"{table(steps, rows)}\n\n{table(('waiting', 'cache', 'KB of memory each'), memory)}"


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--cases", type=int, default=500, help="that wait")
    parser.add_argument("--longest", type=int, default=1000, help="steps of the longest case")
    given = parser.parse_args()
    lengths = tuple(n for n in LENGTHS if n <= given.longest)
    with tempfile.TemporaryDirectory(prefix="handrail-growth-") as home:
        configure_logging("console", fd=os.open(Path(home, "log"), os.O_WRONLY | os.O_CREAT))
        page = asyncio.run(measure(Path(home), given.cases, lengths))
        print(f"{machine()}.\n\n{page}")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
