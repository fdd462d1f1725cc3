"""Reading an SQLite ledger: it waits for no writer, and no writer waits for it."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from handrail import Ledger
from handrail.ledger import Comparison, database
from tests.unit.ledger.intents import intent

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(file: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Ledger]:
    monkeypatch.setattr(database, "BUSY", timedelta(milliseconds=50))
    async with Ledger(f"sqlite:///{file}") as opened:
        yield opened


def _compare(*_: object) -> list[Comparison]:
    return []


async def test_pages_are_read_while_another_process_writes(ledger: Ledger, file: Path) -> None:
    await ledger.begin(intent("a"))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    other.execute("delete from handrail_effects")
    row = await ledger.effect("a")
    await ledger.agent_figures("a", NOW, NOW + timedelta(days=1))
    await ledger.situation("a", "a:1", "a")
    await ledger.comparison_figures("a", waits={"": NOW}, points=1)
    await ledger.compare("a", {"": ""}, _compare)
    await ledger.presence("a", NOW)
    await ledger.tally("a")
    other.execute("commit")
    other.close()
    assert row is not None, "what is not committed is not seen"
    assert await ledger.effect("a") is None


async def test_a_long_read_stops_no_writer(ledger: Ledger, file: Path) -> None:
    reads, goes_on = threading.Event(), threading.Event()

    def wait(_: object, __: object, statement: str, *___: Any) -> None:
        if "handrail_alerts" in statement:
            reads.set()
            goes_on.wait(60)

    with listening("after_cursor_execute", wait):
        long = asyncio.ensure_future(ledger.alerts())
        try:
            await asyncio.to_thread(reads.wait, 60)
            assert (await ledger.begin(intent("a"))).before is None
            with sqlite3.connect(file, timeout=0) as other:
                other.execute("delete from handrail_heights")
            assert await ledger.effect("a") is not None
            assert not long.done()
        finally:
            goes_on.set()
            await long


@contextmanager
def listening(name: str, do: Callable[..., None]) -> Generator[None]:
    event.listen(sa.Engine, name, do)
    yield
    event.remove(sa.Engine, name, do)


async def test_what_reads_cannot_write(ledger: Ledger) -> None:
    """A write that went the way of reads would come between others: it fails, and is seen."""
    seen = list[int]()

    def note(connection: sa.Connection, *_: object) -> None:
        own: Any = connection.connection.dbapi_connection
        seen.append(own.execute("pragma query_only").fetchone()[0])

    with listening("before_cursor_execute", note):
        await ledger.effect("a")
        await ledger.alerts()
    assert seen
    assert all(seen)
