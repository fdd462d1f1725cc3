"""A small project in a directory of its own, and the `handrail` command run in it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from handrail.runtime import READY, EmbeddedServer
from handrail.testing import free_ports

PROJECT = Path(__file__).parent / "cli_project"
WORKERS = Path(__file__).parents[3] / "workers"
HANDRAIL = [sys.executable, "-m", "handrail"]


def free_port() -> int:
    return free_ports()[0]


def until(condition: Callable[[], Any], patience: float = 120) -> Any:
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < patience:
        found = condition()
        if found:
            return found
        # Most of these look by a whole command.
        time.sleep(min(max(0.1, waited / 8), 0.5))
    raise AssertionError("it did not happen in time")


def make_project(directory: Path, agent: str = "pay") -> Path:
    (directory / "workers").mkdir(parents=True)
    for file in PROJECT.iterdir():
        if file.is_file():
            inside = "workers" if file.name in {"fleet.py", "demo.py"} else "."
            text = file.read_text().replace('Agent("pay"', f'Agent("{agent}"')
            (directory / inside / file.name).write_text(
                text.replace("agent: pay", f"agent: {agent}")
            )
    (directory / "workers" / "__init__.py").touch()
    for name in ("board.py", "show.py"):
        shutil.copy(WORKERS / name, directory / "workers")
    (directory / "till.calls").touch()
    return directory


def environment(**more: object) -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("HANDRAIL_", "TEMPORAL_"))}
    given = {"HANDRAIL_INBOX_PORT": free_port()} | more
    return own | {key: str(value) for key, value in given.items()}


class Forks:
    """Runs commands as children of a process that has imported everything (`forks.py`).

    It is no member of our process group: no signal that is meant for tests comes to it.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._said: IO[bytes] | None = None

    def run(self, job: dict[str, Any], patience: float = 60, *, stays: bool = False) -> int:
        """Have a job done; the exit code of its command, or its process if it `stays`."""
        if self._process is not None and self._process.poll() is not None:
            self.end()  # whatever killed it while it had nothing to do harms no test
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{json.dumps({'stays': stays, 'job': job})}\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._gone(process) from None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            ready = selector.select(patience)
        if not ready:
            # Its answer would be taken for that of the next job.
            self.end()
            raise AssertionError(f"{job['argv']} did not end in {patience} s")
        answer = process.stdout.readline()
        if not answer:
            raise self._gone(process)
        return int(answer)

    def end(self) -> None:
        """End it, with whatever it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):
            process.communicate()
        if self._said is not None:
            self._said.close()

    def _start(self) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        program = str(Path(__file__).with_name("forks.py"))
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # it is read when the process is gone
        self._process = subprocess.Popen(
            [sys.executable, "-P", program],
            stdin=pipe,
            stdout=pipe,
            stderr=self._said,
            text=True,
            start_new_session=True,
        )
        return self._process

    def _gone(self, process: subprocess.Popen[str]) -> AssertionError:
        assert self._said is not None
        code = process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")
        self.end()
        return AssertionError(f"what forks commands ended with {code}: {said}")


FORKS = Forks()


class Forked:
    """A command that stays, forked from what has imported it; what it says goes to a file."""

    def __init__(self, *args: str, cwd: Path, env: Mapping[str, str], log: Path) -> None:
        said = str(log)
        job = {"argv": args, "cwd": str(cwd), "env": dict(env), "io": [os.devnull, said, said]}
        self._process = psutil.Process(FORKS.run(job, stays=True))

    def ended(self) -> bool:
        """Whether it is gone, or would be if what forked it had looked."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return self._process.status() == psutil.STATUS_ZOMBIE
        return True

    def kill(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.kill()
        until(self.ended, 10)


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Project:
    """A project directory, and the processes started in it."""

    directory: Path
    env: dict[str, str]

    def run(self, *args: str, stdin: str = "", **env: object) -> Done:
        """Run one command to its end, in a process of its own."""
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            (directory / "0").write_text(stdin)
            job = {
                "argv": args,
                "cwd": str(self.directory),
                "env": self.env | {key: str(value) for key, value in env.items()},
                "io": [str(directory / fd) for fd in "012"],
            }
            code = FORKS.run(job)
            return Done(code, *((directory / fd).read_text() for fd in "12"))

    def json(self, *args: str, code: int = 0, stdin: str = "") -> Any:
        done = self.run(*args, "--json", stdin=stdin)
        assert done.returncode == code, done
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def process(self, *args: str, **env: object) -> Generator[subprocess.Popen[bytes]]:
        log = (self.directory / f"{args[0]}.err").open("ab")
        process = subprocess.Popen(
            [*HANDRAIL, *args],
            cwd=self.directory,
            env=self.env | {key: str(value) for key, value in env.items()},
            stdout=log,
            stderr=log,
        )
        log.close()
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def worker(self, **env: object) -> Generator[None]:
        """A worker that is ready."""
        given = self.env | {key: str(value) for key, value in env.items()}
        log = self.directory / "worker.err"
        worker = Forked("worker", cwd=self.directory, env=given, log=log)
        try:
            until(lambda: (log.exists() and READY in self.said("worker")) or worker.ended())
            assert not worker.ended(), self.said("worker")
            yield
        finally:
            worker.kill()

    def said(self, command: str) -> str:
        return (self.directory / f"{command}.err").read_text(errors="replace")

    def start(self, key: str, amount: int, text: str = "it is due", code: int = 0) -> Any:
        event = json.dumps({"id": key, "amount": str(amount), "text": text})
        return self.json("start", "pay", event, "--wait", code=code)

    def gate(self, key: str) -> Any:
        gates = self.json("inbox")["gates"]
        return next(gate for gate in gates if gate["case"] == f"pay:{key}")

    def paid(self, key: str) -> int:
        """How often the till was asked to pay, however often it did."""
        calls = (self.directory / "till.calls").read_text().splitlines()
        return sum(line.startswith(f"/pay pay:{key}/") for line in calls)


@contextlib.contextmanager
def at_till(project: Project) -> Generator[Project]:
    """Where the project's money is paid."""
    command = [sys.executable, "till.py", str(project.directory / "till.txt")]
    till = subprocess.Popen(
        command, cwd=project.directory, env=project.env, stdout=subprocess.DEVNULL
    )
    try:
        yield project
    finally:
        till.kill()
        till.wait()


@contextlib.contextmanager
def at_work(directory: Path, server: EmbeddedServer, **more: object) -> Generator[Project]:
    """A project with its till and a worker, in a namespace of its own on a server that runs.

    The directory is made, unless it is there already. Of what `dev` starts this is what most
    commands need, and a fifth of the time.
    """
    if not directory.exists():
        make_project(directory)
    name = f"cli-{uuid.uuid4().hex[:12]}"
    asyncio.run(_register(server.address, name))
    given = {"HANDRAIL_PROOF": "unproven", "TILL_PORT": free_port()} | more
    env = environment(TEMPORAL_ADDRESS=server.address, TEMPORAL_NAMESPACE=name, **given)
    with at_till(Project(directory, env)) as project, project.worker():
        yield project


async def _register(address: str, name: str) -> None:
    client = await Client.connect(address)
    day = Duration(seconds=86_400)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=day)
    )


def child(of: int, what: str) -> psutil.Process | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(of).children():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if what in " ".join(process.cmdline()) and "ctypes" not in process.cmdline()[-1]:
                    return process
    return None
