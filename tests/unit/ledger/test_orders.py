"""Orders in the ledger: what is in force for a write, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import pytest
import sqlalchemy as sa

from handrail import Ledger
from handrail.actions import Level
from handrail.ledger import OrderRow
from handrail.ledger.orders import controls_in_force, hold

T = TypeVar("T")

NOW = datetime(2026, 11, 22, 12, 30, 15, 123456, tzinfo=UTC)
ANA = "ana@example.com"


@pytest.fixture
async def ledger(url: str) -> AsyncGenerator[Opened]:
    async with Opened(url) as opened:
        yield opened


class Opened(Ledger):
    """A ledger in whose transactions a test says what is done."""

    async def within(self, transaction: Callable[[sa.Connection], T]) -> T:
        return await self._run(transaction)


def stopping(c: sa.Connection, agent: str, step: str | None, case: str) -> OrderRow | None:
    hold(c)
    stops = controls_in_force(c, agent, case).stops
    return next((order for order in stops if order.step in {None, step}), None)


def stop(agent: str = "a", **more: Any) -> OrderRow:
    given: dict[str, Any] = {"id": uuid4().hex, "kind": "stop", "agent": agent}
    given |= {"by": ANA, "at": NOW}
    return OrderRow(**given | more)


async def stopped(ledger: Opened, case: str = "a:1", step: str | None = "pay") -> OrderRow | None:
    agent = case.partition(":")[0]
    return await ledger.within(lambda c: stopping(c, agent, step, case))


async def in_force(ledger: Opened, case: str | None = None) -> list[OrderRow]:
    return list(await ledger.within(lambda c: controls_in_force(c, "a", case).orders))


async def test_an_order_comes_back_as_it_was_given(ledger: Opened) -> None:
    level = OrderRow(
        id="b" * 32, kind="level", agent="a", by=ANA, at=NOW, step="pay", level=Level.FULL,
        rollout=2_500, why="it went well", proofs=("x.y.z", "u.v.w"),
    )  # fmt: skip
    assert await ledger.order(level)
    assert await ledger.order_of(level.id) == level
    assert not await ledger.order(level)


@pytest.mark.parametrize(
    ("order", "stops"),
    [
        ({"agent": "*"}, {"a:1 pay", "a:1 ship", "a:2 pay", "b:1 pay"}),
        ({}, {"a:1 pay", "a:1 ship", "a:2 pay"}),
        ({"step": "pay"}, {"a:1 pay", "a:2 pay"}),
        ({"case": "a:1"}, {"a:1 pay", "a:1 ship"}),
    ],
)
async def test_a_stop_is_for_what_it_names(
    ledger: Opened, order: dict[str, Any], stops: set[str]
) -> None:
    row = stop(**order)
    await ledger.order(row)
    writes = ("a:1 pay", "a:1 ship", "a:2 pay", "b:1 pay")
    found = {w for w in writes if await stopped(ledger, *w.split())}
    assert found == stops
    assert await ledger.end_order(row.id, ANA, NOW, "all is well", ["x.y.z"])
    assert [w for w in writes if await stopped(ledger, *w.split())] == []


async def test_a_stop_of_one_step_does_not_stop_what_has_no_step(ledger: Opened) -> None:
    await ledger.order(stop(step="pay"))
    assert await stopped(ledger, step=None) is None


async def test_a_level_stops_nothing(ledger: Opened) -> None:
    row = OrderRow(id="b" * 32, kind="level", agent="a", by=ANA, at=NOW, level=Level.PILOT)
    await ledger.order(row)
    assert await stopped(ledger) is None
    assert await in_force(ledger) == [row]


async def test_who_lifted_it_and_why_is_on_record_and_it_is_lifted_once(ledger: Opened) -> None:
    row = stop()
    await ledger.order(row)
    assert await ledger.end_order(row.id, "bo@example.com", NOW, "mended", ["x.y.z"])
    assert not await ledger.end_order(row.id, "cy@example.com", NOW)
    after = await ledger.order_of(row.id)
    assert after is not None
    assert (after.ended, after.ended_by, after.ended_why) == (NOW, "bo@example.com", "mended")
    assert after.ended_proofs == ("x.y.z",)
    assert not await ledger.order(row)
    assert await stopped(ledger) is None


async def test_one_stop_lifted_leaves_the_others_in_force(ledger: Opened) -> None:
    both = stop(), stop("*", at=NOW + timedelta(seconds=1))
    for row in both:
        await ledger.order(row)
    assert await stopped(ledger) == both[0]
    await ledger.end_order(both[0].id, ANA, NOW)
    assert await stopped(ledger) == both[1]


async def test_a_level_ends_the_ones_that_it_replaces_and_no_stop_by_accident(
    ledger: Opened,
) -> None:
    old = OrderRow(id="b" * 32, kind="level", agent="a", by=ANA, at=NOW, level=Level.PILOT)
    halt = stop()
    new = OrderRow(
        id="c" * 32, kind="level", agent="a", by=ANA, at=NOW + timedelta(seconds=1),
        level=Level.FULL, proofs=("x.y.z",),
    )  # fmt: skip
    for row in (old, halt):
        await ledger.order(row)
    await ledger.order(new, replacing=[old.id])
    assert await ledger.orders("a", live=True) == [halt, new]
    ended = await ledger.order_of(old.id)
    assert ended is not None
    assert ended.ended_why == f"replaced by {new.id}"


async def test_of_cases_only_the_one_asked_for_is_in_force(ledger: Opened) -> None:
    rows = [stop(), stop(case="a:1"), stop(case="a:2"), stop("*"), stop("b")]
    for row in rows:
        await ledger.order(row)
    assert {row.id for row in await in_force(ledger)} == {rows[n].id for n in (0, 1, 2, 3)}
    assert {row.id for row in await in_force(ledger, "a:1")} == {rows[n].id for n in (0, 1, 3)}


async def test_where_all_orders_are_of_other_cases_none_is_in_force(ledger: Opened) -> None:
    await ledger.order(stop(case="a:2"))
    assert await in_force(ledger, "a:1") == []
    assert len(await in_force(ledger, "a:2")) == 1


async def test_a_stop_outlives_whoever_wrote_it(url: str) -> None:
    row = stop()
    async with Opened(url) as first:
        await first.order(row)
    async with Opened(url) as second:
        assert await stopped(second) == row


async def test_no_intent_slips_past_a_stop_that_is_being_written(url: str) -> None:
    asked, go = threading.Event(), threading.Event()
    done: list[str] = []

    def intending(connection: sa.Connection) -> None:
        assert stopping(connection, "a", "pay", "a:1") is None
        asked.set()
        go.wait(10)
        done.append("intent")

    async with Opened(url) as worker, Opened(url) as person:
        intent = asyncio.create_task(worker.within(intending))
        await asyncio.to_thread(asked.wait, 10)
        halt = asyncio.create_task(person.order(stop()))
        halt.add_done_callback(lambda _: done.append("stop"))
        await asyncio.sleep(0.3)
        # The stop is not in force, and does not say so, while an intent is under way.
        assert not halt.done()
        go.set()
        await asyncio.gather(intent, halt)
        assert done == ["intent", "stop"]
        assert await stopped(worker) is not None


async def test_intents_do_not_wait_for_each_other(postgres_url: str) -> None:
    both = threading.Barrier(2, timeout=10)

    def intending(connection: sa.Connection) -> None:
        stopping(connection, "a", "pay", "a:1")
        both.wait()

    async with Opened(postgres_url) as one:
        await asyncio.gather(one.within(intending), one.within(intending))
