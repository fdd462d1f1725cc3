"""What `handrail dev` runs, and how it is kept alive.

Everything is a process of its own: the Temporal server, the worker, a demo's outside
systems. Each is started again when it dies, by `kill -9` too, and all of them die with the
process that looks after them, so that a second start finds its ports free.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

import structlog

from handrail.exceptions import ConfigurationError, HandrailError
from handrail.runtime.settings import Settings
from handrail.runtime.temporal_server import (
    EmbeddedServer,
    bound_log,
    dying_with_us,
    end_of_log,
    end_process,
)

READY = "worker is ready"
"""How the line on stdout begins with which a worker says so."""

UNFIT = "worker does not fit"
"""How the line on stdout begins with which a worker says that it ends because of open cases."""

INBOX_READY = "inbox is ready"
"""The same of the inbox."""

PATIENCE = timedelta(seconds=60)
"""How long a process may take until it is ready for the first time."""

GRACE = timedelta(seconds=10)
"""How long a process may take to end before it is killed. Writes are made once all the same."""

PAUSE = timedelta(milliseconds=200)
"""Before a process that died is started again; doubled while it goes on dying."""

PAUSE_MOST = timedelta(seconds=5)

STEADY = timedelta(seconds=10)
"""A process that lived so long is taken for well when it dies."""

_TAIL = 12
_FAULT = 3
"""So many lines at most say what is wrong and how to mend it."""

log = structlog.get_logger("handrail.dev")


@dataclass(frozen=True)
class System:
    """An outside system that a demo runs as a process of its own.

    In `argv`, `{home}` is replaced by the home directory and `{python}` by this Python.
    `ready`: how the line on its standard output begins that says it is ready.
    """

    name: str
    argv: tuple[str, ...]
    ready: str


class ChildFailed(HandrailError):
    """A process died before it was ready for the first time. `code`: its exit code."""

    def __init__(self, name: str, code: int | None, tail: str) -> None:
        self.name = name
        self.code = code
        how = "was not ready in time" if code is None else f"ended at its start, with code {code}"
        super().__init__(f"{name} {how}{f'. It said:{chr(10)}{tail}' if tail else ''}")


class Child:
    """A process that is started again whenever it dies.

    Its standard output is read to its end always; its errors go to the file `log`, of
    bounded size, or where ours go when that is None.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        ready: str,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.starts = 0
        self._argv = _with_program(name, argv)
        self._ready = ready
        self._env = env
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._is_ready = asyncio.Event()
        self.unfit = ""
        """What it said, in one line, when it could not go on with open cases."""

    @property
    def pid(self) -> int | None:
        """The process id, or None while it does not run."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def start(self, patience: timedelta = PATIENCE) -> None:
        """Start the process and return when it is ready.

        Raises:
            ChildFailed: if it ends before, or is not ready within `patience`.
        """
        process = await self._spawn()
        ready = asyncio.ensure_future(self._is_ready.wait())
        ended = asyncio.ensure_future(process.wait())
        timeout = patience.total_seconds()
        try:
            await asyncio.wait({ready, ended}, timeout=timeout, return_when="FIRST_COMPLETED")
        finally:
            ready.cancel()
            ended.cancel()
        # Killed from outside, it is only started again; what ends by itself says why.
        if not self._is_ready.is_set() and (process.returncode or 0) >= 0:
            await self.stop()
            tail = "" if self.log is None else end_of_log(self.log, _TAIL)
            raise ChildFailed(self.name, process.returncode, tail)

    async def supervise(self) -> None:
        """Start the process again whenever it dies, until cancelled."""
        pause = PAUSE
        while self._process is not None:
            began = asyncio.get_running_loop().time()
            code = await self._process.wait()
            if asyncio.get_running_loop().time() - began > STEADY.total_seconds():
                pause = PAUSE
            # Whoever asked it to end, for code that has changed, has said so: also at its start.
            if code not in {0, -signal.SIGTERM}:
                if self._reading is not None:
                    await asyncio.wait([self._reading], timeout=1)  # what it said at its end
                why = self.unfit or "died, starting it again"
                log.warning(why, what=self.name, code=code, log=self.where)
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, PAUSE_MOST)
            try:
                await self._spawn()
            except OSError as error:
                log.warning("could not be started", what=self.name, error=str(error))

    async def stop(self, grace: timedelta = GRACE) -> None:
        """Ask the process to end, and kill it after `grace`."""
        process = self._process
        if process is None:
            return
        await end_process(process, grace)
        if self._reading is not None:
            await self._reading

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._is_ready.clear()
        self.unfit = ""
        with self._errors() as errors:
            self._process = await asyncio.create_subprocess_exec(
                *dying_with_us(self._argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=self._env,
                # Ctrl-C is for us: we end the others in the right order.
                start_new_session=True,
            )
        self.starts += 1
        self._reading = asyncio.get_running_loop().create_task(self._read(self._process))
        return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101  # it was asked for
        while line := await _line(process.stdout):
            said = line.decode(errors="replace")
            if said.startswith(self._ready):
                self._is_ready.set()
            elif said.startswith(UNFIT):
                self.unfit = said.strip()

    @contextlib.contextmanager
    def _errors(self) -> Generator[IO[bytes] | None]:
        if self.log is None:
            yield None
            return
        bound_log(self.log)
        with self.log.open("ab") as file:
            yield file

    @property
    def where(self) -> str:
        """Where its errors go."""
        return str(self.log) if self.log is not None else "stderr"


@dataclass(frozen=True)
class LocalProcesses:
    """Everything that runs on this machine. `inbox` is None where it is not installed."""

    server: EmbeddedServer
    worker: Child
    systems: Sequence[Child]
    inbox: Child | None = None


@contextlib.asynccontextmanager
async def running_locally(
    settings: Settings,
    systems: Sequence[System] = (),
    *,
    quiet: bool = False,
    patient: bool = False,
    policies: Iterable[Path] = (),
) -> AsyncGenerator[LocalProcesses]:
    """Run the server, the worker, the inbox and `systems`, each kept alive; ends all on exit.

    `quiet`: worker and inbox log to files of the home directory and not to stderr. `patient`: a
    worker that does not start is started again and again, beside server and inbox.
    `policies`: those of the agents, from which the inbox reads who may sign in.

    Raises:
        ConfigurationError: if the server or a program cannot be run here.
        ServerUnavailable: if the server does not come up.
        ChildFailed: if a process ends before it was ready for the first time.
    """
    home = settings.home.absolute()
    server = EmbeddedServer(home, port=settings.temporal_port, ui_port=settings.ui_port)
    async with server, contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(_watched(server.supervise))
        env = _environment(home, server, inbox_url(settings))
        outside = [_system(system, home, env) for system in systems]
        worker = _ours("worker", READY, env, home if quiet else None)
        inbox = None
        if has_inbox():
            inbox = _ours(
                "inbox", INBOX_READY, _of_inbox(env, policies), home if quiet else None, "serve"
            )
        for child in (*outside, worker, *([inbox] if inbox else [])):
            stack.push_async_callback(child.stop)
            try:
                await child.start()
            except ChildFailed as error:
                # Server and inbox stay: people look at cases and rule, and what is wrong is mended.
                if child is not worker or not (patient or child.unfit):
                    raise
                why, _, said = str(error).partition("\n")
                said = " ".join(f"\n{said}".rpartition("\nhandrail: ")[2].splitlines()[-_FAULT:])
                text = child.unfit or f"{why.partition('.')[0]}: {said}"
                # It has its own words.
                log.error("%s; it is started again until it runs", text, log=child.where)  # noqa: TRY400
            await stack.enter_async_context(_watched(child.supervise))
        yield LocalProcesses(server, worker, outside, inbox)


def has_inbox() -> bool:
    """Whether what the inbox needs is installed."""
    return all(importlib.util.find_spec(name) for name in ("authlib", "jinja2", "slack_sdk"))


def inbox_url(settings: Settings) -> str:
    """Where people find the inbox of this machine; empty where it is not installed."""
    if not has_inbox():
        return ""
    return settings.inbox_url or f"http://localhost:{settings.inbox_port}"


def _of_inbox(env: dict[str, str], policies: Iterable[Path]) -> dict[str, str]:
    """The inbox reads the policies where they lie."""
    folders = {str(path.absolute().parent) for path in policies}
    if len(folders) == 1 and not env.get("HANDRAIL_INBOX_POLICIES"):
        env = {**env, "HANDRAIL_INBOX_POLICIES": folders.pop()}
    return env


def _ours(name: str, ready: str, env: Mapping[str, str], logs: Path | None, *more: str) -> Child:
    """A process of this very program."""
    argv = [sys.executable, "-m", "handrail", name, *more]
    log = logs / f"{name}.log" if logs else None
    return Child(f"the {name}", argv, ready=ready, env=env, log=log)


@contextlib.asynccontextmanager
async def _watched(supervise: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    watching = asyncio.ensure_future(supervise())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


def _system(system: System, home: Path, env: Mapping[str, str]) -> Child:
    argv = [
        part.replace("{home}", str(home)).replace("{python}", sys.executable)
        for part in system.argv
    ]
    return Child(system.name, argv, ready=system.ready, env=env, log=home / f"{system.name}.log")


def _environment(home: Path, server: EmbeddedServer, inbox: str) -> dict[str, str]:
    """Ours, with this server instead of whatever TEMPORAL_* or a profile file names."""
    profile = home / "temporal.toml"
    profile.touch()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TEMPORAL_")}
    ways = ("HANDRAIL_INBOX_DEV", "HANDRAIL_OIDC_ISSUER", "HANDRAIL_SMTP_URL")
    # Whoever is on this machine may sign in, unless another way is set up; the worker counts it.
    by_name = {} if any(map(kept.get, ways)) else {"HANDRAIL_INBOX_DEV": "1"}
    return (
        kept
        | by_name
        | {
            # One machine, one person: whoever may write to it could sign as anybody, too.
            "HANDRAIL_PROOF": kept.get("HANDRAIL_PROOF") or "unproven",
            "HANDRAIL_INBOX_URL": inbox,
            "TEMPORAL_ADDRESS": server.address,
            "TEMPORAL_NAMESPACE": server.namespace,
            "TEMPORAL_CONFIG_FILE": str(profile),
            "PYTHONUNBUFFERED": "1",
        }
    )


def _with_program(name: str, argv: Sequence[str]) -> list[str]:
    program = shutil.which(argv[0]) if argv else None
    if program is None:
        raise ConfigurationError(f"{name} cannot be run: no program {' '.join(argv[:1]) or '?'}")
    return [program, *argv[1:]]


async def _line(stream: asyncio.StreamReader) -> bytes:
    """One line, or a part of one that is too long to be a line."""
    try:
        return await stream.readuntil()
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError as long:
        return await stream.readexactly(long.consumed)
