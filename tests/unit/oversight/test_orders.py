"""Orders: what one says, what of it is refused, and who is shown to have given it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jws

from handrail.actions import Level
from handrail.oversight.keys import SigningKey
from handrail.oversight.orders import (
    NoOrder,
    Order,
    Ramp,
    Target,
    level_order,
    lift_order,
    order_of,
    order_row,
    rollout_order,
    stop_order,
    target_of,
)
from handrail.oversight.signatures import ORDER_STATEMENT, NotProven

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANA = "ana@example.com"
KEY = SigningKey.new(ANA, NOW - timedelta(days=1))
RAMP = {"deployment": "workers", "build": "b2", "to": "shares", "shares": [1_000, 10_000]}
KEYS = {KEY.kid: KEY.public()}


@pytest.mark.parametrize(
    ("said", "target"),
    [
        ("fleet", Target("*")),
        ("*", Target("*")),
        ("shipments", Target("shipments")),
        ("shipments/rebook", Target("shipments", step="rebook")),
        ("shipments:AWB/1:2", Target("shipments", case="shipments:AWB/1:2")),
    ],
)
def test_what_a_stop_is_for_is_read_as_people_write_it(said: str, target: Target) -> None:
    assert Target.of(said) == target
    assert target_of(stop_order(target, ANA, NOW)) == target
    assert target.words == {"fleet": "every agent", "*": "every agent"}.get(said, said)


@pytest.mark.parametrize("said", ["", ":1", "shipments:", "shipments/", "/rebook"])
def test_what_names_nothing_is_refused_with_what_to_write(said: str) -> None:
    with pytest.raises(NoOrder, match="write fleet, an agent"):
        Target.of(said)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"level": "full"}, "a stop has no `level`"),
        ({"step": "rebook", "case": "shipments:1"}, "not of both"),
        ({"agent": "*", "step": "rebook"}, "names no `step`"),
        ({"case": "others:1"}, "no case of shipments"),
        ({"kind": "lift"}, "say in `lifts`"),
        ({"kind": "lift", "lifts": "a" * 32, "step": "rebook"}, "and no more"),
        ({"kind": "level"}, "a level has `level`"),
        ({"kind": "level", "level": "full", "agent": "*"}, "of one agent"),
        ({"kind": "level", "level": "pilot", "rollout": 5}, "only `full`"),
        ({"kind": "level", "level": "full", "rollout": 10_001}, "rollout"),
        ({"at": "2026-11-22T12:00:00"}, "with its zone"),
        ({"kind": "rollout", "agent": "*"}, "say in `ramp`"),
        ({"kind": "rollout", "ramp": RAMP}, "for every agent"),
        ({"kind": "rollout", "agent": "*", "ramp": RAMP, "level": "full"}, "and no more"),
        ({"ramp": RAMP}, "a stop has no `ramp`"),
        ({"kind": "rollout", "agent": "*", "ramp": RAMP | {"shares": [5_000]}}, "last one is 100%"),
        ({"kind": "rollout", "agent": "*", "ramp": RAMP | {"shares": [900, 900, 10_000]}}, "rise"),
        ({"more": 1}, "more"),
        ({"id": "short"}, "id"),
        ({"by": ""}, "by"),
    ],
)
def test_an_order_that_is_not_whole_is_refused(changes: dict[str, Any], why: str) -> None:
    said = stop_order(Target("shipments"), ANA, NOW).model_dump(mode="json") | changes
    with pytest.raises(NoOrder, match=why):
        order_of(said)


def test_two_people_say_the_same_only_if_it_is_the_same_order() -> None:
    order = level_order(Target("shipments"), Level.FULL, 2_500, ANA, NOW)
    bo = {"by": "bo@example.com", "why": "I agree", "at": NOW + timedelta(hours=1)}
    assert order.same_as(order.model_copy(update=bo))
    assert not order.same_as(order.model_copy(update=bo | {"rollout": 10_000}))
    assert not order.same_as(order.model_copy(update=bo | {"id": "b" * 32}))


def test_a_lift_is_kept_with_what_it_ends() -> None:
    row = order_row(stop_order(Target("shipments"), ANA, NOW))
    order = lift_order(row, ANA, NOW)
    assert (order.lifts, order.agent) == (row.id, "shipments")
    with pytest.raises(NoOrder, match="kept with"):
        order_row(order)


def _signed(order: Order | None = None, at: datetime = NOW) -> str:
    return ORDER_STATEMENT.sign(order or stop_order(Target("shipments"), ANA, NOW), KEY, at)


def test_a_signed_order_says_who_gave_it() -> None:
    order = stop_order(Target("shipments"), ANA, NOW, "it went mad")
    payload, by, kid = ORDER_STATEMENT.verify(_signed(order), KEYS, NOW, arriving=True)
    assert (order_of(payload), by, kid) == (order, ANA, KEY.kid)


def test_a_signed_rollout_says_all_of_it_and_other_orders_are_signed_as_before() -> None:
    ramp = Ramp.model_validate(RAMP | {"cases": 5, "every": timedelta(minutes=2), "allowed": 500})
    order = rollout_order(ramp, ANA, NOW, "other carriers")
    payload, _, _ = ORDER_STATEMENT.verify(_signed(order), KEYS, NOW, arriving=True)
    assert order_of(payload) == order
    assert "ramp" not in stop_order(Target("shipments"), ANA, NOW).model_dump(mode="json")


def test_nobody_signs_in_the_name_of_another() -> None:
    with pytest.raises(NotProven, match="cannot sign for"):
        _signed(stop_order(Target("shipments"), "bo@example.com", NOW))


def test_the_inbox_signs_for_whoever_signed_in() -> None:
    inbox = SigningKey.new(None, NOW)
    order = stop_order(Target("shipments"), "bo@example.com", NOW)
    text = ORDER_STATEMENT.sign(order, inbox, NOW)
    assert ORDER_STATEMENT.verify(text, {inbox.kid: inbox.public()}, NOW)[1] == "bo@example.com"


def test_an_old_order_is_not_taken_as_new_and_counts_on_once_it_was() -> None:
    text, later = _signed(), NOW + timedelta(days=8)
    with pytest.raises(NotProven, match="too long ago"):
        ORDER_STATEMENT.verify(text, KEYS, later, arriving=True)
    assert ORDER_STATEMENT.verify(text, KEYS, later)[1] == ANA


def test_what_an_expired_key_says_is_not_new_and_what_it_said_counts() -> None:
    text, expired = _signed(), KEY.public().model_copy(update={"expires": NOW + timedelta(hours=1)})
    keys, later = {KEY.kid: expired}, NOW + timedelta(hours=2)
    with pytest.raises(NotProven, match="has expired"):
        ORDER_STATEMENT.verify(text, keys, later, arriving=True)
    assert ORDER_STATEMENT.verify(text, keys, later)[1] == ANA
    revoked = {KEY.kid: expired.model_copy(update={"revoked": later, "why": "lost"})}
    with pytest.raises(NotProven, match="revoked: lost"):
        ORDER_STATEMENT.verify(text, revoked, later)


def test_an_order_that_was_changed_after_it_was_signed_is_not_proven() -> None:
    head, _, mark = _signed().split(".")
    other = _signed(stop_order(Target("other"), ANA, NOW)).split(".")[1]
    with pytest.raises(NotProven, match="signature"):
        ORDER_STATEMENT.verify(f"{head}.{other}.{mark}", KEYS, NOW)


def test_a_signature_of_another_kind_is_no_order() -> None:
    header = {"alg": "Ed25519", "kid": KEY.kid, "typ": "handrail-mandate+jwt"}
    text = jws.serialize_compact(header, b"{}", KEY.private.opened(), algorithms=["Ed25519"])
    with pytest.raises(NotProven, match="not handrail-order"):
        ORDER_STATEMENT.verify(text, KEYS, NOW)
