"""Transactions that wait for SQLite's one writer at once: one commit, and one that fails alone."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from handrail import Ledger, LedgerUnavailable
from handrail.ledger import EffectRow, OverLimit
from handrail.wire import Limit
from tests.unit.ledger.intents import intent

LIMIT = Limit("amount", Decimal(100), timedelta(days=1), "100 a day")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(file: Path) -> AsyncGenerator[Ledger]:
    async with Ledger(f"sqlite:///{file}") as opened:
        yield opened


@pytest.fixture
def commits() -> Iterator[list[Any]]:
    found = list[Any]()
    add = found.append
    event.listen(sa.Engine, "commit", add)
    yield found
    event.remove(sa.Engine, "commit", add)


def key(number: int) -> str:
    return f"a:{number}/pay/1"


async def begun(file: Path, ledger: Ledger, amounts: list[str]) -> list[Any]:
    """What became of writes that all waited while another process had the file."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin exclusive")
    first = asyncio.ensure_future(ledger.abandon("none", "nobody", ""))
    await asyncio.sleep(0.05)  # the writer waits for the file with it
    asked = [
        asyncio.ensure_future(ledger.begin(intent(key(n), action={"amount": amount}), [LIMIT]))
        for n, amount in enumerate(amounts)
    ]
    await asyncio.sleep(0.05)
    other.execute("commit")
    other.close()
    await first
    return await asyncio.gather(*asked, return_exceptions=True)


async def kept(ledger: Ledger, among: int) -> list[int]:
    rows: list[EffectRow | None] = [await ledger.effect(key(n)) for n in range(among)]
    return [n for n, row in enumerate(rows) if row is not None]


async def test_those_that_wait_share_a_commit(
    file: Path, ledger: Ledger, commits: list[Any]
) -> None:
    before = len(commits)
    found = await begun(file, ledger, ["10"] * 10)
    assert [each.before for each in found] == [None] * 10
    assert len(commits) - before == 2  # of what they waited behind, and of them
    assert await kept(ledger, 10) == list(range(10))


async def test_one_that_is_refused_leaves_the_others(file: Path, ledger: Ledger) -> None:
    found = await begun(file, ledger, ["1"] * 4 + ["1000"] + ["1"] * 5)
    assert [n for n, each in enumerate(found) if isinstance(each, OverLimit)] == [4]
    assert await kept(ledger, 10) == [0, 1, 2, 3, 5, 6, 7, 8, 9]


async def test_a_limit_counts_those_of_one_commit(file: Path, ledger: Ledger) -> None:
    found = await begun(file, ledger, ["10"] * 12)
    assert [n for n, each in enumerate(found) if isinstance(each, OverLimit)] == [10, 11]
    assert await kept(ledger, 12) == list(range(10))


async def test_nobody_is_told_of_a_commit_that_fails(ledger: Ledger) -> None:
    def fail(_: Any) -> None:
        raise OSError("the disk is gone")

    event.listen(sa.Engine, "commit", fail)
    try:
        asked = (ledger.begin(intent(key(n))) for n in range(3))
        found = await asyncio.gather(*asked, return_exceptions=True)
    finally:
        event.remove(sa.Engine, "commit", fail)
    assert [type(each) for each in found] == [LedgerUnavailable] * 3
    assert await kept(ledger, 3) == []
    assert (await ledger.begin(intent(key(1)))).before is None
