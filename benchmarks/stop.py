"""`python -m benchmarks.stop`: how long after a stop the last write begins, under load.

Several worker processes press their writes through doors of their own. A stop is given, as
`handrail stop` gives it, and the time measured from its commit in the ledger to the last effect
that begins through any door; then it is lifted. A hundred times, on each kind of database.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import sqlalchemy as sa

from benchmarks.postgres import binaries, postgres
from benchmarks.stop_writers import AGENT, POLICY, STEP, now
from handrail import Ledger
from handrail.oversight import Target, order_row, stop_order

SCOPES = (Target("*"), Target(AGENT), Target(AGENT, step=STEP))
"""What is stopped, in turn: the fleet, the agent, one of its writes."""

WATCHED = 0.4
"""Seconds after a stop in which nothing may begin any more."""


@dataclass(frozen=True)
class Trial:
    """One stop under load. Times in milliseconds.

    `given`: from the order to its commit. `last`: from the commit to the last effect that began
    (below 0: before it). `after`: effects that began after it. `late`: intents that were
    committed after the stop was; there must be none. `load`: effects in the time before.
    `refused`: how often a door said that all is stopped.
    """

    what: str
    given: float
    last: float
    after: int
    late: int
    load: int
    refused: int


@dataclass(frozen=True)
class Worker:
    """A process that writes."""

    process: asyncio.subprocess.Process

    async def told(self) -> tuple[list[int], int]:
        """When effects have begun since it was asked before, and how often all was stopped.

        Raises:
            RuntimeError: if it has ended.
        """
        reading, writing = self.process.stdout, self.process.stdin
        assert reading is not None  # noqa: S101  # it was asked for
        assert writing is not None  # noqa: S101  # the same
        writing.write(b"?\n")
        line = await reading.readline()
        if not line:
            raise RuntimeError("a writer has ended: see what it said above")
        said = json.loads(line)
        return said["begun"], said["stopped"]


@contextlib.asynccontextmanager
async def load(url: str, home: Path, processes: int, writers: int) -> AsyncGenerator[list[Worker]]:
    """Run processes that write, all at once, until this ends."""
    (home / "payer.yaml").write_text(POLICY, encoding="utf-8")
    pipe, workers = asyncio.subprocess.PIPE, list[Worker]()
    try:
        for number in range(processes):
            argv = ["-m", "benchmarks.stop_writers", url, home, str(number), str(writers)]
            process = await asyncio.create_subprocess_exec(
                sys.executable, *argv, stdin=pipe, stdout=pipe, limit=1 << 24
            )
            workers.append(Worker(process))
        yield workers
    finally:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()
            await worker.process.wait()


async def trials(
    url: str, home: Path, number: int, *, processes: int = 4, writers: int = 8
) -> list[Trial]:
    """Stop a number of times under load."""
    chance = random.Random(4)  # noqa: S311  # seeded, not secret
    engine = sa.create_engine(url, pool_pre_ping=True)
    found: list[Trial] = []
    try:
        async with Ledger(url) as ledger, load(url, home, processes, writers) as workers:
            await _until_all_write(workers)
            for each in range(number):
                await asyncio.sleep(chance.uniform(0.1, 0.3))
                found.append(await _trial(ledger, engine, workers, SCOPES[each % len(SCOPES)]))
    finally:
        engine.dispose()
    return found


async def _until_all_write(workers: Sequence[Worker]) -> None:
    for worker in workers:
        while not (await worker.told())[0]:  # noqa: ASYNC110  # another process's doing
            await asyncio.sleep(0.05)


async def _trial(
    ledger: Ledger, engine: sa.Engine, workers: Sequence[Worker], what: Target
) -> Trial:
    before, _ = await _told(workers)
    row = order_row(stop_order(what, "owner@example.com", now(), "a measurement"))
    asked = time.time_ns()
    await ledger.order(row)
    committed = time.time_ns()
    intents = await asyncio.to_thread(_intents, engine)
    await asyncio.sleep(WATCHED)
    late = await asyncio.to_thread(_intents, engine) - intents
    begun, refused = await _told(workers)
    await ledger.end_order(row.id, row.by, now())
    return Trial(
        what=what.words,
        given=(committed - asked) / 1e6,
        last=(max(begun, default=committed) - committed) / 1e6,
        after=sum(at > committed for at in begun),
        late=late,
        load=len(before),
        refused=refused,
    )


async def _told(workers: Sequence[Worker]) -> tuple[list[int], int]:
    said = [await worker.told() for worker in workers]
    return [at for begun, _ in said for at in begun], sum(stopped for _, stopped in said)


def _intents(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.text("select count(*) from handrail_effects")).scalar_one()


def report(name: str, found: Sequence[Trial]) -> str:
    """What came out on one database, in a row of a table."""
    last = sorted(trial.last for trial in found)
    given = sorted(trial.given for trial in found)
    load, after = median(t.load for t in found), sum(t.after for t in found)
    late = sum(trial.late for trial in found)
    return (
        f"| {name} | {len(found)} | {load:.0f} | {median(given):.1f} | {given[-1]:.1f} "
        f"| {median(last):.1f} | {last[-1]:.1f} | {after} | {late} |"
    )


HEAD = """\
| ledger | stops | writes between two | given to commit, median ms | maximum | commit to last \
write, median ms | maximum | writes begun after the commit | intents after the commit |
|---|---|---|---|---|---|---|---|---|"""


@contextlib.contextmanager
def _databases(home: Path) -> Generator[dict[str, str]]:
    found = {"SQLite": f"sqlite:///{home}/ledger.db"}
    programs = binaries()
    if programs is None:
        print("stop: no PostgreSQL is installed here", file=sys.stderr)
        yield found
        return
    with postgres(programs) as url:
        yield found | {"PostgreSQL": url}


def main() -> None:
    """Measure, and print the table. It fails when an intent was committed after a stop was."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stop", description=__doc__)
    parser.add_argument("--stops", type=int, default=100, help="how many on each database")
    parser.add_argument("--processes", type=int, default=4, help="worker processes")
    parser.add_argument("--writers", type=int, default=8, help="writes at a time in each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all trials there too")
    given = parser.parse_args()
    print(HEAD)
    results: dict[str, list[Trial]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="handrail-stop-") as home,
        _databases(Path(home)) as all_,
    ):
        for name, url in all_.items():
            running = trials(
                url, Path(home), given.stops, processes=given.processes, writers=given.writers
            )
            results[name] = asyncio.run(running)
            print(report(name, results[name]), flush=True)
    if given.json is not None:
        told = {name: [asdict(trial) for trial in found] for name, found in results.items()}
        given.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    late = sum(trial.late for found in results.values() for trial in found)
    sys.stdout.flush()
    os._exit(1 if late else 0)


if __name__ == "__main__":
    main()
