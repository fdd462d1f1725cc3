"""A worker in a process of its own that dies, or freezes, at a boundary you name.

What a crash does can only be seen where something really dies: between the effect and its
receipt, say. The boundaries are those of `handrail.failpoints`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from handrail.failpoints import BOUNDARIES, HAND_OFF, INTAKE, MCP_CALLS, SCHEDULED, listen
from handrail.testing.stage import PATIENCE, Stage, eventually

_PROCESS = "handrail.testing.worker"
_FORKING = multiprocessing.get_context("forkserver")
# Here and not where it starts: whoever has more that each fork would import may say so after this.
_FORKING.set_forkserver_preload([_PROCESS])


def _reachable(boundary: str) -> str:
    """Refuse a boundary that no code reaches: such a crash would never happen."""
    boundaries = (*BOUNDARIES, *INTAKE, *SCHEDULED, *HAND_OFF, *MCP_CALLS)
    if boundary not in boundaries:
        known = ", ".join(boundaries)
        raise ValueError(f"no boundary {boundary!r}; there are: {known}")
    return boundary


Boundary = Annotated[str, AfterValidator(_reachable)]


class Crash(BaseModel):
    """When the process dies (`kill`, by SIGKILL) or stands still (`freeze`, by SIGSTOP).

    At the `arrival`-th time that one process reaches `boundary` with `case` (any case, if
    empty). It happens once, also when the process is started again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    boundary: Boundary
    case: str = ""
    arrival: int = Field(default=1, ge=1)
    how: Literal["kill", "freeze"] = "kill"


class WorkerPlan(BaseModel):
    """What the process of a worker is told.

    `fleet` is `module:name`, of a `Fleet` or of a function that returns one when it is
    called with `arguments`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fleet: str
    arguments: tuple[str, ...] = ()
    address: str
    namespace: str
    ledger: str
    payload_dir: Path
    fired_dir: Path
    crashes: tuple[Crash, ...] = ()
    path: tuple[str, ...] = ()
    grace: timedelta = timedelta(seconds=10)


class CrashingWorker:
    """A worker process that can be killed, frozen, thawed and started again."""

    def __init__(self, plan: WorkerPlan, directory: Path) -> None:
        """Prepare it; nothing runs before `start`. Its log goes to `directory`."""
        self.plan = plan
        self.log = directory / "worker.log"
        self._process: BaseProcess | None = None
        plan.fired_dir.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        """The id of the process.

        Raises:
            RuntimeError: if none was started.
        """
        return self._started.ident or 0

    @property
    def _started(self) -> BaseProcess:
        if self._process is None:
            raise RuntimeError("the worker was not started")
        return self._process

    async def start(self) -> None:
        """Start the process, a fork of one that has imported the engine already."""
        given = (self.plan, self.log, dict(os.environ))
        self._process = _FORKING.Process(target=_become, args=given)
        # The first of all has to wait for what it is forked from.
        await asyncio.to_thread(self._process.start)

    async def restart(self) -> None:
        """Start another process in place of one that has died."""
        await self.ended()
        await self.start()

    async def ended(self, *, within: timedelta = PATIENCE) -> int:
        """Wait until the process is gone; its exit code, or minus the signal that killed it.

        Raises:
            TimeoutError: if it lives on, with the end of its log.
        """
        process = self._started
        await asyncio.to_thread(process.join, within.total_seconds())
        if process.exitcode is None:
            raise TimeoutError(f"the worker has not ended; its log ends:\n{self._tail()}")
        return process.exitcode

    async def crashed(self) -> None:
        """Wait until it was killed at its boundary.

        Raises:
            TimeoutError: if it lives on.
            AssertionError: if it ended by itself, with the end of its log.
        """
        code = await self.ended()
        if code != -signal.SIGKILL:
            raise AssertionError(f"the worker ended by itself ({code}):\n{self._tail()}")

    async def frozen(self) -> None:
        """Wait until it stands still at its boundary.

        Raises:
            TimeoutError: if it does not.
        """

        async def still() -> bool:
            return _state(self.pid) == "T"

        await eventually(still, what="the freezing of the worker")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal: SIGCONT thaws it, SIGTERM ends it with a grace, SIGKILL at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def stop(self) -> None:
        """End it at once, frozen or not."""
        if self._process is not None and self._process.exitcode is None:
            self.send(signal.SIGKILL)
            await self.ended()

    def _tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-30:])


@contextlib.asynccontextmanager
async def crashing_worker(
    stage: Stage,
    fleet: str,
    *crashes: Crash,
    arguments: Sequence[str] = (),
    name: str = "worker",
    ledger: str | None = None,
    grace: timedelta = timedelta(seconds=10),
) -> AsyncGenerator[CrashingWorker]:
    """Run a worker for `stage` (made with `workers=False`) in a process of its own.

    `fleet`: `module:name` as the process imports it, a `Fleet` or a function that takes
    `arguments` and returns one. Two at once need two names.
    """
    directory = stage.directory / name
    directory.mkdir(parents=True, exist_ok=True)
    plan = WorkerPlan(
        fleet=fleet,
        arguments=tuple(arguments),
        address=stage.client.service_client.config.target_host,
        namespace=stage.client.namespace,
        ledger=ledger or f"sqlite:///{stage.directory}/ledger.db",
        payload_dir=stage.directory / "payloads",
        fired_dir=directory / "fired",
        crashes=crashes,
        path=tuple(dict.fromkeys([str(Path.cwd()), *sys.path])),
        grace=grace,
    )
    worker = CrashingWorker(plan, directory)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


def _become(plan: WorkerPlan, log: Path, environment: dict[str, str]) -> None:
    """Be the worker of a plan, in a process that was forked for it."""
    lines = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(lines, 1)
    os.dup2(lines, 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = list(plan.path)
    importlib.import_module(_PROCESS).run(plan)


def _state(pid: int) -> str:
    """The state letter of a process, as the kernel gives it."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


def crash_at(crashes: Sequence[Crash], fired_dir: Path) -> None:
    """Let this very process die or freeze as planned. For worker processes of your own.

    `fired_dir` remembers which crashes have happened, across processes.
    """
    arrivals = [0] * len(crashes)

    def listener(boundary: str, case: str) -> None:
        for number, crash in enumerate(crashes):
            if boundary != crash.boundary or crash.case not in {"", case}:
                continue
            arrivals[number] += 1
            if arrivals[number] == crash.arrival and _first_time(fired_dir / str(number)):
                os.kill(os.getpid(), signal.SIGKILL if crash.how == "kill" else signal.SIGSTOP)

    listen(listener)


def _first_time(mark: Path) -> bool:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Interrupted(ConnectionError):
    """What `interrupted` raises."""


@contextlib.contextmanager
def interrupted(boundary: str, *, times: int = 1, case: str = "") -> Generator[list[str]]:
    """Let the next `times` arrivals at a boundary fail, in workers of this process.

    Quicker than a crash, and like one for all that the ledger sees: the attempt is over,
    nobody said what became of it. Yields the cases that were interrupted, as they are.
    """
    _reachable(boundary)
    met: list[str] = []

    def listener(reached: str, by: str) -> None:
        if reached == boundary and case in {"", by} and len(met) < times:
            met.append(by)
            raise Interrupted(f"interrupted at {boundary}")

    listen(listener)
    try:
        yield met
    finally:
        listen(None)
