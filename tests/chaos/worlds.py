"""The machines and ledgers that a lane runs on, and what can happen to them.

Each world is a real one: other namespaces and another clock for a second machine, a file that is
put back from a copy, a PostgreSQL that is killed or failed over to a base that lacks the latest
commits, a file system that is full. What this machine cannot have is skipped, and it says why.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

from typing_extensions import override

from tests.chaos.listener import CLOCK_AHEAD
from tests.chaos.plan import What, World
from tests.integration.guardrails.faults_tools import Postgres

_UPTIME = 86_400
"""By how many seconds the second machine has been up longer."""

_DISK = "16m"


class Place:
    """One machine, and a ledger in a file on it. `went_back`: the file was put back."""

    lanes = 2

    def __init__(self, room: Path, lane: str) -> None:
        self.home = room / f"{lane}.world"
        self.home.mkdir()
        self.went_back = False

    @classmethod
    def missing(cls) -> str:
        """Why it cannot be had here; empty if it can."""
        return ""

    def ledger(self, worker: int) -> str:
        """The URL of a worker's ledger."""
        del worker
        return f"sqlite:///{self.home}/ledger"

    def command(self, worker: int) -> tuple[str, ...]:
        """What a worker is started by, if it is not on this machine."""
        del worker
        return ()

    def prepare(self) -> None:
        """Make ready for the next case."""

    def strike(self, what: What) -> None:
        """Let it happen."""

    def heal(self, what: What) -> None:
        """Mend it."""

    def close(self) -> None:
        """Leave nothing behind."""


class RestoredFile(Place):
    """The ledger's file is put back from a copy that was made before the case began."""

    @override
    def prepare(self) -> None:
        with (
            contextlib.closing(sqlite3.connect(self.home / "ledger")) as one,
            contextlib.closing(sqlite3.connect(self.home / "night")) as two,
        ):
            one.backup(two)

    @override
    def strike(self, what: What) -> None:
        for tail in ("-wal", "-shm"):
            (self.home / f"ledger{tail}").unlink(missing_ok=True)
        shutil.copy(self.home / "night", self.home / "ledger")
        self.went_back = True


class OtherLedger(Place):
    """The second worker has a ledger of its own, and never heard of the other."""

    @override
    def ledger(self, worker: int) -> str:
        return f"sqlite:///{self.home}/ledger{worker}"


class SmallDisk(Place):
    """The ledger is on a file system of its own, which gets full."""

    def __init__(self, room: Path, lane: str) -> None:
        super().__init__(room, lane)
        _mount(self.home)

    @override
    @classmethod
    def missing(cls) -> str:
        probe = Path("/tmp") / f"handrail-chaos-{os.getpid()}"  # noqa: S108  # an empty directory
        probe.mkdir()
        try:
            _mount(probe)
        except (OSError, subprocess.CalledProcessError):
            return "no full disk: a small file system takes root's right to mount one"
        else:
            _unmount(probe)
            return ""
        finally:
            probe.rmdir()

    @override
    def strike(self, what: What) -> None:
        with (self.home / "filler").open("wb", buffering=0) as filler:
            for size in (65_536, 512):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(size))

    @override
    def heal(self, what: What) -> None:
        (self.home / "filler").unlink(missing_ok=True)

    @override
    def close(self) -> None:
        _unmount(self.home)


def _mount(place: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", place]
    subprocess.run(command, check=True, capture_output=True)


def _unmount(place: Path) -> None:
    subprocess.run(["umount", "--lazy", place], check=False)


class SecondMachine(Place):
    """The second worker is on another machine: it has other processes, and another clock.

    Its wall clock is wrong by less than what a worker may be wrong by, and can be stepped; its
    monotonic clock is another altogether.
    """

    wrong = 0

    def __init__(self, room: Path, lane: str) -> None:
        super().__init__(room, lane)
        self.heal("step")

    @override
    @classmethod
    def missing(cls) -> str:
        if _libfaketime() is None:
            return "no second machine: its clock takes libfaketime (apt-get install faketime)"
        if subprocess.run([*_MACHINE, "true"], capture_output=True, check=False).returncode:
            return "no second machine: this kernel lets us have no other namespaces"
        return ""

    @override
    def command(self, worker: int) -> tuple[str, ...]:
        if worker == 1:
            return ()
        # A process that is the first of its namespace cannot be ended from inside: a shell is.
        return (
            "env",
            f"{CLOCK_AHEAD}={_UPTIME}",
            f"LD_PRELOAD={_libfaketime()}",
            f"FAKETIME_TIMESTAMP_FILE={self.home / 'clock'}",
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            *_MACHINE,
            "sh",
            "-c",
            '"$@"; exit $?',
            "sh",
        )

    @override
    def strike(self, what: What) -> None:
        self._set(-self.wrong)

    @override
    def heal(self, what: What) -> None:
        self._set(self.wrong)

    def _set(self, seconds: int) -> None:
        (self.home / "new").write_text(f"{seconds:+d}s\n", encoding="utf-8")
        (self.home / "new").rename(self.home / "clock")


_SPACES = ("--pid", "--fork", "--kill-child", "--mount-proc", "--time")
_MACHINE = ("unshare", *_SPACES, "--monotonic", str(_UPTIME), "--boottime", str(_UPTIME))


def _libfaketime() -> Path | None:
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


class FastMachine(SecondMachine):
    """Its clock is ahead."""

    wrong = 45


class SlowMachine(SecondMachine):
    """Its clock is behind."""

    wrong = -45


_BASES = 5
"""Times that a base is asked for."""


class _Cluster(Postgres):
    """A durable one, of which a base can be taken, and failed over to."""

    options = ("-c", "listen_addresses=")

    def take_base(self) -> None:
        """Take what it has now, for a standby that gets nothing more."""
        base, said = self._home / "base", ""
        given = ("-h", self._home, "-U", "postgres", "-X", "stream", "-c", "fast", "--no-sync")
        argv = [self._binaries / "pg_basebackup", "-D", base, *given]
        for _ in range(_BASES):
            shutil.rmtree(base, ignore_errors=True)
            made: subprocess.CompletedProcess[str] = subprocess.run(
                argv, check=False, cwd=self._home, stderr=subprocess.PIPE, text=True, **self._who
            )
            if not made.returncode:
                return
            said = made.stderr
            time.sleep(1)  # it may be coming up again after a crash
        raise RuntimeError(f"no base could be taken of PostgreSQL: {said}")

    def fail_over(self) -> None:
        """Lose it, and go on with the base."""
        self.kill()
        shutil.rmtree(self._home / "data")
        (self._home / "base").rename(self._home / "data")
        self.start()


class LostPrimary(Place):
    """The ledger is in PostgreSQL, which crashes, or fails over to a base that lacks commits."""

    def __init__(self, room: Path, lane: str) -> None:
        super().__init__(room, lane)
        self._cluster = _Cluster()
        self._cluster.__enter__()

    @override
    @classmethod
    def missing(cls) -> str:
        if any(Path("/usr/lib/postgresql").glob("*/bin/pg_basebackup")):
            return ""
        return "no PostgreSQL: none is installed (apt-get install postgresql)"

    @override
    def ledger(self, worker: int) -> str:
        return self._cluster.url

    @override
    def prepare(self) -> None:
        self._cluster.take_base()

    @override
    def strike(self, what: What) -> None:
        if what == "crash":
            self._cluster.kill()
        else:
            self._cluster.fail_over()
            self.went_back = True

    @override
    def heal(self, what: What) -> None:
        if not self._cluster.runs:
            self._cluster.start()

    @override
    def close(self) -> None:
        self._cluster.__exit__()


class Served(Place):
    """One machine on which `handrail serve` runs, too."""

    lanes = 4


WORLDS: dict[World, type[Place]] = {
    "one": Place,
    "ahead": FastMachine,
    "behind": SlowMachine,
    "ledgers": OtherLedger,
    "file": RestoredFile,
    "postgres": LostPrimary,
    "disk": SmallDisk,
    "reach": Served,
}
