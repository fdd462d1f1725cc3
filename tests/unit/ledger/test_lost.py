"""A ledger that lost what was committed to it, and what keeps PostgreSQL from losing it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from handrail import ConfigurationError, Ledger
from handrail.actions import Receipt
from handrail.ledger import EffectState, OverLimit
from handrail.ledger.database import engine_of
from handrail.wire import Limit
from tests.unit.ledger.intents import intent

DAILY = Limit(field="amount", cap=Decimal(15), window=timedelta(days=1), text="15 per day")


def receipt(key: str = "a:1/pay/1") -> Receipt:
    return Receipt(key=key, step="pay", digest="d" * 64, at=datetime.now(UTC), result="P-1")


def lose(url: str, key: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for lost in (
            "delete from handrail_effects where key = :key",
            "delete from handrail_counted where effect = :key",
        ):
            connection.execute(sa.text(lost), {"key": key})


async def test_an_effect_whose_intent_was_lost_is_put_down_from_what_its_writer_holds(
    ledger: Ledger, url: str
) -> None:
    await ledger.begin(intent("a:0/pay/1", action={"amount": "1"}), [DAILY])
    lost = intent(action={"amount": "10"}, evidence={"vip": True}, alone=True)
    await ledger.begin(lost, [DAILY])
    lose(url, lost.key)
    assert not await ledger.finish(receipt(), None, lost)
    row = await ledger.effect(lost.key)
    assert row is not None
    assert (row.state, row.receipt and row.receipt.result) == (EffectState.DONE, "P-1")
    assert (row.case, row.alone) == ("a:1", True)
    with pytest.raises(OverLimit, match="11"):
        await ledger.begin(intent("a:2/pay/1", action={"amount": "5"}), [DAILY])


async def test_a_receipt_that_finds_its_intent_or_another_receipt_lost_nothing(
    ledger: Ledger,
) -> None:
    await ledger.begin(intent())
    assert await ledger.finish(receipt(), None, intent())
    assert await ledger.finish(receipt(), None, intent())


async def test_nothing_is_put_down_of_what_nobody_holds(ledger: Ledger) -> None:
    assert not await ledger.finish(receipt())
    assert await ledger.effect("a:1/pay/1") is None


async def test_postgresql_commits_durably_although_its_database_is_set_not_to(
    postgres_url: str,
) -> None:
    admin = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.execute(sa.text("alter database handrail set synchronous_commit = off"))
        assert connection.execute(sa.text("show synchronous_commit")).scalar() == "on"
    with admin.connect() as connection:
        assert connection.execute(sa.text("show synchronous_commit")).scalar() == "off"
    ours = engine_of(postgres_url)
    with ours.connect() as connection:
        assert connection.execute(sa.text("show synchronous_commit")).scalar() == "on"
        connection.rollback()
        assert connection.execute(sa.text("show synchronous_commit")).scalar() == "on"
    ours.dispose()


async def test_a_database_that_does_not_keep_what_it_commits_is_refused(
    postgres_url: str, tmp_path: Path
) -> None:
    async with Ledger(postgres_url) as ledger:
        with pytest.raises(ConfigurationError, match=r"fsync = off.*set them on"):
            await ledger.require_durable()
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        await ledger.require_durable()
