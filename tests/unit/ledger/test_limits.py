"""Limits and duplicates in the ledger: exact, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail import Ledger, Receipt
from handrail.ledger import Duplicate, Intent, OverLimit, counters, tables
from handrail.ledger.counters import CounterEntry
from handrail.wire import Duplicates, Limit

NOW = datetime(2026, 1, 1, 12, 30, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)


def limit(cap: str, field: str | None = "amount", window: timedelta = HOUR, **more: Any) -> Limit:
    return Limit(field, Decimal(cap), window, f"{field or 'count'}: at most {cap}", **more)


def intent(key: str, action: dict[str, Any] | None = None, **more: Any) -> Intent:
    given_: dict[str, Any] = {
        "key": key,
        "case": key.partition("/")[0],
        "agent": "a",
        "step": "pay",
        "digest": "d" * 64,
        "action": action or {"amount": "10", "customer": "C7"},
        "policy": "a v1",
        "owner": "one",
        "deadline": NOW,
    }
    return Intent(**given_ | more)


def pay(key: str, amount: object, customer: str = "C7", **more: Any) -> Intent:
    return intent(key, {"amount": amount, "customer": customer, **more})


def receipt(key: str) -> Receipt:
    return Receipt(key=key, step="pay", digest="d" * 64, at=NOW, result=None)


async def test_each_customer_has_a_limit_of_its_own(ledger: Ledger) -> None:
    each = [limit("15", per="action.customer")]
    await ledger.begin(pay("a:1", "10"), each)
    await ledger.begin(pay("a:2", "10", "C8"), each)
    with pytest.raises(OverLimit) as over:
        await ledger.begin(pay("a:3", "5.01"), each)
    assert 'amount 5.01 + 10 before of customer "C7" > 15' in str(over.value)
    await ledger.begin(pay("a:4", "5"), each)
    assert await ledger.effect("a:3") is None


async def test_each_currency_has_its_own_and_one_that_no_limit_names_is_refused(
    ledger: Ledger,
) -> None:
    each = [limit("10", unit="EUR"), limit("20", unit="USD")]
    await ledger.begin(pay("a:1", "10", currency="EUR"), each)
    await ledger.begin(pay("a:2", "20", currency="USD"), each)
    for key, currency in (("a:3", "EUR"), ("a:4", "USD")):
        with pytest.raises(OverLimit, match="amount 1 "):
            await ledger.begin(pay(key, "1", currency=currency), each)
    for currency in ("CHF", "eur", "", None):
        with pytest.raises(OverLimit, match="has limits in EUR and USD only"):
            await ledger.begin(pay("a:5", "1", currency=currency), each)


async def test_a_limit_by_evidence_refuses_what_has_none(ledger: Ledger) -> None:
    each = [limit("1", None, per="evidence.account.id")]
    good = {"account": {"id": "A1"}}
    await ledger.begin(intent("a:1", evidence=good), each)
    with pytest.raises(OverLimit, match=r'1 before of evidence\.account\.id "A1" \+ 1 > 1'):
        await ledger.begin(intent("a:2", evidence=good), each)
    bad: list[Any] = [None, {}, {"account": None}, {"account": "A1"}, {"account": {"id": []}}]
    for evidence in bad:
        with pytest.raises(OverLimit, match=r"there is no evidence\.account\.id"):
            await ledger.begin(intent("a:3", evidence=evidence), each)


@pytest.mark.parametrize("amount", [None, "NaN", "Infinity", "ten", True, [1]])
async def test_what_cannot_be_added_is_refused(ledger: Ledger, amount: object) -> None:
    with pytest.raises(OverLimit, match="amount is not a number that can be added"):
        await ledger.begin(pay("a:1", amount), [limit("10")])


async def test_a_limit_over_all_writes_counts_every_step(ledger: Ledger) -> None:
    whole = [limit("2", None, whole=True)]
    await ledger.begin(intent("a:1"), whole)
    await ledger.begin(intent("a:2", step="ship"), whole)
    await ledger.begin(intent("b:1", agent="b"), whole)
    with pytest.raises(OverLimit):
        await ledger.begin(intent("a:3", step="post"), whole)


async def test_what_was_written_before_there_was_a_limit_counts(ledger: Ledger) -> None:
    for number in range(3):
        await ledger.begin(pay(f"a:{number}", "3", "C7" if number else "C8"))
    await ledger.abandon("a:2", "one", "it did not happen")
    with pytest.raises(OverLimit) as over:
        await ledger.begin(pay("a:9", "8"), [limit("10")])
    assert over.value.used == 6
    with pytest.raises(OverLimit) as over:
        await ledger.preview(pay("a:9", "8"), [limit("10", per="action.customer")])
    assert over.value.used == 3


async def test_a_limit_that_comes_back_finds_nothing_left_out(ledger: Ledger) -> None:
    await ledger.begin(pay("a:1", "1"), [limit("10")])
    await ledger.begin(pay("a:2", "2"))  # no policy limits it meanwhile
    await ledger.begin(pay("a:3", "3"), [limit("10", window=timedelta(days=7))])
    with pytest.raises(OverLimit) as over:
        await ledger.begin(pay("a:4", "4.01"), [limit("10")])
    assert over.value.used == 6


async def test_a_longer_window_sees_what_a_shorter_one_left_out(ledger: Ledger) -> None:
    await ledger.begin(pay("a:1", "7"))
    await asyncio.sleep(0.25)
    await ledger.begin(pay("a:2", "1"), [limit("7", window=timedelta(seconds=0.2))])
    with pytest.raises(OverLimit) as over:
        await ledger.begin(pay("a:3", "1"), [limit("8")])
    assert over.value.used == 8


async def test_what_is_given_back_may_be_used_again_and_counts_again_when_it_happened(
    ledger: Ledger,
) -> None:
    await ledger.begin(pay("a:1", "10"), [limit("10")])
    await ledger.abandon("a:1", "one", "no")
    await ledger.begin(pay("a:2", "10"), [limit("10")])
    await ledger.abandon("a:2", "one", "no")
    await ledger.begin(pay("a:1", "10"), [limit("10")])  # the same key, begun again
    with pytest.raises(OverLimit):
        await ledger.begin(pay("a:3", "1"), [limit("10")])
    await ledger.abandon("a:1", "one", "no")
    await ledger.begin(pay("a:4", "9"), [limit("10")])
    await ledger.finish(receipt("a:1"))  # it was taken for not done, and happened
    with pytest.raises(OverLimit) as over:
        await ledger.begin(pay("a:5", "1"), [limit("10")])
    assert over.value.used == 19


async def test_what_is_taken_back_is_given_back(ledger: Ledger) -> None:
    await ledger.begin(pay("a:1", "10"), [limit("10")])
    row = await ledger.effect("a:1")
    assert row is not None
    assert await ledger.take_back(row)
    await ledger.begin(pay("a:2", "10"), [limit("10")])


async def test_a_credit_makes_no_room(ledger: Ledger) -> None:
    await ledger.begin(pay("a:1", "-100"), [limit("10")])
    with pytest.raises(OverLimit) as over:
        await ledger.begin(pay("a:2", "10.01"), [limit("10")])
    assert over.value.used == 0


SAME = Duplicates(("action.customer", "action.amount"), HOUR, frozenset({"action.amount"}))


async def test_the_same_customer_and_amount_is_a_duplicate(ledger: Ledger) -> None:
    await ledger.begin(pay("a:1", "240.00"), (), SAME)
    await ledger.begin(pay("a:2", "240.00", "C8"), (), SAME)
    with pytest.raises(Duplicate) as found:
        await ledger.begin(pay("a:3", "240.0"), (), SAME)
    assert found.value.key == "a:1"
    assert str(found.value).endswith('customer "C7" and amount 240.0')
    assert await ledger.effect("a:3") is None
    with pytest.raises(Duplicate):
        await ledger.preview(pay("a:3", 240), (), SAME)
    await ledger.begin(pay("a:4", "240"))  # people let it pass, knowing that
    with pytest.raises(Duplicate) as found:
        await ledger.preview(pay("a:5", "240"), (), SAME)
    assert found.value.key == "a:4"


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("INV-1", "INV-1 "),
        ("INV-1", " INV-1"),
        ("INV-1", "INV-\u200b1"),
        ("INV-1", "INV\u20111"),
        ("INV-1", "\uff29NV-1"),
        ("INV 1", "INV\u00a0 1"),
        ("M\u00fcller", "Mu\u0308ller"),
        ("2026-01-01T10:00:00Z", "2026-01-01T12:00:00+02:00"),
    ],
)
async def test_what_nobody_sees_of_a_value_makes_no_other_one_of_it(
    ledger: Ledger, first: str, other: str
) -> None:
    same, each = Duplicates(("action.customer",), HOUR), [limit("15", per="action.customer")]
    await ledger.begin(pay("a:1", "10", first), each, same)
    with pytest.raises(Duplicate):
        await ledger.begin(pay("a:2", "1", other), (), same)
    with pytest.raises(OverLimit):
        await ledger.begin(pay("a:3", "10", other), each)
    await ledger.begin(pay("a:4", "10", first.lower() + "x"), each, same)


async def test_an_effect_is_no_duplicate_of_itself_nor_of_what_did_not_happen(
    ledger: Ledger,
) -> None:
    await ledger.begin(pay("a:1", "1"), (), SAME)
    assert (await ledger.begin(pay("a:1", "1"), (), SAME)).before is not None
    await ledger.abandon("a:1", "one", "no")
    await ledger.begin(pay("a:1", "1"), (), SAME)
    await ledger.abandon("a:1", "one", "no")
    await ledger.begin(pay("a:2", "1"), (), SAME)


async def test_a_limit_and_duplicates_that_count_the_same_do_not_disturb_each_other(
    ledger: Ledger,
) -> None:
    each = [limit("9", None, per="action.customer")]
    for number in range(4):
        await ledger.begin(pay(f"a:{number}", "1"), each)
        await ledger.abandon(f"a:{number}", "one", "no")
    await ledger.begin(pay("a:5", "1"), each)
    longer = Duplicates(("action.customer",), timedelta(days=7))
    await ledger.begin(pay("a:6", "1", "C8"), each, longer)
    with pytest.raises(Duplicate):
        await ledger.begin(pay("a:7", "1"), each, longer)
    for number in range(10, 18):
        await ledger.begin(pay(f"a:{number}", "1"), each)
    with pytest.raises(OverLimit):
        await ledger.begin(pay("a:20", "1"), each)


async def test_hostile_and_long_values_are_groups_like_others(ledger: Ledger) -> None:
    each = [limit("1", None, per="action.customer")]
    for number, customer in enumerate(["a\0b", "x" * 100_000, "'; drop--", "\u202e"]):
        await ledger.begin(pay(f"a:{number}", "1", customer), each)
        with pytest.raises(OverLimit):
            await ledger.begin(pay(f"b:{number}", "1", customer), each)


async def test_a_clock_that_was_ahead_does_not_block_for_ever(ledger: Ledger, url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    await ledger.begin(pay("a:1", "10"), [limit("10")])
    ahead = (datetime.now(UTC) + timedelta(days=40)).timestamp()
    with engine.begin() as connection:
        connection.execute(sa.text("update handrail_counted set at = :at"), {"at": ahead})
    with pytest.raises(OverLimit):  # it still counts
        await ledger.begin(pay("a:2", "1"), [limit("10")])
    await ledger.begin(pay("a:3", "0"), [limit("10")])  # and is put right by the next one
    with engine.connect() as connection:
        times = connection.execute(sa.text("select at from handrail_counted")).scalars().all()
    assert max(times) < datetime.now(UTC).timestamp() + 60


def test_no_look_at_a_window_reads_the_window() -> None:
    engine = sa.create_engine("sqlite://")
    looks = (counters.LOOK["sqlite"], counters.GIVEN_BACK["sqlite"])
    with engine.begin() as connection:
        tables.meta.create_all(connection)
        for look in looks:
            which = {"b_counter": 1, "b_grp": "", "b_since": 1.0}
            plan = connection.execute(sa.text(f"explain query plan {look.text}"), which)
            steps = [str(row[3]) for row in plan]
            forward = [step for step in steps if "at>?" in step]
            assert all("handrail_counted_given_back" in step for step in forward), steps
            assert not [step for step in steps if "SCAN" in step or "TEMP B-TREE" in step], steps
    engine.dispose()


# What a window holds, against adding it up

AMOUNTS = st.decimals("0", "99999", places=2)
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "back"]), AMOUNTS, st.integers(0, 40), st.integers(0, 9)),
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(STEPS, st.integers(1, 200))
def test_a_window_holds_what_adding_it_up_finds(
    steps: list[tuple[str, Decimal, int, int]], length: int
) -> None:
    live: dict[str, tuple[Decimal, float]] = {}
    engine = sa.create_engine("sqlite://")
    now = 1_000_000.0
    with engine.begin() as connection:
        tables.meta.create_all(connection)
        counter = counters.counter_of(connection, "a", "pay", "x").id
        for number, (what, amount, later, which) in enumerate(steps):
            now += later
            if what == "add":
                counters.add(connection, counter, CounterEntry("g", f"k{number}", amount, now))
                live[f"k{number}"] = (amount, now)
            elif live:
                key = sorted(live)[which % len(live)]
                counters.give_back(connection, key, now)
                del live[key]
            since = now - length
            expected = sum((a for a, at in live.values() if at > since), Decimal(0))
            assert counters.total(connection, counter, "g", since) == expected
    engine.dispose()
