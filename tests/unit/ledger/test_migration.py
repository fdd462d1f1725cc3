"""A ledger made by an older Handrail, and what opening and beginning cost."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from handrail import ConfigurationError, Ledger, Receipt
from handrail.actions import Ruling
from handrail.ledger import EffectState, MandateRow, RulingRow
from tests.unit.ledger.intents import intent

NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
RULING = RulingRow.of(
    Ruling(gate="g1", digest="d" * 64, by="ana@example.com", proof="x.y.z"),
    verb="approve",
    case="a:3",
    step="pay",
    digest="d" * 64,
    by="ana@example.com",
    jti="j1",
    kid="k1",
    at=NOW,
)
MANDATE = MandateRow(
    id="m1",
    kind="standing",
    agent="a",
    by="ana@example.com",
    to=None,
    begins=NOW,
    ends=NOW + timedelta(hours=1),
    text="signed",
)


_FIRST = """
create table handrail_schema (version integer not null, primary key (version));
create table handrail_effects (
    key varchar(400) not null, case_id varchar(300) not null, agent varchar(100) not null,
    step varchar(100) not null, digest varchar(64) not null, action text not null,
    policy varchar(200) not null, state varchar(20) not null, owner varchar(200) not null,
    deadline float not null, begun float not null, ended float, receipt text, error text,
    primary key (key)
);
create index ix_handrail_effects_case_id on handrail_effects (case_id);
create index handrail_effects_window on handrail_effects (agent, step, begun);
insert into handrail_schema values (1);
insert into handrail_effects values (
    'a:1/pay/1', 'a:1', 'a', 'pay', 'dddd', '{"amount": "10"}', 'a v1', 'done', 'one',
    1767270615.123456, 1767270610.5, 1767270611.5,
    '{"key":"a:1/pay/1","step":"pay","digest":"dddd","at":"2026-01-01T12:30:11Z","result":7}', null
);
insert into handrail_effects values (
    'a:2/pay/1', 'a:2', 'a', 'pay', 'eeee', '{"amount": "10"}', 'a v1', 'intended', 'one',
    1767270615.123456, 1767270610.5, null, null, null
);
"""
"""As Handrail 0.1.0 made it."""


def _make_first(url: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        for statement in _FIRST.split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)


async def test_a_ledger_of_the_first_schema_keeps_its_rows_and_takes_rulings(url: str) -> None:
    _make_first(url)
    async with Ledger(url) as ledger:
        done = await ledger.effect("a:1/pay/1")
        assert done is not None
        assert done.receipt is not None
        assert (done.state, done.deadline, done.receipt.result) == (EffectState.DONE, NOW, 7)
        before = (await ledger.begin(intent("a:2/pay/1"))).before
        assert before is not None
        assert (before.state, before.digest) == (EffectState.INTENDED, "eeee")
        await ledger.record_rulings([RULING])
        await ledger.add_mandate(MANDATE)
        more = {"evidence": {"vip": True}, "confidence": 0.5, "alone": True}
        await ledger.begin(intent("a:3/pay/1", uses=("j1",), mandates=(("m1", 1),), **more))
    assert _version(url) == [3]
    async with Ledger(url) as again:
        assert [each.effect for each in await again.rulings()] == ["a:3/pay/1"]


async def test_many_that_open_one_of_the_first_schema_at_once_all_can(url: str) -> None:
    _make_first(url)

    async def open_it() -> int:
        async with Ledger(url) as ledger:
            return len(await ledger.effects("a:1"))

    assert await asyncio.gather(*(open_it() for _ in range(6))) == [1] * 6
    assert _version(url) == [3]


async def test_a_file_that_another_process_writes_as_it_is_first_opened_is_waited_for(
    tmp_path: Path,
) -> None:
    """SQLite itself does not wait before it writes ahead, as it does for all else."""
    path = tmp_path / "ledger.db"
    _make_first(f"sqlite:///{path}")

    async def open_it() -> int:
        async with Ledger(f"sqlite:///{path}") as ledger:
            return len(await ledger.effects("a:1"))

    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        opening = asyncio.ensure_future(open_it())
        await asyncio.sleep(0.3)
        assert not opening.done()
        other.execute("commit")
        assert await opening == 1


async def test_one_of_a_later_schema_is_left_as_it_is(url: str) -> None:
    _make_first(url)
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql("update handrail_schema set version = 4")
    with pytest.raises(ConfigurationError, match="schema 4, this Handrail needs 3"):
        async with Ledger(url):
            pass
    assert _version(url) == [4]
    names = sa.inspect(sa.create_engine(url, poolclass=sa.NullPool)).get_table_names()
    assert sorted(names) == ["handrail_effects", "handrail_schema"]


def _version(url: str) -> list[int]:
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        return list(connection.execute(sa.text("select version from handrail_schema")).scalars())


@pytest.fixture
def statements() -> Generator[list[str]]:
    """The first word of each statement that is executed meanwhile, and where transactions begin."""
    said: list[str] = []

    def note(*given: Any) -> None:
        said.append(given[2].split()[0].lower())

    def begin(_connection: sa.Connection) -> None:
        said.append("begin")

    event.listen(sa.Engine, "before_cursor_execute", note)
    event.listen(sa.Engine, "begin", begin)
    yield said
    event.remove(sa.Engine, "before_cursor_execute", note)
    event.remove(sa.Engine, "begin", begin)


async def test_a_write_without_rulings_makes_no_statement_more(
    tmp_path: Path, statements: list[str]
) -> None:
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        statements.clear()
        await ledger.begin(intent())
        await ledger.finish(Receipt(key="a:1/pay/1", step="pay", digest="d" * 64, at=NOW))
    # The select: is it stopped, and is anything counted, as some policy once limited it?
    assert statements == ["begin", "select", "insert", "begin", "update"]
