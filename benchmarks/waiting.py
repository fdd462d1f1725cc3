"""`python -m benchmarks.waiting`: many cases wait at a gate, on one worker.

Everything is a process as in production: the server, `handrail worker`, the inbox, commands. When
all wait, the worker is killed, approvals are given while it is away, and it is started again.
Each write adds a line to a book of its own, from which it is counted how often it was made.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
from temporalio.client import Client
from typing_extensions import override

from benchmarks.contender import ALL, HELD, PROJECT, project
from handrail.client import gates
from handrail.oversight import GateView
from handrail.runtime import EmbeddedServer, configure_logging, register_search_attributes
from handrail.testing import free_ports

ANA = "ana@example.com"
AT_ONCE = 64
BATCH = 1000
"""Cases begun at once. The next ones follow when those before these wait at their gate."""
TABS = 10
OPENED = 50
PAUSE = 0.25
"""Seconds between two pages that somebody opens."""
_WAITING = "ExecutionStatus = 'Running' AND HandrailWaitingFor = 'lead'"
_BOOK = "BENCH_BOOK"
_PATIENCE = 6 * 3600.0
"""Seconds: a development server takes 20 to 30 cases a second, and so 100,000 in 90 minutes."""
_MIB = 2**20


class Book(dict[str, int]):
    """When each write was entered, and a line in a file for each time that it was."""

    @override
    def __setitem__(self, key: str, at: int) -> None:
        """Write the line."""
        with Path(os.environ[_BOOK]).open("a", encoding="utf-8") as book:
            book.write(f"{key}\n")
        super().__setitem__(key, at)


@dataclass
class Bench:
    """The server, and the processes on it. `figures`: what was measured, in the order of it."""

    home: Path
    server: EmbeddedServer
    client: Client
    inbox_port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list[Any])
    figures: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def environment(self) -> dict[str, str]:
        """That of every process."""
        # As on a production machine, imports are compiled once and not at every start.
        ours = ("HANDRAIL_", "TEMPORAL_", "PYTHONDONTWRITE")
        found = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return found | {
            "PYTHONPATH": str(PROJECT),
            "PYTHONPYCACHEPREFIX": str(self.home / "pyc"),
            "HANDRAIL_HOME": str(self.home / "home"),
            "HANDRAIL_FLEET": "guarded_fleet:fleet",
            "HANDRAIL_PROOF": "unproven",
            "HANDRAIL_INBOX_DEV": "1",
            "HANDRAIL_INBOX_URL": f"http://localhost:{self.inbox_port}",
            "HANDRAIL_INBOX_POLICIES": str(PROJECT),
            "TEMPORAL_ADDRESS": self.server.address,
            _BOOK: str(self.home / "book"),
        }

    def start(self, *command: str, log: str) -> subprocess.Popen[bytes]:
        """Start a process; what it says is in its log."""
        with (self.home / log).open("wb") as lines:
            process = subprocess.Popen(  # noqa: S603  # our own
                [sys.executable, "-m", *command],
                env=self.environment,
                stdout=lines,
                stderr=lines,
            )
        self.processes.append(process)
        return process

    async def worker(self) -> subprocess.Popen[bytes]:
        """Start the worker, and wait until it takes work."""
        process = self.start("benchmarks.waiting", "--work", log="worker.log")
        await until(lambda: _said(self.home / "worker.log", "ready"))
        return process

    async def waiting(self) -> int:
        """How many cases wait, as the server lists them."""
        return (await self.client.count_workflows(_WAITING)).count

    def written(self) -> Counter[str]:
        """How often each write was made."""
        book = self.home / "book"
        return Counter(book.read_text(encoding="utf-8").split() if book.exists() else ())

    def note(self, what: str, value: str) -> None:
        """Keep a figure, and say it."""
        self.figures[what] = value
        print(f"{what}: {value}", file=sys.stderr, flush=True)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is true.

    Raises:
        TimeoutError: if it does not come true.
    """
    async with asyncio.timeout(_PATIENCE):
        while True:
            asked = time.monotonic()
            if await true():
                return
            # Counting many cases costs the server a second, which is not to be what is measured.
            await asyncio.sleep(max(0.1, 10 * (time.monotonic() - asked)))


async def _said(log: Path, words: str) -> bool:
    return words in await asyncio.to_thread(log.read_text, encoding="utf-8", errors="replace")


async def each(work: Callable[[Any], Awaitable[object]], of: Iterable[Any]) -> None:
    """Do it for each, so many at once."""
    left = iter(of)

    async def lane() -> None:
        for one in left:
            await work(one)

    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))


@asynccontextmanager
async def bench(home: Path) -> AsyncGenerator[Bench]:
    """A server without workers; every process is ended afterwards."""
    (home / "home").mkdir()
    port, ui_port = free_ports()
    inbox_port, _ = free_ports()
    async with EmbeddedServer(home / "server", port=port, ui_port=ui_port) as server:
        client = await ALL["guarded"].connect(server.address, home / "home")
        await register_search_attributes(client)
        made = Bench(home, server, client, inbox_port)
        try:
            yield made
        finally:
            for process in made.processes:
                process.kill()
                process.wait()


async def measure(on: Bench, cases: int, approved: int) -> None:
    """Measure everything. `approved`: how many of the cases, if any."""
    worker = await on.worker()
    began = time.monotonic()
    for first in range(0, cases, BATCH):
        batch = range(first, min(first + BATCH, cases))
        await each(lambda n: ALL["guarded"].start(on.client, f"w{n}", HELD), batch)
        await until(lambda before=first: _all(on.waiting, before))
        print(f"{time.monotonic() - began:.0f} s: {first} wait", file=sys.stderr, flush=True)
    await until(lambda: _all(on.waiting, cases))
    on.note("all begun and waiting, s", f"{time.monotonic() - began:.0f}")
    late = (on.home / "worker.log").read_text("utf-8").count("Task not found when completing")
    on.note("workflow tasks that were not done in time", str(late))
    on.note("memory of the worker, MiB", _memory(worker))
    on.note("memory of the server, MiB", f"{sum(map(_resident, _servers())) / _MIB:.0f}")
    on.note("disk of the server, MiB", f"{_size(on.home / 'server') / _MIB:.0f}")
    on.note("disk of the ledger, MiB", f"{_size(on.home / 'home') / _MIB:.0f}")
    await _pages(on)
    for command in ("cases", "inbox"):
        on.note(f"`handrail {command}`, s", await _command(on, command))
    if approved:
        await _restart(on, worker, approved)


async def _all(count: Callable[[], Awaitable[int]], cases: int) -> bool:
    return await count() >= cases


def _memory(process: subprocess.Popen[bytes]) -> str:
    return f"{_resident(psutil.Process(process.pid)) / _MIB:.0f}"


def _resident(process: psutil.Process) -> int:
    return process.memory_info().rss


def _servers() -> list[psutil.Process]:
    """The server is the one child that is no Python."""
    children = psutil.Process().children()
    return [each for each in children if "python" not in each.name()]


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


async def _pages(on: Bench) -> None:
    inbox = on.start("handrail", "inbox", "serve", "--port", str(on.inbox_port), log="inbox.log")
    base = f"http://localhost:{on.inbox_port}"
    async with httpx2.AsyncClient(base_url=base, headers={"origin": base}, timeout=600) as browser:

        async def answers() -> bool:
            try:
                return (await browser.get("/sign-in")).is_success
            except httpx2.HTTPError:
                return False

        await until(answers)
        token = re.findall(r'name="token" value="([^"]+)"', (await browser.get("/sign-in")).text)
        await browser.post("/sign-in/dev", data={"token": token[-1], "address": ANA})
        first, size = await _opened(browser, "/")
        on.note("inbox list, first time", f"{first * 1000:.0f} ms to its first byte, {size} KiB")
        used = psutil.Process(inbox.pid).cpu_times()
        tabs = [asyncio.create_task(_tab(browser, f"/now?page={n}")) for n in range(1, TABS + 1)]
        for what, path in (("opened", "/?page=7"), ("searched", "/?q=lead+w7&sort=oldest")):
            took = sorted([(await _opened(browser, path))[0] * 1000 for _ in range(OPENED)])
            said = f"{took[len(took) // 2]:.0f} ms, nine in ten {took[int(0.9 * len(took))]:.0f}"
            on.note(f"list {what} with {TABS} open tabs, first byte: median", f"{said} ms")
        for tab in tabs:
            tab.cancel()
        now = psutil.Process(inbox.pid).cpu_times()
        share = (now.user + now.system - used.user - used.system) / (2 * OPENED * PAUSE)
        on.note("CPU of the inbox meanwhile, of one core", f"{share:.0%} at most")
        on.note("memory of the inbox, MiB", _memory(inbox))
    inbox.terminate()


async def _opened(browser: httpx2.AsyncClient, path: str) -> tuple[float, int]:
    """Seconds to the first byte of a page, and KiB on the wire."""
    asked = time.monotonic()
    async with browser.stream("GET", path) as page:
        first, size = time.monotonic() - asked, 0
        async for part in page.aiter_raw():
            size += len(part)
    await asyncio.sleep(PAUSE)
    return first, size // 1024


async def _tab(browser: httpx2.AsyncClient, path: str) -> None:
    """An open page, which asks every four seconds whether something has changed."""
    seen = ""
    while True:
        answer = await browser.get(f"{path}&seen={seen}")
        seen = next(iter(re.findall(r"[?&;]seen=([0-9a-f]+)", answer.text)), seen)
        await asyncio.sleep(4)


async def _command(on: Bench, command: str) -> str:
    began = time.monotonic()
    process = on.start("handrail", command, log=f"{command}.log")
    await asyncio.to_thread(process.wait)
    return f"{time.monotonic() - began:.1f}"


async def _restart(on: Bench, worker: subprocess.Popen[bytes], approved: int) -> None:
    worker.kill()
    worker.wait()
    began = time.monotonic()
    found = (await gates.waiting(on.client, "lead")).gates
    on.note(f"all {len(found)} gates listed by the client, s", f"{time.monotonic() - began:.1f}")
    began = time.monotonic()

    async def approve(gate: GateView) -> None:
        said = {"gate": gate.gate, "digest": gate.digest, "by": ANA}
        await on.client.get_workflow_handle(gate.case).signal("approve", said)

    await each(approve, found[:approved])
    on.note(f"{approved} approved while no worker runs, s", f"{time.monotonic() - began:.0f}")
    began, peak = time.monotonic(), 0
    again = await on.worker()
    on.note("from the worker's start to ready, s", f"{time.monotonic() - began:.1f}")

    async def done() -> bool:
        nonlocal peak
        peak = max(peak, psutil.Process(again.pid).memory_info().rss)
        return len(on.written()) >= approved

    await until(done)
    took = time.monotonic() - began
    each_second = f"{approved / took:.0f} a s"
    on.note("from the worker's start to the last write, s", f"{took:.0f} ({each_second})")
    on.note("memory of the worker meanwhile, at most, MiB", f"{peak / _MIB:.0f}")
    query = "ExecutionStatus = 'Running' AND WorkflowType = 'GuardedFreight'"
    await until(lambda: _left(on, query, len(found) - approved))
    written = on.written()
    twice = sum(times > 1 for times in written.values())
    on.note("written, of these more than once", f"{len(written)}, {twice}")


async def _left(on: Bench, query: str, cases: int) -> bool:
    return (await on.client.count_workflows(query)).count == cases


async def run(cases: int, approved: int) -> dict[str, str]:
    """Measure in a directory that goes again."""
    with tempfile.TemporaryDirectory(prefix="handrail-waiting-") as home:
        async with bench(Path(home)) as on:
            await measure(on, cases, approved)
            return on.figures


def work() -> None:
    """Be the worker: that of the command line, with the book."""
    project("freight").entered = Book()
    from handrail.cli import main as command  # noqa: PLC0415  # the book first

    sys.argv = ["handrail", "worker"]
    command()


def main() -> None:
    """Measure, and print the figures as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, metavar="N")
    parser.add_argument("--approve", type=int, metavar="N", help="how many of them; 0: stop before")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work()
        return
    configure_logging("console")
    approved = given.cases if given.approve is None else min(given.approve, given.cases)
    figures = asyncio.run(run(given.cases, approved))
    print(f"| {given.cases} cases wait | |\n|---|---|")
    print("\n".join(f"| {what} | {value} |" for what, value in figures.items()))
    sys.stdout.flush()
    os._exit(0)  # The SDK's threads may abort the process while the interpreter ends.


if __name__ == "__main__":
    main()
