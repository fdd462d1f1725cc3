"""Fixtures that all tests share."""

from __future__ import annotations

import contextlib
import gc
import logging
import multiprocessing
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy.exc import OperationalError

from handrail.guardrails import effects
from handrail.runtime import EmbeddedServer
from handrail.testing import server, serving
from tests.stuck import StuckTests

pytest_plugins = ["handrail.testing.fixtures"]

# The suite starts hundreds of Python processes. With this set, as many containers have it, each
# of them compiles whatever it imports again: half of the time until it is ready.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# What the processes that tests start have in common, imported once and not by each of them. It is
# forked from one process, whichever of them comes first.
multiprocessing.set_forkserver_preload(
    [
        "handrail.testing.worker",
        "tests.agents.fleets",
        "tests.agents.limit_writers",
        "tests.integration.application.systems",
    ]
)

MEMORY = Path("/dev/shm")  # noqa: S108  # pytest makes a directory of its own in it

if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * 2**30:
    # Hundreds of databases write each commit down: on a disk that is a third of the time.
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None


# What importing and collecting make stays as long as the process. Looking through it for garbage,
# again and again, is a third of their time, and slows every test.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tests")

# The order of files. Beside each other, files are given out one by one: the long ones first, so
# that none of them is begun when all others are done. They wait for servers and processes most of
# their time, the others compute: both kinds come mixed, so that no core waits.

ORDER = (
    "tests/integration/repository/",
    "tests/integration/runtime/test_kills",
    "tests/integration/integrations/",
    "tests/integration/cli/",
    "tests/integration/inbox/",
    "tests/integration/application/",
    "tests/integration/",
    "tests/replay/",
)


@pytest.fixture(autouse=True)
def logs_as_before() -> Generator[None]:
    """Whatever set up the logs of this process: the next test has them as they come."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
    root = logging.getLogger()
    ours = [each for each in root.handlers if type(each).__module__ == "handrail.runtime.logging"]
    for each in ours:
        root.removeHandler(each)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--reversed-order",
        action="store_true",
        help="run files, and the tests of each, from the last to the first",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(StuckTests())
    # By itself it gives out those of many tests first, which are the quickest.
    config.option.loadscopereorder = False


def _mixed(files: Sequence[Path]) -> dict[Path, float]:
    """Where each file comes: those that wait and those that compute, each in their order."""
    waiting = [file for file in files if "integration" in file.parts]
    computing = [file for file in files if "integration" not in file.parts]
    return {
        file: number / len(kind)
        for kind in (waiting, computing)
        for number, file in enumerate(kind)
    }


UNLIKE = (" at 0x", r"\x1f\x8b")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Processes beside each other must come to the same ids; alone none would notice. What gzip
    # packs begins with the second in which it did.
    odd = [each.nodeid for each in items if any(part in each.nodeid for part in UNLIKE)]
    if odd:
        raise pytest.UsageError(f"ids with an address or packed bytes; fix: give `ids`: {odd}")
    items.sort(key=lambda item: [not item.nodeid.startswith(first) for first in ORDER])
    places = _mixed(list(dict.fromkeys(item.path for item in items)))
    items.sort(key=lambda item: places[item.path])
    if config.getoption("--reversed-order"):
        items.reverse()


NO_SCHEDULES = {"worker.perNamespaceWorkerCount": "0"}
"""Workers of the server's own that only schedules need, in each of the hundreds of namespaces: two
thirds of what a namespace costs, and nearly all of what it costs when its test is over."""


FILES = 8
"""How many files of tests a server is for. What was left open in the namespaces of earlier ones
costs it CPU and memory as long as it lives: after 280 an eighth of a core, and 1.4 GB."""


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Callable[[], EmbeddedServer]]:
    """What gives a file of tests the server that runs, or another in its place."""
    given: list[EmbeddedServer] = []
    with contextlib.ExitStack() as running:

        def give() -> EmbeddedServer:
            if len(given) % FILES == 0:
                running.close()
                made = server(tmp_path_factory.mktemp("server"), NO_SCHEDULES)
                given.append(running.enter_context(serving(made)))
            else:
                given.append(given[-1])
            return given[-1]

        yield give


@pytest.fixture(scope="module")
def handrail_server(servers: Callable[[], EmbeddedServer]) -> EmbeddedServer:
    """The real server, for the tests of several files; no schedule fires on it."""
    return servers()


@pytest.fixture(scope="module")
def scheduling_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[EmbeddedServer]:
    """The real server for the tests of one file, on which schedules fire."""
    with serving(server(tmp_path_factory.mktemp("server"))) as started:
        yield started


# PostgreSQL, as nobody, on a socket in a directory of its own.


def _postgres_binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def _as_nobody() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a moment, not two seconds, for requests that may still be on their way."""
    monkeypatch.setattr(effects, "GRACE", timedelta(milliseconds=100))


@pytest.fixture(scope="session")
def postgres() -> Generator[str]:
    binaries = _postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here: apt-get install postgresql")
    pytest.importorskip("psycopg")
    home = Path(tempfile.mkdtemp(prefix="pg"))
    who = _as_nobody()
    if who:
        os.chown(home, who["user"], who["group"])
    data = home / "data"
    quiet: dict[str, Any] = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "cwd": home,
    }
    make = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(make, check=True, **quiet, **who)
    options = ["-k", home, "-c", "listen_addresses=", "-c", "fsync=off"]
    with subprocess.Popen([binaries / "postgres", "-D", data, *options], **quiet, **who) as server:
        url = f"postgresql+psycopg://postgres@/postgres?host={home}"
        try:
            _until_it_answers(url)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=20)
            shutil.rmtree(home, ignore_errors=True)


def _until_it_answers(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    for _ in range(200):
        with contextlib.suppress(OperationalError), engine.connect():
            return
        time.sleep(0.05)
    raise TimeoutError("PostgreSQL does not answer")


@pytest.fixture
def postgres_url(postgres: str) -> Generator[str]:
    """The URL of an empty database on PostgreSQL."""
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text("create database handrail"))
    yield postgres.replace("/postgres?", "/handrail?")
    with engine.connect() as connection:
        connection.execute(sa.text("drop database handrail with (force)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return request.getfixturevalue("postgres_url")
