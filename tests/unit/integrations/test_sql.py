"""Steps made of SQL statements: exactly once, on SQLite and PostgreSQL, also under kill -9."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Generator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from pydantic import BaseModel

from handrail import Action, Final, Receipt, StepError
from handrail.actions import Undoes
from handrail.integrations.connectors import SQL
from handrail.integrations.connectors.sql import KEYS, DatabaseAway
from handrail.testing import call_write, secrets_given


class Account(BaseModel):
    id: str
    balance: Decimal


class Credit(Action):
    """Credit an account."""

    account: str
    amount: Decimal


crm = SQL("CRM_DATABASE")
accounts = crm.read("accounts", "select id, balance from accounts where id >= :id", row=Account)
credit = crm.write(
    "credit",
    "update accounts set balance = balance + :amount where id = :account",
    action=Credit,
    undo="update accounts set balance = balance - :amount where id = :account",
)
TEN = Credit(account="a", amount=Decimal(10))


@pytest.fixture(autouse=True)
def database(url: str, monkeypatch: pytest.MonkeyPatch) -> Generator[sa.Engine]:
    monkeypatch.setenv("HANDRAIL_SECRET_CRM_DATABASE", url)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as made:
        made.execute(sa.text("create table accounts (id varchar(9) primary key, balance numeric)"))
        made.execute(sa.text("insert into accounts values ('a', 100), ('b', 0)"))
    with secrets_given(["CRM_DATABASE"]):
        yield engine


async def balance() -> Decimal:
    found = accounts.adapter.validate_python(await accounts("a"))
    return found[0].balance


async def test_a_read_selects_rows_by_parameters() -> None:
    found = accounts.adapter.validate_python(await accounts("b"))
    assert found == [Account(id="b", balance=Decimal(0))]
    assert accounts.adapter.validate_python(await accounts("' or 1=1 --"))[0].id == "a"


async def test_a_read_that_writes_changes_nothing() -> None:
    bad = crm.read("bad", "delete from accounts where id = :id returning id, balance", row=Account)
    with pytest.raises(Exception, match=r"read-?\s?only|readonly"):
        await bad("a")
    assert await balance() == 100


async def test_a_write_happens_once_for_each_key() -> None:
    assert [await call_write(credit, TEN, key="c:1/credit/1") for _ in range(3)] == [1, 1, 1]
    await call_write(credit, TEN, key="c:1/credit/2")
    assert await balance() == 120


async def test_an_undo_takes_back_once_what_was_done_and_forestalls_what_was_not() -> None:
    assert credit.undo is not None
    await call_write(credit, TEN, key="c:1/credit/1")
    receipt = Receipt(key="c:1/credit/1", step="credit", digest="", at=datetime.now(UTC), result=1)
    for number in (1, 1, 2):
        key = f"c:1/credit/{number}"
        undoes = Undoes(key=key, receipt=receipt if number == 1 else None)
        await call_write(credit.undo, TEN, key=f"{key}/undo", undoes=undoes)
    assert await balance() == 100
    with pytest.raises(Final, match="taken back before"):
        await call_write(credit, TEN, key="c:1/credit/2")
    assert await balance() == 100


async def test_an_undo_that_meets_its_write_is_tried_again(database: sa.Engine) -> None:
    if database.dialect.name == "sqlite":
        return  # it waits for the lock
    assert credit.undo is not None
    await call_write(credit, TEN, key="c:0/credit/1")
    undoes = Undoes(key="c:1/credit/1", receipt=None)
    with database.connect() as late:
        change = sa.text("update accounts set balance = balance + 10 where id = 'a'")
        late.execute(KEYS.insert().values(key=undoes.key, at=datetime.now(UTC), result="1"))
        late.execute(change)
        undoing = asyncio.ensure_future(
            call_write(credit.undo, TEN, key="c:1/credit/1/undo", undoes=undoes)
        )
        await asyncio.sleep(0.3)
        late.commit()
    with pytest.raises(DatabaseAway, match="another attempt"):
        await undoing
    await call_write(credit.undo, TEN, key="c:1/credit/1/undo", undoes=undoes)
    assert await balance() == 110


async def test_another_number_of_rows_than_was_declared_changes_nothing() -> None:
    with pytest.raises(Final, match="would change 0 rows, and not 1"):
        await call_write(credit, Credit(account="z", amount=Decimal(1)), key="c:1/credit/1")
    await call_write(credit, TEN, key="c:1/credit/1")
    assert await balance() == 110


async def test_what_the_database_refuses_is_final_and_did_not_happen() -> None:
    for statement in (
        "insert into accounts values (:account, :amount)",
        "updat accounts set id = 1",
    ):
        refused = crm.write("refused", statement, action=Credit)
        with pytest.raises(Final, match="the database refused it"):
            await call_write(refused, TEN)
    nowhere = crm.read("nowhere", "select id, balance from acounts", row=Account)
    with pytest.raises(Final, match="acounts"):
        await nowhere()
    assert await balance() == 100


class Large(Action):
    """Put a number."""

    account: str
    amount: int


async def test_a_number_that_the_database_cannot_take_is_final(database: sa.Engine) -> None:
    put = crm.write("put", "insert into accounts values (:account, :amount)", action=Large)
    if database.dialect.name == "sqlite":
        with pytest.raises(Final, match="takes no such number"):
            await call_write(put, Large(account="c", amount=2**70))
    assert await balance() == 100


def test_a_parameter_that_is_no_field_is_said_where_it_is_declared() -> None:
    with pytest.raises(StepError, match="bank is no field of Credit; it has account, amount"):
        crm.write("bad", "update accounts set id = :bank", action=Credit)


def test_it_is_declared_as_a_system_that_knows_keys_for_ever() -> None:
    assert (credit.idempotent, credit.keeps, credit.find) == (True, None, None)
    assert accounts.parameters[0].name == "id"


DYING = """
import asyncio, os, signal, sys
from sqlalchemy import event, Engine
from handrail.testing import call_write, secrets_given
from tests.unit.integrations import test_sql as made

before = sys.argv[1] == "before"
if before:
    event.listen(Engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
with secrets_given(["CRM_DATABASE"]):
    asyncio.run(call_write(made.credit, made.TEN, key="c:1/credit/1"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_before_or_after_the_commit_it_is_done_exactly_once(when: str) -> None:
    # The table of keys is there, so that the first commit is that of the write.
    await call_write(credit, Credit(account="b", amount=Decimal(1)), key="c:0/credit/1")
    died = await asyncio.create_subprocess_exec(sys.executable, "-c", DYING, when)
    assert await died.wait() == -signal.SIGKILL
    assert await balance() == (100 if when == "before" else 110)
    await call_write(credit, TEN, key="c:1/credit/1")
    assert await balance() == 110


async def test_an_asynchronous_driver_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDRAIL_SECRET_CRM_DATABASE", "postgresql+asyncpg://localhost/bank")
    with pytest.raises(StepError, match="an asynchronous one; fix: name another"):
        await accounts("a")
