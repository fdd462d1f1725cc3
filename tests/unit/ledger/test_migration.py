"""A ledger made by an older Handrail, and what opening and beginning cost."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event

from handrail import ConfigurationError, Ledger, Receipt
from handrail.actions import Kind, Level, Ruling
from handrail.ledger import (
    DIFFERS,
    Comparison,
    EffectState,
    MandateRow,
    RulingRow,
    migrations,
)
from handrail.ledger.tables import meta, schema
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


LATEST = 9
SCHEMAS = Path(__file__).with_name("schemas")
"""Ledgers as older Handrails made them, with a row in every table."""

KINDS = {
    "serial": ("INTEGER", "SERIAL"),
    "bigserial": ("INTEGER", "BIGSERIAL"),
    "words": ("TEXT", "VARCHAR"),
}
"""Types that SQLite and PostgreSQL were given by other names."""


def _make(url: str, version: int) -> None:
    text = (SCHEMAS / f"{version}.sql").read_text(encoding="utf-8")
    for name, kinds in KINDS.items():
        text = text.replace(f"{{{name}}}", kinds[not url.startswith("sqlite")])
    with _engine(url).begin() as connection:
        for statement in text.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def _engine(url: str) -> sa.Engine:
    return sa.create_engine(url, poolclass=sa.NullPool)


def _rows(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every row, by its table, as the database has it."""
    with _engine(url).connect() as connection:
        return {
            each: [
                dict(row)
                for row in connection.execute(
                    sa.select(sa.text("*")).select_from(sa.table(each))
                ).mappings()
            ]
            for each in sa.inspect(connection).get_table_names()
        }


def _shape(url: str) -> dict[str, Any]:
    """Every table with its columns, keys and indexes, as the database has them."""
    with _engine(url).connect() as connection:
        return _tables(sa.inspect(connection))


def _where(index: Any) -> list[str]:
    return [str(value) for name, value in index["dialect_options"].items() if "where" in name]


def _tables(look: sa.Inspector) -> dict[str, Any]:
    return {
        table: (
            sorted(
                (str(c["name"]), str(c["type"]), c["nullable"], str(c["default"]))
                for c in look.get_columns(table)
            ),
            look.get_pk_constraint(table)["constrained_columns"],
            sorted(
                (str(i["name"]), i["column_names"], i["unique"], _where(i))
                for i in look.get_indexes(table)
            ),
        )
        for table in look.get_table_names()
    }


@pytest.fixture
def new(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Generator[str]:
    """The URL of a second empty database, of the same kind."""
    if url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path}/new.db"
        return
    admin = sa.create_engine(
        request.getfixturevalue("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with admin.connect() as connection:
        connection.execute(sa.text("create database new"))
    yield url.replace("/handrail?", "/new?")
    with admin.connect() as connection:
        connection.execute(sa.text("drop database new with (force)"))


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6, 7, 8])
async def test_an_older_ledger_is_brought_up_to_date_with_its_data(
    url: str, new: str, version: int
) -> None:
    _make(url, version)
    before = _rows(url)
    async with Ledger(url) as ledger, Ledger(new):
        assert len(await ledger.effects("a:3" if version > 1 else "a:1")) == 1
    assert _shape(url) == _shape(new)
    assert before.pop("handrail_schema") == [{"version": version}]
    after = _rows(url)
    assert after["handrail_schema"] == _rows(new)["handrail_schema"] == [{"version": LATEST}]
    of_3 = dict.fromkeys(("evidence", "confidence", "alone", "share"))
    for table, rows in before.items():
        of_effects = ({"attempt": 1} if version < 5 else {}) | (of_3 if version < 3 else {})
        of_table = {"handrail_effects": of_effects, "handrail_verdicts": {"units": None}}
        added = of_table.get(table, {})
        assert after[table] == [row | added for row in rows]
    ((ours,), (theirs,)) = after["handrail_identity"], _rows(new)["handrail_identity"]
    assert len(ours["id"]) == 32
    assert ours != theirs
    heights = sum(each["height"] for each in after["handrail_heights"])
    assert heights == len(before["handrail_effects"])


async def test_a_pilot_of_an_older_ledger_is_compared_when_somebody_looks(url: str) -> None:
    _make(url, 7)
    async with Ledger(url) as ledger:
        await ledger.compare(
            "a",
            {"": "r"},
            lambda step, proposed, done: [
                Comparison("a", proposed[0].case, step, 0, "r", done[0].id, NOW, "", DIFFERS)
            ],
        )
        figures = await ledger.comparison_figures("a", waits={"": NOW}, points=1)
    assert [(each.stand, each.number) for each in figures.counts] == [(DIFFERS, 1)]
    assert [each.key for each in figures.path] == ["o1"]


async def test_what_an_older_ledger_kept_is_read(url: str) -> None:
    _make(url, 3)
    async with Ledger(url) as ledger:
        (effect,) = await ledger.effects("a:3")
        (ruling,) = await ledger.rulings()
        (mandate,) = await ledger.mandates("a")
        (verdict,) = await ledger.verdicts("a")
        stop, level = await ledger.orders("a")
        (policy,) = await ledger.policies("a")
        (review,) = await ledger.reviews("a")
        (answer,) = await ledger.review_answers(review.key)
        (incident,) = await ledger.incidents("a")
        spent = await ledger.spent("a", NOW - timedelta(days=1))
        written = await ledger.written(effect.key)
    assert effect.receipt is not None
    assert (effect.state, effect.deadline, effect.receipt.result) == (EffectState.DONE, NOW, 7)
    assert (effect.alone, effect.share) == (True, 0.25)
    assert (ruling.by, ruling.at, ruling.planted) == ("ana@example.com", NOW, False)
    assert (ruling.effect, ruling.ruling) == ("a:3/pay/1", Ruling.model_validate_json(RULING.text))
    assert (mandate.begins, mandate.used, mandate.revoked) == (NOW, 1, None)
    assert [each.check for each in verdict.findings] == ["limits"]
    assert (verdict.kind, verdict.pilot, verdict.action) == (Kind.PASS, False, {"amount": "10"})
    assert (stop.ended, stop.proofs, stop.ended_proofs) == (NOW, ("p.q.r",), ("v.w.x",))
    assert (level.level, level.rollout, level.ended_proofs) == (Level.FULL, 2500, ())
    assert (policy.version, policy.text) == (1, "agent: a\n")
    assert (review.people, review.answered) == (("ana@example.com",), NOW)
    assert (answer.at, answer.note) == (NOW, "fine")
    assert (incident.closed, incident.closed_why) == (NOW, "was late")
    assert (spent.tokens, spent.cost) == (120, {"EUR": Decimal("0.0125")})
    assert written is not None
    assert written.action == {"amount": "10", "to": "Zoë"}
    assert (written.evidence, written.undone) == ({"vip": True}, None)


async def test_every_revision_from_the_first_makes_what_a_new_ledger_has(
    url: str, new: str
) -> None:
    with _engine(url).begin() as connection:
        migrations.upgrade(connection)
    async with Ledger(new):
        pass
    assert _shape(url) == _shape(new)
    assert _version(url) == [LATEST]


def test_no_change_of_a_table_lacks_its_migration(url: str) -> None:
    with _engine(url).begin() as connection:
        migrations.upgrade(connection)
        options = {"version_table": schema.name, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, meta) == []


def test_a_ledger_on_sqlite_imports_neither_alembic_nor_another_database(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from handrail import Ledger
async def open_it():
    async with Ledger("sqlite:///{tmp_path}/ledger.db"):
        pass
asyncio.run(open_it())
asyncio.run(open_it())
print({{"alembic", "sqlalchemy.dialects.postgresql"}} & {{*sys.modules}})
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_an_administrator_can_have_the_sql_of_an_upgrade() -> None:
    alembic = [sys.executable, "-m", "alembic", "-x", "url=postgresql+psycopg:///x"]
    upgrade = subprocess.run(
        [*alembic, "upgrade", "0003:0004", "--sql"], check=True, capture_output=True, text=True
    )
    assert "ALTER TABLE handrail_effects ALTER COLUMN error TYPE TEXT" in upgrade.stdout
    assert "UPDATE handrail_schema SET version='0004'" in upgrade.stdout


async def test_a_ledger_of_the_first_schema_keeps_its_rows_and_takes_rulings(url: str) -> None:
    _make(url, 1)
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
    assert _version(url) == [LATEST]
    async with Ledger(url) as again:
        assert [each.effect for each in await again.rulings()] == ["a:3/pay/1"]


async def test_many_that_open_one_of_the_first_schema_at_once_all_can(url: str) -> None:
    _make(url, 1)

    async def open_it() -> int:
        async with Ledger(url) as ledger:
            return len(await ledger.effects("a:1"))

    assert await asyncio.gather(*(open_it() for _ in range(6))) == [1] * 6
    assert _version(url) == [LATEST]


async def test_a_file_that_another_process_writes_as_it_is_first_opened_is_waited_for(
    tmp_path: Path,
) -> None:
    """SQLite itself does not wait before it writes ahead, as it does for all else."""
    path = tmp_path / "ledger.db"
    _make(f"sqlite:///{path}", 1)

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
    _make(url, 1)
    with _engine(url).begin() as connection:
        connection.exec_driver_sql("update handrail_schema set version = 10")
    with pytest.raises(ConfigurationError, match="schema 10, this Handrail needs 9"):
        async with Ledger(url):
            pass
    assert _version(url) == [10]
    names = sa.inspect(_engine(url)).get_table_names()
    assert sorted(names) == ["handrail_effects", "handrail_schema"]


def _version(url: str) -> list[int]:
    with _engine(url).connect() as connection:
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
    # First its height. The select: is it stopped, and is anything counted, as some policy once
    # limited it?
    assert statements == ["begin", "insert", "select", "insert", "begin", "update"]
