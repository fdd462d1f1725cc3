"""Circuit breakers: what is counted, since when, and that each trips once."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from handrail import Ledger
from handrail.actions import Action, Finding, Kind, Level, Receipt
from handrail.guardrails.breakers import BreakerTrip, breaker_alert, look
from handrail.ledger import IncidentRow, OrderRow, VerdictRow
from handrail.oversight.orders import order_of
from handrail.policy import AgentShape, Policy, WriteShape, parse_policy
from tests.unit.ledger.intents import intent

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ANA = "ana@example.com"


class Pay(Action):
    amount: Decimal


def policy(*breakers: str) -> Policy:
    listed = "".join(f"  - {{{each}}}\n" for each in breakers)
    text = f"""
agent: a
version: 1
owner: {ANA}
for: lead
breakers:
{listed}
actions:
  pay: {{autonomy: full}}
  take_back: {{autonomy: full, irreversible: it only takes back}}
roles:
  lead: {{people: [{ANA}], deadline: {{after: 8h, then: refuse}}}}
"""
    pay = WriteShape("pay", Pay, undo="take_back")
    undo = WriteShape("take_back", Pay, undoes=frozenset({"pay"}))
    return parse_policy(text, "a.yaml", AgentShape("a", {"pay": pay, "take_back": undo}))


REFUSALS = policy("after: 3 refusals per hour, then: supervised")


async def refuse(ledger: Ledger, case: str, at: datetime = NOW, **more: Any) -> None:
    given: dict[str, Any] = {
        "case": case,
        "agent": "a",
        "step": "pay",
        "key": f"{case}/pay/1",
        "digest": "d" * 64,
        "at": at,
        "kind": Kind.REFUSE,
        "findings": (Finding(check="rule: x", kind=Kind.REFUSE, why="no"),),
        "policy": "a v1",
        "autonomy": "full",
        "pilot": False,
        "action": {"amount": "10"},
        "basis": None,
        "requester": None,
    }
    await ledger.record_verdict(VerdictRow(**given | more))


async def refusals(ledger: Ledger, count: int, at: datetime = NOW, name: str = "c") -> None:
    for number in range(count):
        await refuse(ledger, f"a:{name}{number}", at)


async def tripped(
    ledger: Ledger, given: Policy = REFUSALS, now: datetime = NOW
) -> BreakerTrip | None:
    return await look(ledger, given, "a", "pay", now + MINUTE)


async def test_enough_refusals_lower_the_level_once_and_raise_one_incident(ledger: Ledger) -> None:
    await refusals(ledger, 2)
    assert await tripped(ledger) is None
    assert await ledger.orders("a") == []
    await refusals(ledger, 3)
    found = await tripped(ledger)
    assert found is not None
    assert await tripped(ledger) is None
    [order] = await ledger.orders("a", live=True)
    assert (order.kind, order.level, order.by, order.step) == (
        "level",
        Level.SUPERVISED,
        "breaker",
        None,
    )
    assert "3 refusals in an hour" in order.why
    [incident] = await ledger.incidents("a")
    assert (incident.kind, incident.key, incident.what) == ("breaker", order.id, order.why)


async def test_what_a_breaker_orders_is_an_order_as_people_give_them(ledger: Ledger) -> None:
    """So that whoever reads orders reads it too."""
    await refusals(ledger, 3)
    found = await tripped(ledger)
    assert found is not None
    row = found.order
    said = {
        name: getattr(row, name) for name in ("id", "kind", "agent", "level", "by", "at", "why")
    }
    assert order_of(said).level is Level.SUPERVISED


@pytest.mark.parametrize(
    "more",
    [
        {"kind": Kind.HOLD},
        {"pilot": True},
        {"agent": "b"},
        {"at": NOW - 2 * HOUR},
        {"case": "a:c0"},  # the same write, tried again
    ],
)
async def test_what_is_no_further_refusal_does_not_count(
    ledger: Ledger, more: dict[str, Any]
) -> None:
    await refusals(ledger, 2)
    given: dict[str, Any] = {"case": "a:other", **more}
    await refuse(ledger, **given)
    assert await tripped(ledger) is None


async def test_eight_workers_that_look_at_once_trip_it_once(ledger: Ledger, url: str) -> None:
    await refusals(ledger, 5)
    others = [Ledger(url) for _ in range(7)]
    async with contextlib.AsyncExitStack() as stack:
        opened = [ledger, *[await stack.enter_async_context(each) for each in others]]
        found = await asyncio.gather(*(tripped(each) for each in opened))
    assert len([each for each in found if each is not None]) == 1
    assert len(await ledger.orders("a")) == 1
    assert len(await ledger.incidents("a")) == 1


async def test_a_level_that_an_owner_sets_begins_the_counting_anew(ledger: Ledger) -> None:
    await refusals(ledger, 3)
    assert await tripped(ledger) is not None
    later = NOW + 5 * MINUTE
    owner = OrderRow("o" * 32, "level", "a", ANA, later, level=Level.FULL)
    [lowered] = await ledger.orders("a", live=True)
    assert await ledger.order(owner, replacing=[lowered.id])
    assert await tripped(ledger, now=later) is None
    await refusals(ledger, 2, later + MINUTE, "later")
    assert await tripped(ledger, now=later + MINUTE) is None
    await refusals(ledger, 3, later + MINUTE, "later")
    assert await tripped(ledger, now=later + MINUTE) is not None
    assert len(await ledger.orders("a", live=True)) == 2


@pytest.mark.parametrize("at", [2 * MINUTE, timedelta(days=20_000)], ids=["now", "far ahead"])
async def test_who_may_not_lift_a_breaker_does_not_reset_it_either(
    ledger: Ledger, at: timedelta
) -> None:
    """Whoever lowers a level needs no signature, nor whoever says again what it is."""
    await refusals(ledger, 2)
    same = OrderRow("e" * 32, "level", "a", "eve@example.com", NOW + at, level=Level.FULL)
    assert await ledger.order(same)
    ended = OrderRow("f" * 32, "stop", "a", "eve@example.com", NOW, case="a:none")
    assert await ledger.order(ended)
    assert await ledger.end_order(ended.id, "eve@example.com", NOW + at, "there is no such case")
    await refusals(ledger, 3)
    assert await tripped(ledger, now=NOW + 5 * MINUTE) is not None
    lower = OrderRow("g" * 32, "level", "a", "eve@example.com", NOW + at, level=Level.PILOT)
    assert await ledger.order(lower)
    assert await tripped(ledger, now=NOW + 6 * MINUTE) is None
    assert len(await ledger.incidents("a")) == 1


async def test_a_level_above_that_of_a_breaker_for_one_write_begins_the_counting_anew(
    ledger: Ledger,
) -> None:
    """The steward puts none in force without the signatures that it takes."""
    await refusals(ledger, 3)
    assert await tripped(ledger) is not None
    later = NOW + 5 * MINUTE
    step = OrderRow("o" * 32, "level", "a", ANA, later, step="pay", level=Level.FULL)
    assert await ledger.order(step)
    assert await tripped(ledger, now=later) is None
    same = replace(step, id="e" * 32, by="eve@example.com", at=later + 3 * MINUTE)
    for order in (same, replace(same, id="f" * 32, step=None), replace(same, rollout=9_999)):
        assert await ledger.order(replace(order, id=f"{order.id[:30]}{order.rollout}"))
    await refusals(ledger, 3, later + MINUTE, "later")
    assert await tripped(ledger, now=later + MINUTE) is not None


async def test_a_breaker_lowers_the_level_though_the_clock_of_whoever_raised_it_was_ahead(
    ledger: Ledger,
) -> None:
    raised = OrderRow("o" * 32, "level", "a", ANA, NOW + HOUR, level=Level.FULL)
    assert await ledger.order(raised)
    await refusals(ledger, 3)
    assert await tripped(ledger) is not None
    rows = await ledger.orders("a", live=True)
    assert [row.by for row in rows] == [ANA, "breaker"]


async def test_a_stop_by_a_breaker_stands_until_it_is_lifted_and_then_it_counts_anew(
    ledger: Ledger,
) -> None:
    given = policy("after: 1 in doubt per day, then: stop")
    await incident(ledger, "in_doubt", "a:1/pay/1")
    found = await tripped(ledger, given)
    assert found is not None
    assert found.order.kind == "stop"
    assert found.order.level is None
    assert await tripped(ledger, given, NOW + HOUR) is None
    assert await ledger.end_order(found.order.id, ANA, NOW + HOUR)
    assert await tripped(ledger, given, NOW + HOUR) is None
    await incident(ledger, "in_doubt", "a:2/pay/1", NOW + HOUR + MINUTE)
    again = await tripped(ledger, given, NOW + HOUR + MINUTE)
    assert again is not None
    assert again.order.id != found.order.id


async def incident(ledger: Ledger, kind: str, key: str, at: datetime = NOW) -> None:
    row = IncidentRow(f"{key}/{kind}", "a", "pay", key.partition("/")[0], key, kind, "bad", at)
    await ledger.incident(row)


@pytest.mark.parametrize(
    ("what", "kind"), [("failures", "failed"), ("in doubt", "in_doubt"), ("incidents", "verify")]
)
async def test_incidents_are_counted_by_their_kind(ledger: Ledger, what: str, kind: str) -> None:
    given = policy(f"after: 2 {what} per hour, then: human_led")
    for other in {"failed", "in_doubt", "verify"} - {kind}:
        await incident(ledger, other, "a:1/pay/1")
        await incident(ledger, other, "a:2/pay/1")
    await incident(ledger, kind, "a:1/pay/1")
    assert await tripped(ledger, given) is None
    await incident(ledger, kind, "a:2/pay/1")
    found = await tripped(ledger, given)
    assert found is not None
    assert found.order.level is Level.HUMAN_LED


async def test_undos_that_were_done_are_counted(ledger: Ledger) -> None:
    given = policy("after: 2 roll-backs per hour, then: supervised")
    now = datetime.now(UTC)
    for case in ("a:1", "a:2"):
        key = f"{case}/pay/1/undo"
        await ledger.begin(intent(key, step="take_back"))
        assert await tripped(ledger, given, now) is None
        await ledger.finish(Receipt(key=key, step="take_back", digest="d" * 64, at=now))
    assert await tripped(ledger, given, now) is not None


async def test_of_several_breakers_each_gives_its_order_and_the_gravest_is_returned(
    ledger: Ledger,
) -> None:
    given = policy(
        "after: 3 refusals per hour, then: supervised", "after: 4 refusals per day, then: stop"
    )
    await refusals(ledger, 4)
    found = await tripped(ledger, given)
    assert found is not None
    assert found.breaker.then is Level.STOP
    assert {row.kind for row in await ledger.orders("a", live=True)} == {"level", "stop"}


async def test_the_owner_reads_what_happened_and_how_to_undo_it(ledger: Ledger) -> None:
    await refusals(ledger, 3)
    found = await tripped(ledger)
    assert found is not None
    news = breaker_alert(found)
    assert news.title == "A breaker of a has tripped"
    assert "a is now supervised: 3 refusals in an hour" in news.lines[0]
    assert "handrail autonomy a" in news.lines[1]


async def test_a_policy_without_breakers_counts_nothing(ledger: Ledger) -> None:
    await refusals(ledger, 50)
    assert await tripped(ledger, policy("after: 51 refusals per hour, then: stop")) is None
