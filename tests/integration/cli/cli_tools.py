"""A small project in a directory of its own, and the `handrail` command run in it."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).parent / "cli_project"
WORKERS = Path(__file__).parents[3] / "workers"
HANDRAIL = [sys.executable, "-m", "handrail"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition: Callable[[], Any], patience: float = 120) -> Any:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
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
    return directory


def environment(**more: object) -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("HANDRAIL_", "TEMPORAL_"))}
    given = {"HANDRAIL_INBOX_PORT": free_port()} | more
    return own | {key: str(value) for key, value in given.items()}


FORKS = """
import json, os, sys
import handrail.cli.app, handrail.cli.cases, handrail.cli.check
import handrail.cli.doctor, handrail.cli.orders, handrail.cli.rulings, handrail.cli.show
import handrail.runtime
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(job["cwd"])
        os.environ.clear()
        os.environ.update(job["env"])
        for fd, (path, how) in enumerate(zip(job["io"], (os.O_RDONLY, 65, 65))):
            os.dup2(os.open(path, how | os.O_CREAT, 0o600), fd)
        sys.stdin = open(0)
        sys.argv = ["handrail", *job["argv"]]
        handrail.cli.main()
    sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\\n")
    sys.stdout.flush()
"""
"""A process that has imported everything, and becomes a command when it forks: the imports
would be nearly all of the time of these tests."""


@functools.cache
def _forks() -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    forks = subprocess.Popen([sys.executable, "-c", FORKS], stdin=pipe, stdout=pipe, text=True)

    def end() -> None:
        forks.kill()
        forks.communicate()

    atexit.register(end)
    return forks


def forked(job: dict[str, Any], patience: float = 60) -> int:
    forks = _forks()
    assert forks.stdin is not None
    assert forks.stdout is not None
    forks.stdin.write(f"{json.dumps(job)}\n")
    forks.stdin.flush()
    ready, _, _ = select.select([forks.stdout], [], [], patience)
    assert ready, f"{job['argv']} did not end in {patience} s"
    return int(forks.stdout.readline())


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
            code = forked(job)
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


def child(of: int, what: str) -> psutil.Process | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(of).children():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if what in " ".join(process.cmdline()) and "ctypes" not in process.cmdline()[-1]:
                    return process
    return None
