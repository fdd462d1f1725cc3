"""The one connection to SQLite that a ledger keeps: what it survives, and that it is closed."""

import sqlite3
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from handrail import Ledger, LedgerUnavailable
from handrail.actions import Receipt
from handrail.ledger import EffectState, Intent, OverLimit, database
from handrail.wire import Limit


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(file: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Ledger]:
    monkeypatch.setattr(database, "BUSY", timedelta(milliseconds=50))
    async with Ledger(f"sqlite:///{file}") as opened:
        yield opened


def intent(key: str, amount: str = "1") -> Intent:
    return Intent(
        key=key,
        case="pay:1",
        agent="pay",
        step="pay",
        digest="d" * 64,
        action={"amount": amount},
        policy="v1",
        owner="me",
        deadline=datetime.now(UTC) + timedelta(seconds=30),
    )


async def test_a_ledger_that_was_locked_works_again_when_it_is_free(
    ledger: Ledger, file: Path
) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin exclusive")
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match="locked; fix: another process holds it"):
            await ledger.begin(intent("a"))
    other.execute("commit")
    other.close()
    assert (await ledger.begin(intent("a"))).before is None
    receipt = Receipt(key="a", step="pay", digest="d" * 64, at=datetime.now(UTC))
    await ledger.finish(receipt)
    found = await ledger.effect("a")
    assert found is not None
    assert found.state is EffectState.DONE
    assert found.receipt == receipt


async def test_an_intent_over_its_limit_leaves_nothing_behind_on_the_connection(
    ledger: Ledger,
) -> None:
    limit = Limit("amount", Decimal(5), timedelta(days=1), "amount: at most 5 per day")
    for _ in range(2):
        with pytest.raises(OverLimit):
            await ledger.begin(intent("b", "6"), [limit])
        assert await ledger.effect("b") is None
    assert (await ledger.begin(intent("c", "5"), [limit])).before is None


async def test_others_can_write_between_its_transactions(ledger: Ledger, file: Path) -> None:
    await ledger.begin(intent("d"))
    other = sqlite3.connect(file, isolation_level=None, timeout=0)
    other.execute("update handrail_effects set state = 'done'")
    other.close()
    found = await ledger.effect("d")
    assert found is not None
    assert found.state is EffectState.DONE


async def test_a_closed_ledger_holds_the_file_no_more(file: Path) -> None:
    async with Ledger(f"sqlite:///{file}") as opened:
        await opened.begin(intent("e"))
        assert file.with_name("ledger.db-wal").exists()
    # SQLite folds the log into the file when the last connection closes in order.
    assert not file.with_name("ledger.db-wal").exists()


async def test_a_full_disk_is_named_where_sqlite_says_disk_i_o_error(ledger: Ledger) -> None:
    engine = ledger._engine  # pyright: ignore[reportPrivateUsage]  # to break what is below it
    said = database._explain(sqlite3.OperationalError("disk I/O error"), engine)  # pyright: ignore[reportPrivateUsage]
    assert "disk I/O error; fix: look whether its disk is full (`df`)" in said
