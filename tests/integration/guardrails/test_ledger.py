"""A ledger that is locked, read-only or full: nothing is written, and it goes on after."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from handrail import Ledger, LedgerUnavailable, State
from handrail.guardrails import effects
from handrail.ledger import database
from handrail.testing import Human, Outside, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration


@contextlib.contextmanager
def locked(ledger: Ledger) -> Generator[None]:
    """Another process holds the file."""
    with contextlib.closing(sqlite3.connect(_path(ledger), isolation_level=None)) as other:
        other.execute("begin exclusive")
        yield
        other.execute("rollback")


@contextlib.contextmanager
def read_only(ledger: Ledger) -> Generator[None]:
    """The file cannot be written."""
    with _pragma(ledger, "query_only=on", "query_only=off"):
        yield


@contextlib.contextmanager
def full(ledger: Ledger) -> Generator[None]:
    """The file cannot grow."""
    with _pragma(ledger, "max_page_count=1", "max_page_count=1073741823"):
        yield


@contextlib.contextmanager
def _pragma(ledger: Ledger, fault: str, cure: str) -> Generator[None]:
    """Say one pragma before each statement, and the other one afterwards."""
    said = fault
    number = itertools.count()

    def say(_connection: Connection, cursor: sqlite3.Cursor, *_: object) -> None:
        # A pragma takes effect when it is prepared: the same text would be prepared once.
        cursor.execute(f"pragma {said} -- {next(number)}")

    def heal(own: sqlite3.Connection, _record: object) -> None:
        # A transaction begins before any of these statements.
        own.execute(f"pragma {cure} -- {next(number)}")

    event.listen(_engine(ledger), "before_cursor_execute", say)
    event.listen(_engine(ledger), "checkin", heal)
    yield
    said = cure


def _path(ledger: Ledger) -> str:
    return str(_engine(ledger).url.database)


def _engine(ledger: Ledger) -> Engine:
    return ledger._engine  # pyright: ignore[reportPrivateUsage]  # to break what is below it


Fault = Callable[[Ledger], contextlib.AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a locked file up after a fifth of a second instead of five."""
    monkeypatch.setattr(database, "BUSY", timedelta(milliseconds=200))


@pytest.mark.parametrize(
    "broken",
    [
        (locked, "database is locked; fix: another process holds it"),
        (read_only, "attempt to write a readonly database; fix: make it writable"),
        (full, "database or disk is full; fix: free some space"),
    ],
)
async def test_while_the_ledger_cannot_be_used_nothing_is_written(
    broken: tuple[Fault, str], run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fault, says = broken
    async with run_fleet(orders(tmp_path)) as stage:
        with fault(stage.ledger):
            order = Order(number="1", padding=20_000)
            case = await stage.fleet.start(stage.client, "orders", order)
            handle = stage.case(case.case)

            async def failing() -> str:
                pending = (await handle.handle.describe()).raw_description.pending_activities
                return pending[0].last_failure.message if pending else ""

            why = await eventually(failing)
            assert says in why
            assert "nothing was written" in why
            assert outside.effects("pay") == []
        assert (await handle.outcome()).status is State.DONE
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_a_receipt_waits_for_a_ledger_that_is_away_for_a_moment(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        with contextlib.ExitStack() as lock:
            with outside.kept_waiting("post"):
                case = await stage.start("orders", Order(number="1", parts=("post",)))
                await outside.arrived("post")
                lock.enter_context(locked(stage.ledger))
            await eventually(lambda: _sent(outside, "post"))
            await asyncio.sleep(0.7)
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert [receipt.how for receipt in outcome.receipts] == ["written"]


async def test_a_receipt_that_could_not_be_kept_is_kept_by_the_next_attempt(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "PATIENCE", timedelta(0))
    async with run_fleet(orders(tmp_path)) as stage:
        with contextlib.ExitStack() as lock:
            with outside.kept_waiting("pay"):
                case = await stage.start("orders", Order(number="1", parts=("pay",)))
                await outside.arrived("pay")
                lock.enter_context(locked(stage.ledger))
            await eventually(lambda: _sent(outside, "pay"))
            await eventually(lambda: _failing(case))
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert len(outside.calls("pay")) > 1
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def _sent(outside: Outside, surface: str) -> bool:
    return bool(outside.effects(surface))


async def _failing(case: Any) -> bool:
    pending = (await case.handle.describe()).raw_description.pending_activities
    return "locked" in pending[0].last_failure.message


async def test_a_ledger_that_cannot_be_opened_says_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "ledger.db"
    with pytest.raises(LedgerUnavailable, match="create its directory"):
        await _open(f"sqlite:///{missing}")
    (tmp_path / "text.db").write_text(
        "this is no database, and long enough to be seen as such" * 99
    )
    with pytest.raises(LedgerUnavailable, match="not a database"):
        await _open(f"sqlite:///{tmp_path}/text.db")
    made = tmp_path / "made.db"
    await _open(f"sqlite:///{made}")
    with pytest.raises(LedgerUnavailable, match="make it writable"):
        await _open(f"sqlite:///file:{made}?mode=ro&uri=true")


async def _open(url: str) -> None:
    async with Ledger(url):
        pass


async def test_on_postgresql_each_kind_of_write_is_made_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, postgres_url: str
) -> None:
    for surface in ("pay", "ship", "post"):
        outside.break_down(surface, "after")
    async with run_fleet(orders(tmp_path), ledger=postgres_url) as stage:
        case = await stage.start("orders", Order(number="1", parts=("pay", "ship", "post")))
        seen = await case.gate()
        assert (seen.kind, seen.step) == ("in_doubt", "post")
        assert (await Human("ana@example.com").answer(case, "happened", result="x")).accepted
        outcome = await case.outcome()
        assert (await stage.start("orders", Order(number="1"))).duplicate
    assert outcome.status is State.DONE
    assert [receipt.how for receipt in outcome.receipts] == ["written", "found", "confirmed"]
    assert outside.doubled() == []
