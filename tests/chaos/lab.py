"""Starts, watches and restarts everything that is killed, and keeps the journal of it."""

import asyncio
import contextlib
import ctypes
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError
from typing_extensions import override

from handrail import Fleet
from handrail.client import TASK_TIMEOUT, held_ledger
from handrail.runtime import EmbeddedServer, Settings, connect
from handrail.testing import free_ports
from tests.chaos import outside, reach, worker
from tests.chaos.naive import NaiveAgent
from tests.chaos.plan import Fault, Trial, World
from tests.chaos.steps import OTHER, Order
from tests.chaos.worlds import WORLDS, Place

_LOOK = timedelta(milliseconds=20)
_FORKING = multiprocessing.get_context("forkserver")
_DIE_WITH_PARENT = 1
_IMPORTED = [
    "tests.chaos.worker",
    "tests.chaos.outside",
    "tests.chaos.reach",
    "handrail.cli",
    "handrail.testing.worker",
    "handrail.integrations.models",
    "handrail.integrations.triggers.api",
]
# As on a production machine, imports are compiled once and not at every start.
_COLD_ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
_COLD_ENVIRONMENT["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "handrail-chaos-pyc")


@dataclass(frozen=True)
class Mark:
    """One line of the journal: a case was at a boundary, and perhaps met a fault there."""

    at: float
    actor: str
    case: str
    boundary: str
    fault: str | None


@dataclass
class Blow:
    """One kill or freeze of a process, and when it was started or thawed again."""

    actor: str
    what: str
    at: float
    healed: float | None = None


@dataclass(frozen=True)
class Asked:
    """A gate that the human answered."""

    at: float
    case: str
    kind: str
    step: str
    answer: str


@dataclass
class Ended:
    """How a case ended, as Temporal says; `status` is None for one that did not."""

    status: str | None = None
    why: str = ""
    at: float = 0.0
    unsent: tuple[str, ...] = ()


@dataclass
class Compared:
    """One ledger against its histories. `lost`: cases whose end the dead workers had not written.

    `blind`: a row that was taken out was not noticed; None where none was.
    """

    lane: str
    database: str
    cases: int = 0
    lost: int = 0
    differing: list[str] = field(default_factory=list[str])
    blind: bool | None = None


@dataclass
class Journal:
    """Everything that was seen."""

    room: Path
    marks: list[Mark] = field(default_factory=list[Mark])
    blows: list[Blow] = field(default_factory=list[Blow])
    asked: list[Asked] = field(default_factory=list[Asked])
    ended: dict[str, Ended] = field(default_factory=dict[str, Ended])
    reported: set[str] = field(default_factory=set[str])
    compared: list[Compared] = field(default_factory=list[Compared])
    _read: int = 0

    def news(self) -> list[Mark]:
        """What the processes have written since the last look."""
        path = self.room / "journal"
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        found = [Mark(**json.loads(line)) for line in whole.splitlines()]
        self.marks += found
        return found


class Actor(ABC):
    """One process that is started again whenever it dies."""

    def __init__(self, name: str, journal: Journal) -> None:
        self.name = name
        self.pid = 0
        self.held = False
        """Whether it is not to be started again now."""
        self.up = True
        self._journal = journal
        self._closing = False

    @abstractmethod
    def start(self) -> None:
        """Start the process, and see to it that `died` is called at its end."""

    def died(self) -> None:
        """Start it again at once, unless it is held."""
        self.up = False
        if not self._closing:
            self._struck("kill")
            if not self.held:
                self.start_again()

    def start_again(self) -> None:
        """Start it, and let it be started again from now on."""
        self.held = False
        self.start()
        self.up = True
        self._healed("kill")

    def kill(self) -> None:
        """Kill it; it is started again as soon as that is seen."""
        _send(self.pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it as it is."""
        self._struck("freeze")
        _send(self.pid, signal.SIGSTOP)

    def froze(self) -> None:
        """Note that it has frozen itself."""
        self._struck("freeze")

    def blocked(self, lasting: timedelta) -> None:
        """Note that it blocks its own event loop."""
        blow = self._struck("block")
        blow.healed = blow.at + lasting.total_seconds()

    def thaw(self) -> None:
        """Let it go on."""
        self._healed("freeze")
        _send(self.pid, signal.SIGCONT)

    @property
    def frozen(self) -> bool:
        """Whether it stands still now."""
        return bool(self._open("freeze"))

    def end(self) -> None:
        """Kill it for good."""
        self._closing = True
        _send(self.pid, signal.SIGKILL)

    def _open(self, what: str) -> list[Blow]:
        mine = (b for b in self._journal.blows if (b.actor, b.what) == (self.name, what))
        return [blow for blow in mine if blow.healed is None]

    def _healed(self, what: str) -> None:
        for blow in self._open(what):
            blow.healed = time.monotonic()

    def _struck(self, what: str) -> Blow:
        blow = Blow(self.name, what, time.monotonic())
        self._journal.blows.append(blow)
        return blow


class Forked(Actor):
    """A process forked from one that has everything imported: it is up in no time."""

    def __init__(
        self, name: str, journal: Journal, main: Callable[[Any], None], spec: object
    ) -> None:
        super().__init__(name, journal)
        self._main = main
        self._spec = spec

    @override
    def start(self) -> None:
        process = _FORKING.Process(
            target=_child, args=(self._main, self._spec, self._journal.room), daemon=True
        )
        process.start()
        assert process.pid is not None
        self.pid = process.pid
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(process.sentinel)
            process.join()
            self.died()

        loop.add_reader(process.sentinel, ended)


class Cold(Actor):
    """A worker process started as an operator starts one. `by`: on another machine."""

    def __init__(
        self, name: str, journal: Journal, spec: worker.WorkerSpec, by: tuple[str, ...] = ()
    ) -> None:
        super().__init__(name, journal)
        self._spec = spec
        self._by = by
        self._watch: asyncio.Task[None] | None = None

    @override
    def start(self) -> None:
        command = [*self._by, sys.executable, "-m", "tests.chaos.worker"]
        log = (self._spec.room / "workers.log").open("ab")
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=_COLD_ENVIRONMENT
        )
        log.close()
        assert process.stdin is not None
        process.stdin.write(self._spec.model_dump_json().encode())
        process.stdin.close()
        self.pid = process.pid
        self._watch = asyncio.get_running_loop().create_task(self._until_dead(process))

    async def _until_dead(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            if self._by and self.pid == process.pid:
                self.pid = _grandchild(process.pid) or self.pid
            await asyncio.sleep(_LOOK.total_seconds())
        self.died()


def _child(main: Callable[[Any], None], spec: Any, room: Path) -> None:
    # A worker's log goes to a file: into a pipe that nobody reads it would hang.
    log = os.open(room / "workers.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # The parent is the fork server, which goes when the laboratory goes, however that ends.
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    main(spec)


def _grandchild(pid: int) -> int | None:
    """The worker on another machine, by its number on this one: a shell's only child."""
    for _ in range(2):
        try:
            born = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return None
        if not born:
            return None
        pid = int(born[0])
    return pid


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


@dataclass
class Lane:
    """One agent, its workers, its outside systems, and the world that they are in."""

    name: str
    fleet: Fleet
    world: Place
    workers: list[Actor]
    outside: Actor
    url: str
    books: Path
    naive: bool
    sender: reach.Sender | None = None
    serve: Actor | None = None
    ran: list[Trial] = field(default_factory=list[Trial])
    strikes: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    @property
    def actors(self) -> list[Actor]:
        """Everybody who can be struck."""
        return [*self.workers, self.outside, *filter(None, [self.serve])]


class Lab:
    """One Temporal server, and lanes on it."""

    def __init__(self, room: Path, server: EmbeddedServer, client: Client) -> None:
        self.room = room
        self.server = server
        self.client = client
        self.journal = Journal(room)
        self.lanes: dict[str, Lane] = {}
        self._faults: dict[str, Fault] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open_lane(
        self,
        name: str,
        trials: Sequence[Trial],
        *,
        world: World = "one",
        naive: bool = False,
        cold: bool = False,
    ) -> Lane:
        """Start a lane for these trials: two workers and the outside systems."""
        room, (port, served), mine = self.room, free_ports(), tuple(trials)
        mail, _ = free_ports()
        self._faults |= {fault.id: fault for trial in mine for fault in trial.faults}
        url, books = f"http://127.0.0.1:{port}", room / f"{name}.books"
        place = await asyncio.to_thread(WORLDS[world], room, name)
        workers: list[Actor] = []
        for n in (1, 2):
            spec = worker.WorkerSpec(
                room=room,
                actor=f"{name} worker {n}",
                agent=name,
                address=self.server.address,
                ledger=place.ledger(n),
                outside=url,
                trials=mine,
                naive=naive,
                served=world != "one" and not naive,
            )
            by = place.command(n)
            forked = Forked(spec.actor, self.journal, worker.main, spec)
            if world == "reach" and not naive:
                where: dict[str, Any] = {**spec.where(), "port": served, "mail": mail}
                made = reach.ReachSpec(role="worker", trials=mine, **where)
                forked = Forked(spec.actor, self.journal, reach.main, made)
            started: Actor = Cold(spec.actor, self.journal, spec, by) if cold or by else forked
            workers.append(started)
        label = f"{name} outside"
        books_spec = outside.OutsideSpec(
            room=room, actor=label, db=books, port=port, mail=mail, trials=mine
        )
        world_actor = Forked(label, self.journal, outside.main, books_spec)
        fleet = worker.fleet(room, name, mine)
        lane = Lane(name, fleet, place, workers, world_actor, url, books, naive)
        self.lanes[name] = lane
        world_actor.start()
        workers[0].start()
        if world == "reach":
            await self._serve(lane, spec.where() | {"mail": mail}, mine, served)
        if world != "one" and not naive:
            # Its ledger is the agent's: the steward has seen no other.
            while await insist(lambda: held_ledger(self.client, name, _LOOK)) is None:  # noqa: ASYNC110  # it looks seldom
                await asyncio.sleep(_LOOK.total_seconds())
        workers[1].start()
        return lane

    async def _serve(
        self, lane: Lane, where: dict[str, Any], trials: tuple[Trial, ...], port: int
    ) -> None:
        """Start what takes events, and who sends them."""
        sluice = reach.Sluice(free_ports()[0], self.server.address)
        role = "relay" if lane.naive else "serve"
        given: dict[str, Any] = {**where, "role": role, "trials": trials}
        given["actor"] = f"{lane.name} serve"
        if not lane.naive:
            given["address"] = f"127.0.0.1:{sluice.port}"
        spec = reach.ReachSpec(port=port, **given)
        lane.serve = Forked(spec.actor, self.journal, reach.main, spec)
        lane.sender = reach.Sender(spec, sluice, self.client)
        await sluice.open()
        lane.serve.start()

    def close_lane(self, lane: Lane) -> None:
        """End the processes of a lane; its books stay."""
        for actor in lane.actors:
            actor.end()
        lane.world.close()

    async def run(self, lane: Lane, trial: Trial, patience: timedelta) -> None:
        """Run one case to its end, however often its worker dies meanwhile."""
        lane.ran.append(trial)
        await asyncio.to_thread(lane.world.prepare)
        case = f"{lane.name}:{trial.key}"
        self.journal.ended[case] = Ended()
        order = Order(
            id=trial.key,
            kind=trial.kind,
            amount=300 if trial.held else 50,
            spoil=trial.spoil,
            takes=trial.takes.total_seconds(),
            hands_to=f"{lane.name}{OTHER}" if trial.target.startswith("hand-off:") else "",
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience.total_seconds()):
                started = await insist(lambda: self._start(lane, case, order, trial))
                self.journal.ended[case] = await insist(lambda: self.end_of(started))
        # What has struck is healed before the next case begins.
        await asyncio.gather(*lane.strikes)
        lane.strikes.clear()

    async def _start(self, lane: Lane, case: str, order: Order, trial: Trial) -> str:
        if lane.sender is not None:
            return await lane.sender.send(trial)
        if lane.naive:
            start = self.client.start_workflow(
                NaiveAgent.run, order, id=case, task_queue=lane.name, task_timeout=TASK_TIMEOUT
            )
            with contextlib.suppress(WorkflowAlreadyStartedError):
                await start
        else:
            await lane.fleet.start(self.client, lane.name, order)
        return case

    async def end_of(self, case: str) -> Ended:
        """Wait for the end of a case."""
        handle = self.client.get_workflow_handle(case)
        try:
            outcome = await handle.result()
        except WorkflowFailureError as error:
            return Ended("failed", str(error.cause), time.monotonic())
        if not isinstance(outcome, dict):
            return Ended("done", at=time.monotonic())
        said = cast("dict[str, Any]", outcome)
        ended = Ended(said["status"], said["why"], time.monotonic())
        ended.unsent = tuple(said.get("unsent", ()))
        return ended

    def signal_server(self, pid: int, number: signal.Signals) -> None:
        """Strike the Temporal server."""
        _send(pid, number)

    async def quiet(self, lane: Lane) -> None:
        """Wait until nothing of a lane stands still."""
        while any(actor.frozen for actor in lane.actors):  # noqa: ASYNC110  # no event tells of it
            await asyncio.sleep(_LOOK.total_seconds())

    async def watch(self) -> None:
        """Read the journal, thaw what has frozen itself, give the operator's orders."""
        while True:
            for mark in self.journal.news():
                fault = self._faults.get(mark.fault or "")
                if fault is not None and fault.what != "kill":
                    lane = self._lane_of(mark)
                    lane.strikes.append(self._soon(self._carry_out(mark, fault)))
                if fault is not None and fault.order is not None:
                    self._soon(self._order(mark.case, fault.order))
            await asyncio.sleep(_LOOK.total_seconds())

    async def watch_reports(self) -> None:
        """Note every case that the server reports as wedged."""
        while True:
            with contextlib.suppress(RPCError):
                query = "TemporalReportedProblems IS NOT NULL"
                async for found in self.client.list_workflows(query):
                    self.journal.reported.add(found.id)
            await asyncio.sleep(2)

    def _lane_of(self, mark: Mark) -> Lane:
        return self.lanes[mark.case.partition(":")[0].removesuffix(OTHER)]

    async def _carry_out(self, mark: Mark, fault: Fault) -> None:
        """Do what a fault does to a process that stands still for it, or to its world."""
        lane = self._lane_of(mark)
        actor = next(a for a in lane.actors if a.name == mark.actor)
        if fault.what == "block":
            actor.blocked(fault.lasting)
            return
        actor.froze()
        if fault.what == "freeze":
            await asyncio.sleep(fault.lasting.total_seconds() - (time.monotonic() - mark.at))
            actor.thaw()
            return
        dead = lane.workers if fault.dies else []
        for each in dead:
            each.held = True
            each.kill()
        while any(each.up for each in dead):  # noqa: ASYNC110  # no event tells of it
            await asyncio.sleep(_LOOK.total_seconds())
        await asyncio.to_thread(lane.world.strike, fault.what)
        for each in dead:
            each.start_again()
        actor.thaw()
        await asyncio.sleep(fault.lasting.total_seconds())
        await asyncio.to_thread(lane.world.heal, fault.what)

    async def _order(self, case: str, order: str) -> None:
        await insist(lambda: self.client.get_workflow_handle(case).signal(order))

    def _soon(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def insist(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask the server until it answers."""
    while True:
        try:
            return await ask()
        except RPCError:
            await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def laboratory(room: Path) -> AsyncGenerator[Lab]:
    """A laboratory in an empty directory; everything in it is dead afterwards."""
    _FORKING.set_forkserver_preload(_IMPORTED)
    port, ui_port = free_ports()
    async with EmbeddedServer(room / "server", port=port, ui_port=ui_port) as server:
        plugin = worker.fleet(room, "lab").plugin(room / "payloads")
        client = await connect(
            Settings.from_environment({}), plugins=[plugin], address=server.address
        )
        lab = Lab(room, server, client)
        tasks = deque(asyncio.ensure_future(t) for t in (server.supervise(), lab.watch()))
        tasks.append(asyncio.ensure_future(lab.watch_reports()))
        try:
            yield lab
        finally:
            for lane in lab.lanes.values():
                lab.close_lane(lane)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
