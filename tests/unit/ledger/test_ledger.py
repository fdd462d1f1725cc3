"""The ledger, on SQLite and, where a server is installed, on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from handrail import ConfigurationError, Ledger, LedgerUnavailable, Receipt
from handrail.ledger import EffectState, OverLimit
from handrail.wire import Limit
from tests.unit.ledger.intents import intent

NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
COUNT = Limit(None, Decimal(7), timedelta(hours=1), "count: at most 7 per hour")


def receipt(key: str = "a:1/pay/1", result: Any = "paid") -> Receipt:
    return Receipt(key=key, step="pay", digest="d" * 64, at=NOW, result=result)


async def test_an_intent_is_new_once(ledger: Ledger) -> None:
    assert (await ledger.begin(intent())).before is None
    before = (await ledger.begin(intent(owner="two", digest="e" * 64))).before
    assert before is not None
    assert (before.state, before.owner, before.digest) == (EffectState.INTENDED, "one", "d" * 64)
    assert (before.deadline, before.receipt) == (NOW, None)
    assert abs(before.begun - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_receipt_is_for_ever(ledger: Ledger) -> None:
    await ledger.begin(intent())
    await ledger.finish(receipt(result={"id": "ä🙂", "n": 1.5}), "odd")
    await ledger.finish(receipt(result="another"))
    await ledger.abandon("a:1/pay/1", "one", "it did not happen")
    before = (await ledger.begin(intent(owner="two"))).before
    assert before is not None
    assert before.state is EffectState.DONE
    assert before.receipt == receipt(result={"id": "ä🙂", "n": 1.5})
    assert before.error == "odd"


async def test_what_did_not_happen_may_be_begun_again(ledger: Ledger) -> None:
    await ledger.begin(intent())
    await ledger.abandon("a:1/pay/1", "one", "no money")
    row = await ledger.effect("a:1/pay/1")
    assert row is not None
    assert (row.state, row.error) == (EffectState.NOT_DONE, "no money")
    assert (await ledger.begin(intent(owner="two"))).before is None
    again = await ledger.effect("a:1/pay/1")
    assert again is not None
    assert (again.state, again.owner, again.error) == (EffectState.INTENDED, "two", None)


async def test_only_its_owner_can_give_an_intent_up(ledger: Ledger) -> None:
    await ledger.begin(intent())
    await ledger.abandon("a:1/pay/1", "two", "not mine")
    row = await ledger.effect("a:1/pay/1")
    assert row is not None
    assert row.state is EffectState.INTENDED


async def test_of_many_that_begin_at_once_one_is_first(url: str) -> None:
    async with Ledger(url) as one, Ledger(url) as two:
        begun = await asyncio.gather(
            *((one, two)[n % 2].begin(intent(owner=str(n))) for n in range(20))
        )
    assert [b.before for b in begun].count(None) == 1
    owners = {b.before.owner for b in begun if b.before is not None}
    assert len(owners) == 1


async def test_of_many_that_take_over_one_succeeds(url: str) -> None:
    async with Ledger(url) as one, Ledger(url) as two:
        await one.begin(intent())
        row = await one.effect("a:1/pay/1")
        assert row is not None
        later = NOW + timedelta(hours=1)
        won = await asyncio.gather(
            *((one, two)[n % 2].take_over(row, f"heir {n}", later) for n in range(10))
        )
        after = await two.effect("a:1/pay/1")
    assert won.count(True) == 1
    assert after is not None
    assert (after.owner, after.deadline) == (f"heir {won.index(True)}", later)


async def test_what_is_forbidden_never_begins(ledger: Ledger) -> None:
    assert (await ledger.forbid(intent(owner=""))).state is EffectState.TAKEN_BACK
    before = (await ledger.begin(intent())).before
    assert before is not None
    assert before.state is EffectState.TAKEN_BACK


async def test_what_has_begun_is_taken_back_only_when_nobody_goes_on_with_it(
    ledger: Ledger,
) -> None:
    await ledger.begin(intent())
    row = await ledger.forbid(intent(owner=""))
    assert row.state is EffectState.INTENDED
    assert await ledger.take_over(row, "heir", NOW + timedelta(hours=1))
    assert not await ledger.take_back(row)
    taken_over = await ledger.effect(row.key)
    assert taken_over is not None
    assert await ledger.take_back(taken_over)
    assert not await ledger.take_over(taken_over, "late", NOW)


@pytest.mark.parametrize("number", range(3))
async def test_of_32_at_once_exactly_the_limit_passes(url: str, number: int) -> None:
    async with Ledger(url) as one, Ledger(url) as two:
        begun = await asyncio.gather(
            *((one, two)[n % 2].begin(intent(f"a:{n}/pay/1"), [COUNT]) for n in range(32)),
            return_exceptions=True,
        )
        rows = [row for n in range(32) for row in await one.effects(f"a:{n}")]
    assert sum(isinstance(b, OverLimit) for b in begun) == 25
    assert len(rows) == 7


async def test_a_sum_is_exact(ledger: Ledger) -> None:
    limit = Limit("amount", Decimal("0.3"), timedelta(days=1), "amount: at most 0.3 per day")
    for number, amount in enumerate(["0.1", "0.1", "0.1"]):
        await ledger.begin(intent(f"a:{number}/pay/1", action={"amount": amount}), [limit])
    with pytest.raises(OverLimit) as over:
        await ledger.begin(intent("a:9/pay/1", action={"amount": "0.000001"}), [limit])
    assert over.value.used == Decimal("0.3")
    assert await ledger.effect("a:9/pay/1") is None


async def test_a_limit_counts_its_own_agent_step_and_window_and_what_may_have_happened(
    ledger: Ledger,
) -> None:
    one = Limit(None, Decimal(1), timedelta(seconds=1), "count: at most 1 per second")
    await ledger.begin(intent("b:1/pay/1", agent="b"), [one])
    await ledger.begin(intent("a:1/ship/1", step="ship"), [one])
    await ledger.begin(intent("a:1/pay/1"), [one])
    await ledger.begin(intent("a:1/pay/1"), [one])  # the same one counts once
    with pytest.raises(OverLimit):
        await ledger.begin(intent("a:2/pay/1"), [one])
    with pytest.raises(OverLimit):
        await ledger.preview(intent("a:2/pay/1"), [one])
    await ledger.abandon("a:1/pay/1", "one", "it did not happen")
    await ledger.begin(intent("a:3/pay/1"), [one])
    await ledger.finish(receipt("a:3/pay/1"))
    with pytest.raises(OverLimit):
        await ledger.begin(intent("a:4/pay/1"), [one])
    await asyncio.sleep(1.1)
    await ledger.begin(intent("a:4/pay/1"), [one])


async def test_hostile_and_large_values_come_back_as_they_went_in(ledger: Ledger) -> None:
    key = "a:'; drop table handrail_effects; --\"%_\\ 你好/pay/1"
    action = {"amount": "1", "text": "x" * 30_000 + "\u202e'\"\\"}
    await ledger.begin(intent(key, action=action))
    await ledger.finish(receipt(key, result=["y" * 200_000]))
    (row,) = await ledger.effects(key.partition("/")[0])
    assert row.key == key
    assert row.receipt is not None
    assert row.receipt.result == ["y" * 200_000]


async def test_the_effects_of_a_case_come_in_the_order_they_began(ledger: Ledger) -> None:
    for step in ("pay", "ship", "post"):
        await ledger.begin(intent(f"a:1/{step}/1", step=step))
    await ledger.begin(intent("a:10/pay/1"))
    assert [row.step for row in await ledger.effects("a:1")] == ["pay", "ship", "post"]
    assert await ledger.effects("a:2") == []


async def test_it_is_all_there_when_it_is_opened_again(url: str) -> None:
    async with Ledger(url) as first:
        await first.begin(intent())
        await first.finish(receipt())
    async with Ledger(url) as second:
        row = await second.effect("a:1/pay/1")
    assert row is not None
    assert row.receipt == receipt()


async def test_many_that_open_a_new_one_at_once_all_can(url: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(Ledger(url)) for _ in range(6)))


async def test_a_ledger_of_another_version_is_refused(url: str) -> None:
    async with Ledger(url):
        pass
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.text("update handrail_schema set version = 99"))
    with pytest.raises(ConfigurationError, match="schema 99"):
        await _open(url)


async def _open(url: str) -> None:
    async with Ledger(url):
        pass


@pytest.mark.parametrize("url", ["", "ledger.db", "mysql://localhost/x", "sqlite+nothing:///x"])
def test_a_url_that_cannot_be_used_says_what_to_write(url: str) -> None:
    with pytest.raises(ConfigurationError, match="give sqlite:///path or postgresql"):
        Ledger(url)


async def test_a_server_that_is_away_says_so_without_its_password() -> None:
    with pytest.raises(LedgerUnavailable, match="start the database") as caught:
        await _open("postgresql+psycopg://u:geheim@127.0.0.1:1/x")
    assert "geheim" not in str(caught.value)


async def test_a_server_that_hangs_up_is_asked_again(postgres: str, postgres_url: str) -> None:
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    hang_up = "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'handrail'"
    async with Ledger(postgres_url) as ledger:
        await ledger.begin(intent())
        with engine.connect() as connection:
            connection.execute(sa.text(hang_up))
        await ledger.finish(receipt())
        row = await ledger.effect("a:1/pay/1")
    assert row is not None
    assert row.state is EffectState.DONE
