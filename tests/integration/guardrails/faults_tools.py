"""How a guard is broken and mended, and what must be seen of it meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from handrail import State, failpoints
from handrail.testing import CaseHandle, Outside, eventually

LOOK = 0.4
"""Seconds for which nothing may happen while a guard is broken: some tries of a step."""

WITHIN = timedelta(seconds=15)
"""How long it may take until a fault is explained, on a busy machine."""

KEY = "orders:1/pay/1"


async def explained(case: CaseHandle) -> str:
    """What people see of a case that does not go on: its pending step, its gates, its end."""
    described = await case.handle.describe()
    failures = [p.last_failure.message for p in described.raw_description.pending_activities]
    gates = [gate.why for gate in await case.gates()]
    return " ".join(" | ".join([*filter(None, failures), *gates]).split())


async def explains(case: CaseHandle, *says: str) -> str:
    """See that it is explained why a case does not go on."""

    async def said() -> str:
        text = await explained(case)
        return text if all(words in text for words in says) else ""

    try:
        return await eventually(said, within=WITHIN)
    except TimeoutError:
        raise AssertionError(f"{says} is not said; said is: {await explained(case)}") from None


async def closed(case: CaseHandle, outside: Outside, *says: str) -> str:
    """See that it is explained why a case does not go on, and that it does not."""
    text = await explains(case, *says)
    await asyncio.sleep(LOOK)
    assert outside.effects("pay") == []
    return text


async def goes_on(case: CaseHandle, outside: Outside) -> None:
    """See that a case comes to its end by itself, with one effect."""
    outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert outside.effects("pay") == [KEY]


@contextlib.contextmanager
def at(boundary: str, then: Callable[[], object]) -> Generator[None]:
    """Do something when a case is first at a boundary, in the midst of its step."""
    left = [then]

    def listener(name: str, _case: str) -> None:
        if name == boundary and left:
            left.pop()()

    failpoints.listen(listener)
    try:
        yield
    finally:
        failpoints.listen(None)
        assert not left, f"no case was at {boundary}"


def replace(path: Path, content: bytes) -> None:
    """Write a file in place, as editors do that know no better."""
    path.write_bytes(content)


class Aside:
    """What stood under a path, while something else stands there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = path.with_name(f"{path.name}.kept")

    def swap(self, make: Callable[[Path], object]) -> None:
        """Put it aside, and let `make` put something else in its place."""
        self.path.rename(self._kept)
        make(self.path)

    def back(self) -> None:
        """Put it back."""
        if self.path.is_dir() and not self.path.is_symlink():
            self.path.rmdir()
        elif os.path.lexists(self.path):
            self.path.unlink()
        self._kept.rename(self.path)


class Postgres:
    """A PostgreSQL server that can be killed, and started again on what it had kept."""

    options: tuple[str, ...] = ("-c", "listen_addresses=", "-c", "fsync=off")

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            pytest.skip("no PostgreSQL server is installed here: apt-get install postgresql")
        pytest.importorskip("psycopg")
        self._binaries = found[-1].parent
        self._home = Path(tempfile.mkdtemp(prefix="pg"))
        self.url = f"postgresql+psycopg://postgres@/postgres?host={self._home}"
        self._who: dict[str, Any] = {}
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if os.getuid() == 0:  # it refuses to run as root
            nobody = pwd.getpwnam("nobody")
            self._who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._home, nobody.pw_uid, nobody.pw_gid)
        data, options = self._home / "data", ("-U", "postgres", "-A", "trust", "--no-sync")
        self._run("initdb", "-D", data, *options).wait()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        data = self._home / "data"
        self._server = self._run("postgres", "-D", data, "-k", self._home, *self.options)
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        for _ in range(400):
            with contextlib.suppress(OperationalError), engine.connect():
                return
            time.sleep(0.05)
        raise TimeoutError("PostgreSQL does not answer")

    @property
    def runs(self) -> bool:
        """Whether it was not killed."""
        return self._server is not None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(timeout=20)
            self._server = None

    def _run(self, program: str, *arguments: str | Path) -> subprocess.Popen[str]:
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        argv: list[str | Path] = [self._binaries / program, *arguments]
        return subprocess.Popen(argv, cwd=self._home, **quiet, **self._who)
