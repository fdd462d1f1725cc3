"""A PostgreSQL of one's own for a measurement: on a socket, in a directory that goes again."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

_PATIENCE = 20.0


def binaries() -> Path | None:
    """Where Debian keeps the newest PostgreSQL; None if none is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextlib.contextmanager
def postgres(programs: Path) -> Generator[str]:
    """Run a server, and give the URL of an empty database on it. It waits for its disk."""
    home = Path(tempfile.mkdtemp(prefix="pg"))
    who = _as_nobody(home)
    quiet: dict[str, Any] = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "cwd": home,
    }
    data = home / "data"
    make = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(make, check=True, **quiet, **who)  # noqa: S603  # Debian's own
    serve = [programs / "postgres", "-D", data, "-k", home, "-c", "listen_addresses="]
    with subprocess.Popen(serve, **quiet, **who) as server:  # noqa: S603  # the same
        url = f"postgresql+psycopg://postgres@/postgres?host={home}"
        try:
            _until_it_answers(url)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=_PATIENCE)
            shutil.rmtree(home, ignore_errors=True)


def _as_nobody(home: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _until_it_answers(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OperationalError), engine.connect():
            return
        time.sleep(0.05)
    raise TimeoutError("PostgreSQL does not answer")
