"""What orders come to: stops and lower levels count anyhow, more freedom only with signatures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from handrail.actions import Level
from handrail.ledger import OrderRow
from handrail.oversight import orders
from handrail.oversight.keys import SigningKey, TrustedKey
from handrail.oversight.orders import Order, Target, level_order, order_row, stop_order
from handrail.oversight.signatures import ORDER_STATEMENT
from handrail.policy import Setting
from tests.agents.policies import policy

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OWNER, BO, EVE = (f"{name}@example.com" for name in ("logistics", "bo", "eve"))
SIGNERS = {who: SigningKey.new(who, NOW - timedelta(days=1)) for who in (OWNER, BO, EVE)}
KEYS: dict[str, TrustedKey] = {key.kid: key.public() for key in SIGNERS.values()}
TWO = ("actions:", f"control: {{people: [{OWNER}, {BO}], two: [full]}}\nactions:")
SUPERVISED = ("autonomy: full", "autonomy: supervised")
ALL = Target("shipments")
REBOOK = Target("shipments", step="rebook")


def level(
    to: Level, *by: str, of: Target = REBOOK, at: int = 0, rollout: int | None = None
) -> OrderRow:
    """A level in the ledger, signed by these people; by nobody if there are none."""
    order = level_order(of, to, rollout, (by or (OWNER,))[0], NOW + timedelta(minutes=at))
    return order_row(order, [signed(order, who) for who in by])


def signed(order: Order, who: str) -> str:
    return ORDER_STATEMENT.sign(order.model_copy(update={"by": who}), SIGNERS[who], NOW)


def made(
    rows: list[OrderRow],
    *edits: tuple[str, str],
    keys: dict[str, TrustedKey] = KEYS,
    proof: Literal["required", "unproven"] = "required",
) -> tuple[Level, int] | None:
    found = orders.setting_in_force(rows, "rebook", policy(*edits), keys, proof)
    return None if found is None else (found.level, found.rollout)


# Stops


def test_a_stop_says_who_when_and_why() -> None:
    row = order_row(stop_order(ALL, "ana@example.com", NOW, "it went mad"))
    assert orders.why_stopped([row], "rebook", "shipments:1") == (
        "stopped since 2026-11-22 12:00:00 UTC by ana@example.com (shipments): it went mad"
    )


@pytest.mark.parametrize(
    ("target", "stops"),
    [
        (Target("*"), {"rebook 1", "release 1", "rebook 2"}),
        (ALL, {"rebook 1", "release 1", "rebook 2"}),
        (REBOOK, {"rebook 1", "rebook 2"}),
        (Target("shipments", case="shipments:1"), {"rebook 1", "release 1"}),
    ],
)
def test_a_stop_is_for_what_it_names(target: Target, stops: set[str]) -> None:
    row = order_row(stop_order(target, OWNER, NOW))
    writes = ("rebook 1", "release 1", "rebook 2")
    found = {w for w in writes if orders.why_stopped([row], w[:-2], f"shipments:{w[-1]}")}
    assert found == stops


def test_what_is_lifted_and_what_is_no_stop_stops_nothing() -> None:
    lifted = OrderRow("a" * 32, "stop", "shipments", OWNER, NOW, ended=NOW)
    assert orders.why_stopped([lifted, level(Level.STOP)], "rebook", "shipments:1") is None


# Levels


def test_without_an_order_the_file_counts() -> None:
    assert made([]) is None
    assert made([level(Level.PILOT, OWNER, of=Target("shipments", step="release"))]) is None


@pytest.mark.parametrize("lower", [Level.STOP, Level.PILOT, Level.HUMAN_LED, Level.SUPERVISED])
def test_what_lowers_counts_although_nobody_signed_it(lower: Level) -> None:
    assert made([level(lower)]) == (lower, 10_000)


def test_a_smaller_share_of_the_cases_is_less() -> None:
    assert made([level(Level.FULL, rollout=2_500)]) == (Level.FULL, 2_500)


def test_what_raises_counts_only_when_somebody_who_may_signed_it() -> None:
    assert made([level(Level.FULL)], SUPERVISED) is None
    assert made([level(Level.FULL, EVE)], SUPERVISED) is None
    assert made([level(Level.FULL, OWNER)], SUPERVISED) == (Level.FULL, 10_000)


def test_an_unsigned_order_does_not_raise_what_another_lowered() -> None:
    lowered = level(Level.PILOT)
    assert made([lowered, level(Level.FULL, at=1)]) == (Level.PILOT, 10_000)
    assert made([lowered, level(Level.FULL, OWNER, at=1)]) == (Level.FULL, 10_000)


def test_a_breaker_that_is_milder_than_what_is_in_force_raises_nothing() -> None:
    breaker = OrderRow(
        "b" * 32, "level", "shipments", "breaker", NOW + timedelta(minutes=1),
        level=Level.SUPERVISED,
    )  # fmt: skip
    for proof in ("required", "unproven"):
        assert made([level(Level.PILOT), breaker], proof=proof) == (Level.PILOT, 10_000)
    assert made([breaker]) == (Level.SUPERVISED, 10_000)


def test_the_last_order_counts_whether_for_the_step_or_for_the_agent() -> None:
    step, whole = level(Level.FULL, OWNER), level(Level.HUMAN_LED, OWNER, of=ALL, at=1)
    assert made([whole, step]) == (Level.HUMAN_LED, 10_000)
    again = level(Level.FULL, OWNER, at=2)
    assert made([again, whole, step]) == (Level.FULL, 10_000)


def test_two_different_people_where_the_policy_wants_two() -> None:
    lowered = level(Level.PILOT)
    assert made([lowered, level(Level.FULL, OWNER, at=1)], TWO) == (Level.PILOT, 10_000)
    assert made([lowered, level(Level.FULL, OWNER, OWNER, at=1)], TWO) == (Level.PILOT, 10_000)
    assert made([lowered, level(Level.FULL, OWNER, EVE, at=1)], TWO) == (Level.PILOT, 10_000)
    assert made([lowered, level(Level.FULL, OWNER, BO, at=1)], TWO) == (Level.FULL, 10_000)
    assert made([lowered, level(Level.SUPERVISED, BO, at=1)], TWO) == (Level.SUPERVISED, 10_000)


def test_a_signature_on_another_order_does_not_count() -> None:
    other = level(Level.SUPERVISED, OWNER)
    row = level(Level.FULL)
    assert made([replace(row, proofs=other.proofs)], SUPERVISED) is None


@pytest.mark.parametrize("altered", [{"level": Level.FULL}, {"step": None}, {"id": "c" * 32}])
def test_a_row_that_was_altered_after_it_was_signed_raises_nothing(altered: dict[str, Any]) -> None:
    row = level(Level.SUPERVISED, OWNER)
    human_led = ("autonomy: full", "autonomy: human_led")
    assert made([row], human_led) == (Level.SUPERVISED, 10_000)
    assert made([replace(row, **altered)], human_led) is None


def test_a_revoked_key_takes_back_what_it_raised_at_once() -> None:
    row = level(Level.FULL, OWNER)
    assert made([row], SUPERVISED) == (Level.FULL, 10_000)
    kid = SIGNERS[OWNER].kid
    revoked = KEYS | {kid: KEYS[kid].model_copy(update={"revoked": NOW, "why": "lost"})}
    assert made([row], SUPERVISED, keys=revoked) is None
    assert made([row], SUPERVISED, keys={}) is None


def test_where_no_proof_is_asked_for_it_takes_the_right_name() -> None:
    assert made([level(Level.FULL)], SUPERVISED, proof="unproven") == (Level.FULL, 10_000)
    order = level_order(REBOOK, Level.FULL, None, EVE, NOW)
    unsigned = order_row(order, [order.model_dump_json()])
    assert made([unsigned], SUPERVISED, proof="unproven") is None


def test_what_is_lacking_is_said_with_who_may() -> None:
    order = level_order(REBOOK, Level.FULL, None, EVE, NOW)
    given = (order, [signed(order, EVE)], policy(TWO), KEYS)
    said = orders.order_lacks(*given, "required", now=NOW)
    assert said == (
        "eve@example.com may not turn the autonomy of shipments; "
        f"it takes somebody who may: {BO}, {OWNER}"
    )
    one = level_order(REBOOK, Level.FULL, None, BO, NOW)
    said = orders.order_lacks(one, [signed(one, BO)], policy(TWO), KEYS, "required", now=NOW)
    assert said == f"it takes a second person: {OWNER}"
    assert orders.waits_for_second(one, [signed(one, BO)], policy(TWO), KEYS, "required")
    assert not orders.waits_for_second(*given, "required")


def test_settings_are_compared_by_level_and_share() -> None:
    full, quarter = Setting(Level.FULL), Setting(Level.FULL, 2_500)
    assert orders.setting_exceeds(full, quarter)
    assert not orders.setting_exceeds(quarter, full)
    assert not orders.setting_exceeds(full, full)
    assert orders.setting_exceeds(quarter, Setting(Level.SUPERVISED, 10_000))
    assert not orders.setting_exceeds(Setting(Level.PILOT), Setting(Level.HUMAN_LED))
