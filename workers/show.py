"""Show a demonstration: everything on one machine, a live table of cases, and what came out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from rich.text import Text
from temporalio.client import Client
from temporalio.service import RPCError

from handrail.actions import Event
from handrail.cli.context import load_fleet, logs, settings
from handrail.cli.output import Code, Output, commands, program
from handrail.cli.processes import policies_of, url_lines, urls, warn_of_address
from handrail.client import Operator
from handrail.exceptions import HandrailError
from handrail.oversight import GateView
from handrail.runtime import (
    ChildFailed,
    Fleet,
    LocalProcesses,
    Settings,
    System,
    connect,
    open_ledger,
    prepare_directory,
    running_locally,
    stop_on_signals,
)
from handrail.states import State
from handrail.text import escape_terminal as plain
from workers.board import Board, CaseRow, View

_MOVING = timedelta(milliseconds=500)
_RESTING = timedelta(seconds=1)
_UNSEEN = 4
"""Nobody looks for so many times as long as a look took: with many cases it is work itself."""
_FEED_AGAIN = timedelta(seconds=1)
_FEED_TRIES = 10
_COMMANDS_SHOWN = 3
_CALM = 3
"""Looks in a row at which nothing moved, before what came out is said."""

log = structlog.get_logger("handrail.demo")


@dataclass(frozen=True)
class Demo:
    """What a project shows with `handrail demo`.

    `events` yields the events of `agent`, the same ones in every run, at the pace at which
    they shall begin; it gets the home directory. `report` turns the cases into rows of
    label and value: what came out.
    """

    agent: str
    systems: tuple[System, ...]
    events: Callable[[Path], AsyncIterator[Event]]
    report: Callable[[Path, Sequence[CaseRow]], Awaitable[list[tuple[str, str]]]]


async def show(out: Output, *shown: Demo, once: bool, fleet: str | None = None) -> int:
    """Run demonstrations until told to end, or with `once` until nothing moves.

    `fleet`: the `module:variable` of the agents that they need, unless `HANDRAIL_FLEET` says.
    """
    if fleet is not None:
        os.environ.setdefault("HANDRAIL_FLEET", fleet)  # the worker, a child, reads it too
    given = settings()
    loaded = load_fleet(given.fleet)
    for each in shown:
        loaded.agent(each.agent)
    warn_of_address(out)
    prepare_directory(given.home)
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        with _logging(given):
            return await _run(out, given, loaded, shown, stop=stop, once=once)
    except ChildFailed as error:
        return out.failed(str(error), "child", Code.FAILED)


@contextlib.contextmanager
def _logging(given: Settings) -> Any:
    """Our own log goes to a file: the table is what people look at."""
    fd = os.open(given.home / "demo.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    lines = logs(given, fd)
    try:
        yield
    finally:
        lines.flush()


async def _run(
    out: Output,
    given: Settings,
    fleet: Fleet,
    shown: Sequence[Demo],
    *,
    stop: asyncio.Event,
    once: bool,
) -> int:
    out.say("starting the Temporal server, the outside systems, the worker and the inbox ...")
    async with _started(given, fleet, shown, stop) as site:
        if site is None:
            return Code.DONE
        out.show(*url_lines(given, site.server.namespace))
        plugin = fleet.plugin(given.payload_dir)
        connected = await connect(given, plugins=[plugin], address=site.server.address)
        async with open_ledger(given) as ledger:
            board = Board(connected, ledger, tuple(each.agent for each in shown))
            live = _Show(out, given, shown, connected, site, board)
            feeding = asyncio.gather(*(live.feed(fleet, each) for each in shown))
            try:
                return await live.watch(feeding, stop, once=once)
            finally:
                feeding.cancel()
                await asyncio.wait([feeding])
                out.say("ending: the worker finishes what it began (Ctrl-C again: at once)")


@contextlib.asynccontextmanager
async def _started(
    given: Settings, fleet: Fleet, shown: Sequence[Demo], stop: asyncio.Event
) -> AsyncGenerator[LocalProcesses | None]:
    """Everything running; None if it was told to end while it started."""
    async with contextlib.AsyncExitStack() as stack:
        # By name: two agents may have one system between them.
        systems = tuple({s.name: s for each in shown for s in each.systems}.values())
        everything = running_locally(given, systems, quiet=True, policies=policies_of(fleet))
        starting = asyncio.ensure_future(stack.enter_async_context(everything))
        told = asyncio.ensure_future(stop.wait())
        await asyncio.wait({starting, told}, return_when="FIRST_COMPLETED")
        told.cancel()
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
            yield None
            return
        yield starting.result()


@dataclass
class _Show:
    """The demonstration while it runs."""

    out: Output
    given: Settings
    demos: Sequence[Demo]
    client: Client
    site: LocalProcesses
    board: Board
    begun: set[str] = field(default_factory=set[str])
    known_before: int = 0
    away: str = ""

    @property
    def home(self) -> Path:
        return self.given.home.absolute()

    async def feed(self, fleet: Fleet, demo: Demo) -> None:
        """Start a case for every event; from the beginning again when something dies.

        Raises:
            HandrailError: if the events go on failing.
        """
        tries = 0
        while True:
            before = len(self.begun)
            try:
                return await self._feed(fleet, demo)
            # The events are the project's own code, and reach processes that may be killed.
            except Exception as error:
                tries = 1 if len(self.begun) > before else tries + 1
                log.warning("the events broke off", error=repr(error), tries=tries)
                if tries >= _FEED_TRIES:
                    raise HandrailError(
                        f"the events of the demo go on failing: {error!r}"
                    ) from error
            await asyncio.sleep(_FEED_AGAIN.total_seconds())

    async def _feed(self, fleet: Fleet, demo: Demo) -> None:
        async for event in demo.events(self.home):
            started = await fleet.start(self.client, demo.agent, event)
            if started.case not in self.begun and started.duplicate:
                self.known_before += 1
            self.begun.add(started.case)

    async def watch(
        self, feeding: asyncio.Future[list[None]], stop: asyncio.Event, *, once: bool
    ) -> int:
        """Show the cases until told to end; say what came out whenever nothing moves."""
        view, calm, above = View(self.out), 0, 0
        told: list[tuple[str, str]] = []
        with view.open():
            while not stop.is_set():
                began = time.monotonic()
                rows = await self._look()
                took = time.monotonic() - began
                view.update(rows, self._note(feeding), above)
                if feeding.done():
                    feeding.result()
                calm = calm + 1 if self._rests(feeding, rows) else 0
                now = sorted((row.case, row.state) for row in rows)
                if calm >= _CALM and now != told:
                    told = now
                    above = await self._tell(rows)
                    if once:
                        waits = any(row.state is State.WAITING for row in rows)
                        return Code.WAITS if waits else Code.DONE
                pause = (_RESTING if calm >= _CALM else _MOVING).total_seconds()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), max(pause, _UNSEEN * took))
        return Code.DONE

    async def _look(self) -> list[CaseRow]:
        try:
            rows = await self.board.refresh()
        except (RPCError, HandrailError) as error:
            self.away = "the server is away; it comes back by itself"
            log.warning("the cases cannot be seen", error=str(error))
            return self.board.rows
        self.away = ""
        return rows

    def _rests(self, feeding: asyncio.Future[list[None]], rows: Sequence[CaseRow]) -> bool:
        seen = self.begun <= {row.case for row in rows}
        return feeding.done() and not self.away and seen and self.board.rests

    def _note(self, feeding: asyncio.Future[list[None]]) -> str:
        if self.away:
            return self.away
        if feeding.done():
            return "all events are in; Ctrl-C ends it, and the next start goes on from here"
        known = f", {self.known_before} were known before" if self.known_before else ""
        return f"{len(self.begun)} events so far{known}"

    async def _tell(self, rows: Sequence[CaseRow]) -> int:
        """Say where everything is, what may be answered, and what came out; in how many lines."""
        gates = await self._gates()
        report = await self._report(rows)
        where = urls(self.given, self.site.server.namespace, self.site.server.address)
        self.out.row(
            {
                "cases": [r.model_dump(mode="json") for r in rows],
                "links": where,
                "waiting": [
                    {"gate": g.gate, "case": g.case, "commands": commands(g)} for g in gates
                ],
                "report": [list(each) for each in report],
            }
        )
        namespace = self.site.server.namespace
        lines = [Text(), Text("Temporal's Web UI", "bold"), *url_lines(self.given, namespace)]
        lines += [*_command_lines(gates), Text(), Text("What came out", "bold")]
        width = max((len(name) for name, _ in report), default=0)
        for name, value in report:
            about = f"  {plain(name):<{width}}  "
            lines.append(Text.assemble((about, "dim"), plain(value)))
        # In one piece: the table below is drawn anew after each.
        self.out.show(Text("\n").join([*lines, Text()]))
        return sum(1 + each.cell_len // self.out.console.width for each in lines)

    async def _gates(self) -> Sequence[GateView]:
        try:
            return (await Operator(self.client).gates()).gates
        except RPCError:
            return ()

    async def _report(self, rows: Sequence[CaseRow]) -> list[tuple[str, str]]:
        """What came out, of one agent after the other."""
        found: list[tuple[str, str]] = []
        for demo in self.demos:
            of = f"{demo.agent}: " if len(self.demos) > 1 else ""
            own = [row for row in rows if row.agent == demo.agent]
            found += [(f"{of}{label}", value) for label, value in await self._came(demo, own)]
        return found

    async def _came(self, demo: Demo, rows: Sequence[CaseRow]) -> list[tuple[str, str]]:
        try:
            return await demo.report(self.home, rows)
        # The project's own code; that it fails must not end what runs.
        except Exception as error:
            log.exception("the report failed")
            return [("report", f"failed: {error!r}; see {self.home / 'demo.log'}")]


def _command_lines(gates: Sequence[GateView]) -> list[Text]:
    if not gates:
        return []
    count = f"{len(gates)} questions wait for you" if len(gates) > 1 else "A question waits for you"
    lines = [Text(), Text(count, "bold yellow")]
    for gate in gates[:_COMMANDS_SHOWN]:
        lines.append(Text(f"  {plain(gate.case)}: {plain(gate.why)}"))
        found = commands(gate, by=gate.people[0] if gate.people else None)
        shown = (found[verb] for verb in found if verb != "amend")
        lines += [Text(f"    {line}", "bold") for line in shown]
    more = "all of them, with everything about each" if len(gates) > _COMMANDS_SHOWN else "more"
    lines.append(Text.assemble("  ", (f"{program()} inbox", "bold"), f"  shows {more}"))
    return lines
