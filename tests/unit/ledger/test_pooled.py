"""A ledger behind PgBouncer in transaction mode: each transaction is in another session."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from handrail import Ledger
from handrail.ledger import Intent
from handrail.ledger.database import engine_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def pooled_url(postgres_url: str) -> Generator[str]:
    """The URL of an empty database by way of PgBouncer, with two sessions for all."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("no PgBouncer is installed here: apt-get install pgbouncer")
    host = parse_qs(urlsplit(postgres_url).query)["host"][0]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = Path(tempfile.mkdtemp(prefix="pool"))
    settings = home / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\nhandrail = host={host} dbname=handrail user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
    )
    who = ["-u", "nobody"] if os.getuid() == 0 else []
    home.chmod(0o755)
    with subprocess.Popen([program, "-q", *who, settings], stderr=subprocess.DEVNULL) as pool:
        try:
            _until_it_listens(port)
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/handrail"
        finally:
            pool.terminate()
            pool.wait(timeout=20)
            shutil.rmtree(home)


def _until_it_listens(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("PgBouncer does not answer")


async def test_two_workers_at_once_write_what_they_say(pooled_url: str) -> None:
    async with Ledger(pooled_url) as one, Ledger(pooled_url) as other:

        async def write(ledger: Ledger, number: int) -> None:
            key = f"a:{number}/pay/1"
            intent = Intent(key, f"a:{number}", "a", "pay", "d" * 64, {}, "a v1", "me", NOW)
            await ledger.begin(intent)
            assert (await ledger.effects(f"a:{number}"))[0].key == key

        await asyncio.gather(*(write((one, other)[n % 2], n) for n in range(60)))
        assert len([n for n in range(60) if await one.effects(f"a:{n}")]) == 60


def test_each_transaction_is_durable(pooled_url: str, postgres_url: str) -> None:
    admin = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.execute(sa.text("alter database handrail set synchronous_commit = off"))
    ours = engine_of(pooled_url)
    # The second begins while the first goes on: in a session that nobody has set up.
    with ours.connect() as first, ours.connect() as second:
        for each in (first, second):
            assert each.execute(sa.text("show synchronous_commit")).scalar() == "on"
    ours.dispose()
