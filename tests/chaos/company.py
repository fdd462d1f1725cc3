"""`python -m tests.chaos.company`: kill -9 at everything of the company's fleet while it works.

It plays `handrail demo company --once` in a home of its own. Worker, Temporal server and every
outside system are killed, most of them while a write is on its way to them: the ledger says when,
and whoever was hit least often so dies. The demonstration starts again what dies. When nothing
moves any more, the books of every system are read from its own files, and compared with the
ledger's receipts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from handrail.states import ENDS, State
from tests.chaos.company_books import Came, compared
from workers.apart import environ

SYSTEMS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "bookings": ("bookings.db", ("shipments",)),
    "mail of shipments": ("mail", ("shipments",)),
    "shop": ("shop.db", ("support",)),
    "Roundup": ("desk", ("support", "alerts", "research")),
    "mail of support": ("support-mail", ("support",)),
    "payables": ("payables.db", ("invoices", "refunds")),
    "plant": ("plant.db", ()),
    "stores": ("stores.db", ("stores",)),
    "Radicale": ("calendar/radicale.conf", ("maintenance", "sales")),
    "lines": ("lines.db", ("inspection",)),
    "dispatch": ("dispatch.db", ("routes", "maintenance")),
    "directory": ("world.leads.service", ()),
    "Tryton": ("tryton/trytond.conf", ("onboarding", "leads", "sales")),
    "mail of sales": ("sales-mail", ("sales",)),
    "alertmanager": ("alerts.db", ()),
    "books": ("books.db", ("reconciliation", "nightly")),
    "mail of nightly": ("nightly-mail", ("nightly",)),
}
"""By what the command line of each outside system is known, and whose writes go there."""

OURS = {"worker": "worker", "Temporal server": "start-dev"}
EVERY = (*OURS, *SYSTEMS)
_PAUSES = (0.5, 3.0)
_AIMED = 0.85
"""The share of kills that wait for a write on its way."""
_PATIENCE, _LOOK = timedelta(seconds=20), timedelta(milliseconds=1)
_ON_ITS_WAY = timedelta(seconds=3)
"""A write that began before is not on its way any more, but in doubt."""
_OPEN = "select key, agent from handrail_effects where state = 'intended' and begun > ?"


@dataclass
class Company:
    """The company at work, and what was done to it."""

    home: Path
    pid: int
    rng: random.Random
    late: bool = False
    """It was still at work at the end of its time."""
    kills: Counter[str] = field(default_factory=Counter[str])
    inside: Counter[str] = field(default_factory=Counter[str])
    """Kills after which a write of its agents that was on its way was without a receipt still."""
    _ledger: sqlite3.Connection | None = None

    async def storm(self, kills: int) -> None:
        """Kill one after the other, from the first write on."""
        while not await self.open():
            pass
        while self.kills.total() < kills:
            await asyncio.sleep(self.rng.uniform(*_PAUSES))
            aimed = self.rng.random() < _AIMED
            await (self.kill_inside() if aimed else self.kill(self._least(EVERY, self.kills)))

    async def kill_inside(self) -> None:
        """Kill -9 where a write goes to just now: whoever was hit least; else whoever comes."""
        until = time.monotonic() + _PATIENCE.total_seconds()
        while time.monotonic() < until:
            agents = set((await self.open()).values())
            at = [name for name in EVERY if name in OURS or agents & set(SYSTEMS[name][1])]
            if agents:
                await self.kill(self._least(at, self.inside))
                return
        await self.kill(self._least(EVERY, self.kills))

    def _least(self, names: Sequence[str], so_far: Counter[str]) -> str:
        return min(names, key=lambda name: (so_far[name], self.rng.random()))

    async def kill(self, name: str) -> None:
        """Kill -9 one of them, and see whether that came inside of a write of its agents."""
        processes, before = self.processes(name), await self.open(name)
        for process in processes:
            process.kill()
            self.kills[name] += 1
        # Nothing that is dead can have answered since.
        still = before.keys() & (await self.open(name)).keys()
        self.inside[name] += bool(processes and still)

    def processes(self, name: str) -> list[psutil.Process]:
        """The process of something that can be killed; none while it is dead."""
        mark = OURS.get(name) or SYSTEMS[name][0]
        marks = {str(self.home / mark), mark}
        children = psutil.Process(self.pid).children()
        return [each for each in children if marks & set(_words(each))]

    async def open(self, name: str | None = None) -> dict[str, str]:
        """The writes that have begun and not ended, by the ledger, with their agents.

        Of all, or of those that go to a system. It takes a moment.
        """
        await asyncio.sleep(_LOOK.total_seconds())
        since = time.time() - _ON_ITS_WAY.total_seconds()
        try:
            if self._ledger is None:
                file = f"file:{self.home / 'ledger.db'}?mode=ro"
                self._ledger = sqlite3.connect(file, uri=True)
            begun = dict(self._ledger.execute(_OPEN, (since,)).fetchall())
        except sqlite3.OperationalError:  # there is none yet
            return {}
        if name is None or name in OURS:
            return begun
        return {key: agent for key, agent in begun.items() if agent in SYSTEMS[name][1]}


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


async def played(
    home: Path, rng: random.Random, kills: int, whole: timedelta
) -> tuple[Company, dict[str, Any]]:
    """Play the company with so many kills, until nothing moves; what it said at its end.

    Where it goes on moving, or does not move on, it is ended, and is `late`.

    Raises:
        RuntimeError: if the demonstration ended without a word.
    """
    argv = (sys.executable, "-m", "handrail", "demo", "company", "--once", "--json")
    env = {**os.environ, **environ(home)}
    with (home / "said.jsonl").open("wb") as said, (home / "errors.log").open("wb") as errors:
        demo = await asyncio.create_subprocess_exec(*argv, env=env, stdout=said, stderr=errors)
    company = Company(home, demo.pid, rng)
    storm = asyncio.ensure_future(company.storm(kills))
    try:
        async with asyncio.timeout(whole.total_seconds()):
            await demo.wait()
    except TimeoutError:
        company.late = True
    finally:
        storm.cancel()
        if demo.returncode is None:
            demo.terminate()
            await demo.wait()
    *_, last = (home / "said.jsonl").read_text().splitlines() or [""]
    if company.late:
        return company, {"cases": []}
    if not last:
        raise RuntimeError(f"the demonstration ended with {demo.returncode}: {home}/errors.log")
    return company, json.loads(last)


def wedged(said: Mapping[str, Any]) -> list[str]:
    """Cases that neither ended nor wait, themselves or for another's that does; and failed ones."""
    cases = {each["case"]: each for each in said["cases"]}

    def rests(each: Mapping[str, Any]) -> bool:
        if each["state"] in (ENDS - {State.FAILED}) | {State.WAITING}:
            return True
        handed = [cases[case] for case in each["handed"] if case in cases]
        still = [case for case in handed if case["closed"] is None]
        return each["state"] == State.WORKING and bool(still) and all(map(rests, still))

    return [f"{case}: {each['state']}" for case, each in cases.items() if not rests(each)]


def show(company: Company, said: Mapping[str, Any], came: Mapping[str, Came]) -> list[str]:
    """Print what came of it; what must not be, in words."""
    print(f"{'':18} kills  inside  done  in doubt  lost  doubled  unknown")
    wrong = [f"wedged: {each}" for each in wedged(said)]
    wrong += ["it did not come to rest in its time"] * company.late
    for name in (*OURS, *SYSTEMS):
        row, books = f"{name:18} {company.kills[name]:5} {company.inside[name]:7}", came.get(name)
        if books is None:
            print(row)
            continue
        sums = [len(each) for each in (books.lost, books.doubled, books.unknown)]
        print(f"{row} {books.done:5} {books.doubt:9} {sums[0]:5} {sums[1]:8} {sums[2]:8}")
        wrong += [f"{name}, lost: {each}" for each in books.lost]
        wrong += [f"{name}, doubled: {each}" for each in books.doubled]
        wrong += [f"{name}, unknown: {each}" for each in books.unknown]
    states = Counter(each["state"] for each in said["cases"])
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    print(f"{len(said['cases'])} cases: {counts}")
    return wrong


def main() -> int:
    """Play, kill, compare; the exit code is 1 on anything that must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.company", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=int, default=40, help="after which it is ended")
    parser.add_argument("--keep", action="store_true", help="keep the home, with all books")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    home = Path(tempfile.mkdtemp(prefix="handrail-company-"))
    began = time.monotonic()
    company, said = asyncio.run(
        played(home, random.Random(options.seed), options.kills, timedelta(minutes=options.minutes))
    )
    wrong = show(company, said, compared(home))
    kills, took = company.kills.total(), time.monotonic() - began
    print(f"{kills} kills, {company.inside.total()} inside of a write, in {took:.0f} s")
    print("\n".join(["violations:", *wrong]) if wrong else "no violations")
    if options.keep or wrong:
        print(f"everything is kept in {home}")
    else:
        shutil.rmtree(home)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
