"""What a mandate allows, and never allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from handrail.actions import Action
from handrail.oversight import mandates
from handrail.oversight.mandates import (
    Mandate,
    NoMandate,
    VerifiedMandate,
    allowed,
    covers,
    delegations,
    standing_approvals,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Rebook(Action):
    """Move a shipment."""

    shipment: str = "S1"
    carrier: str = "XY"
    extra_cost: Decimal = Decimal(50)
    pieces: int = 3
    weight: float = 2.5
    express: bool = False


def approval(**more: Any) -> Mandate:
    said: dict[str, Any] = {
        "id": "a" * 32,
        "kind": "standing",
        "by": "Ana@Example.com ",
        "agent": "shipments",
        "begins": NOW,
        "ends": NOW + 8 * HOUR,
        "step": "rebook",
        "role": "lead",
        "same": {"carrier": "XY"},
        "up_to": {"extra_cost": "50"},
        "uses": 20,
    }
    return Mandate.model_validate(said | more)


def delegation(**more: Any) -> Mandate:
    said: dict[str, Any] = {
        "id": "d" * 32,
        "kind": "delegation",
        "by": "ana@example.com",
        "to": "bo@example.com",
        "agent": "shipments",
        "begins": NOW,
        "ends": NOW + 8 * HOUR,
    }
    return Mandate.model_validate(said | more)


class Transfer(Action):
    """Send money."""

    to: str = "S1"
    amount: Decimal = Decimal(50)
    currency: str = "EUR"
    lines: list[str] | None = None
    extra: dict[str, str] | str = ""


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({}, True),
        ({"amount": Decimal(1)}, True),
        ({"currency": "KWD"}, False),
        ({"lines": ["more"]}, False),
        ({"lines": []}, False),
        ({"extra": {"to": "S2"}}, False),
    ],
)
def test_an_amount_is_one_of_its_currency_and_what_nobody_was_shown_is_not_free(
    changes: dict[str, Any],
    covered: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    action = Transfer().model_copy(update=changes)
    bound = approval(step="send", same={"currency": "EUR"}, up_to={"amount": "50"})
    free = approval(step="send", same={"to": "S1"}, up_to={"amount": "50"})
    plain = approval(step="send", same={"to": "S1"}, up_to={})
    for given_ in (action, action.model_dump(mode="json")):
        assert covers(bound, "send", given_) is covered
        assert not covers(free, "send", given_)
        assert covers(plain, "send", given_) is not bool({"lines", "extra"} & {*changes})


NAMES = st.sampled_from(["extra_cost", "carrier", "pieces", "weight", "none"])
NUMBERS = st.one_of(
    st.decimals(allow_nan=True, allow_infinity=True),
    st.decimals(min_value=0, max_value=100, places=2),
    st.integers(-5, 100),
    st.floats(),
)
VALUES = st.one_of(NUMBERS, st.text(max_size=4), st.booleans(), st.none(), st.just("XY"))
ACTIONS = st.dictionaries(NAMES, VALUES, max_size=5)
BOUNDS = st.dictionaries(NAMES, st.decimals(0, 100, places=2), max_size=3)
SAME = st.dictionaries(NAMES, st.one_of(st.just("XY"), st.integers(0, 3), st.booleans()))


def is_within(value: object, bound: Decimal) -> bool:
    """The oracle: in other words than the code's."""
    if isinstance(value, bool) or value is None:
        return False
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return False
    return number.is_finite() and number >= 0 and not number > bound


@settings(max_examples=500, deadline=None)
@given(action=ACTIONS, up_to=BOUNDS, same=SAME)
def test_what_is_over_a_bound_or_another_value_is_never_covered(
    action: dict[str, Any], up_to: dict[str, Decimal], same: dict[str, Any]
) -> None:
    assume(up_to or same)
    mandate = approval(up_to=up_to, same=same)
    # JSON holds decimals as texts.
    as_json = {k: str(v) if isinstance(v, Decimal) else v for k, v in action.items()}
    if covers(mandate, "rebook", as_json):
        assert all(is_within(action.get(name), bound) for name, bound in up_to.items())
        for name, wanted in same.items():
            assert type(as_json[name]) is type(wanted)
            assert as_json[name] == wanted


@settings(max_examples=500, deadline=None)
@given(
    cost=st.decimals(-10, 100, places=3),
    pieces=st.integers(-2, 6),
    weight=st.floats(-1, 6),
    carrier=st.sampled_from(["XY", "xy", "XY ", "ZZ"]),
    bound=st.decimals(0, 100, places=3),
)
def test_a_model_is_covered_exactly_when_every_field_is_within(
    cost: Decimal, pieces: int, weight: float, carrier: str, bound: Decimal
) -> None:
    action = Rebook(extra_cost=cost, pieces=pieces, weight=weight, carrier=carrier)
    mandate = approval(up_to={"extra_cost": bound, "pieces": 3, "weight": "2.5"})
    wanted = 0 <= cost <= bound and 0 <= pieces <= 3 and 0 <= weight <= 2.5 and carrier == "XY"
    assert covers(mandate, "rebook", action) is wanted
    assert covers(mandate, "rebook", action.model_dump(mode="json")) is wanted


@pytest.mark.parametrize(
    ("bound", "value"),
    [("50", "50.00000000000000000000000000000000000001"), ("0.3", "0.30000000000000004")],
)
def test_no_digit_is_lost(bound: str, value: str) -> None:
    mandate = approval(up_to={"extra_cost": bound})
    assert covers(mandate, "rebook", Rebook(extra_cost=Decimal(bound)))
    assert not covers(mandate, "rebook", Rebook(extra_cost=Decimal(value)))


@pytest.mark.parametrize(
    "value",
    [True, None, "5 ", " 5", "5_0", "\u0665", "0x5", "", [], {}, "NaN", "sNaN", "-1", "Infinity"],
)
def test_what_is_no_plain_number_is_not_covered(value: Any) -> None:
    action = Rebook().model_dump(mode="json") | {"extra_cost": value}
    assert not covers(approval(), "rebook", action)


@pytest.mark.parametrize("value", ["1", 1.0, True, None, [1], {"1": 1}])
def test_the_same_value_is_of_the_same_type(value: Any) -> None:
    mandate = approval(same={"pieces": 1})
    action = Rebook(pieces=1).model_dump(mode="json")
    assert covers(mandate, "rebook", action)
    assert not covers(mandate, "rebook", action | {"pieces": value})


def test_a_text_of_a_model_is_no_number() -> None:
    mandate = approval(up_to={"shipment": "50"})
    assert not covers(mandate, "rebook", Rebook(shipment="5"))


def test_a_field_that_is_not_there_is_not_covered() -> None:
    action = Rebook().model_dump(mode="json")
    assert not covers(approval(same={"carier": None}), "rebook", action)
    assert not covers(approval(up_to={"cost": 5}), "rebook", action)


def test_it_is_for_its_own_step_agent_and_time_and_never_for_good() -> None:
    mandate, action = approval(), Rebook()
    assert allowed(mandate, "rebook", action, "shipments", reversible=True, now=NOW)
    assert not allowed(mandate, "rebook", action, "shipments", reversible=False, now=NOW)
    assert not allowed(mandate, "cancel", action, "shipments", reversible=True, now=NOW)
    assert not allowed(mandate, "rebook", action, "refunds", reversible=True, now=NOW)
    assert not allowed(
        mandate, "rebook", action, "shipments", reversible=True, now=NOW - timedelta(seconds=1)
    )
    assert not allowed(mandate, "rebook", action, "shipments", reversible=True, now=mandate.ends)


def test_those_that_allow_it_come_the_first_to_end_first_and_no_delegation_is_among_them() -> None:
    later = VerifiedMandate(approval(id="b" * 32, ends=NOW + 9 * HOUR), "k")
    first = VerifiedMandate(approval(), "k")
    small = VerifiedMandate(approval(id="c" * 32, up_to={"extra_cost": "49.99"}), "k")
    said = [later, small, VerifiedMandate(delegation(), "k"), first]
    assert standing_approvals(said, "rebook", Rebook(), "shipments", reversible=True, now=NOW) == [
        first,
        later,
    ]
    assert (
        standing_approvals(said, "rebook", Rebook(), "shipments", reversible=False, now=NOW) == []
    )


def test_who_answers_in_whose_place() -> None:
    said = [
        VerifiedMandate(delegation(), "k"),
        VerifiedMandate(delegation(id="e" * 32), "k"),  # the same again
        VerifiedMandate(delegation(id="f" * 32, to="Cy@example.com"), "k"),
        VerifiedMandate(delegation(id="g" * 32, to="dan@example.com", agent="refunds"), "k"),
        VerifiedMandate(delegation(id="h" * 32, to="eve@example.com", begins=NOW + HOUR), "k"),
        VerifiedMandate(approval(), "k"),
    ]
    assert delegations(said, "shipments", NOW) == {
        "ana@example.com": ("bo@example.com", "cy@example.com")
    }
    assert delegations(said, "shipments", NOW + 8 * HOUR) == {}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"ends": NOW}, "end after"),
        ({"ends": NOW + mandates.LONGEST + timedelta(seconds=1)}, "31 days"),
        ({"begins": "2026-11-22T12:00:00"}, "with its zone"),
        ({"uses": 0}, "greater than or equal to 1"),
        ({"uses": 1001}, "less than or equal to 1000"),
        ({"uses": None}, "needs `step`, `role` and `uses`"),
        ({"same": {}, "up_to": {}}, "at least one field"),
        ({"up_to": {"extra_cost": "-1"}}, "greater than or equal to 0"),
        ({"up_to": {"extra_cost": "NaN"}}, "finite"),
        ({"up_to": {"extra_cost": "Infinity"}}, "finite"),
        ({"to": "bo@example.com"}, "has no `to`"),
        ({"by": " "}, "at least 1 item"),
        ({"irreversible": True}, "Extra inputs"),
    ],
)
def test_a_standing_approval_without_bounds_cannot_be_written(
    more: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        approval(**more)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"to": None}, "names another person"),
        ({"to": "ANA@example.com"}, "names another person"),
        ({"ends": NOW + timedelta(days=32)}, "31 days"),
        ({"uses": 3}, "a delegation has no"),
        ({"up_to": {"extra_cost": 5}}, "a delegation has no"),
    ],
)
def test_a_delegation_is_to_one_other_person_for_a_time(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        delegation(**more)


def test_a_statement_counts_for_who_signed_it_under_its_own_id_only() -> None:
    mandate = approval()
    payload = mandate.model_dump(mode="json")
    assert mandates.mandate_of(mandate.id, payload, "ANA@example.com", "k") == VerifiedMandate(
        mandate, "k"
    )
    with pytest.raises(NoMandate, match="signed for bo@"):
        mandates.mandate_of(mandate.id, payload, "bo@example.com", "k")
    with pytest.raises(NoMandate, match="was signed as a"):
        mandates.mandate_of("another1", payload, "ana@example.com", "k")
    with pytest.raises(NoMandate, match="is not one: uses"):
        mandates.mandate_of(mandate.id, payload | {"uses": 10**9}, "ana@example.com", "k")


# Made from an open gate


def made(**more: Any) -> Mandate:
    said: dict[str, Any] = {
        "agent": "shipments",
        "by": "Ana@example.com",
        "role": "lead",
        "begins": NOW,
        "ends": NOW + HOUR,
        "uses": 5,
        "up_to": {"extra_cost": Decimal(60)},
    }
    action = Rebook().model_dump(mode="json")
    return mandates.standing_approval_like(
        "rebook", action, more.pop("risk", "reversible"), **said | more
    )


def test_it_is_made_of_what_the_gate_asks_about_and_covers_that() -> None:
    mandate = made(same={"carrier": "XY"})
    assert covers(mandate, "rebook", Rebook())
    assert (mandate.by, mandate.uses, mandate.kind) == ("ana@example.com", 5, "standing")
    assert made().id != made().id


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"risk": "irreversible"}, "rebook cannot be undone"),
        ({"risk": ""}, "rebook is not known to be one that can be undone"),
        ({"up_to": {"extra_cost": Decimal("49.99")}}, "would not be covered: extra_cost"),
        ({"same": {"carrier": "YX"}}, "would not be covered: carrier"),
        ({"up_to": {"carrier": Decimal(5)}}, "would not be covered: carrier"),
        ({"same": {"carier": "XY"}}, "no field carier; there are: shipment, carrier"),
        ({"up_to": {}}, "at least one field"),
        ({"uses": 1001}, "uses: Input should be less than or equal to 1000"),
        ({"ends": NOW + timedelta(days=32)}, "31 days"),
    ],
)
def test_what_is_no_such_approval_is_refused_when_it_is_made(
    more: dict[str, Any], why: str
) -> None:
    with pytest.raises(NoMandate, match=why):
        made(**more)


def test_the_ledger_keeps_it_under_its_own_id() -> None:
    mandate = mandates.new_delegation(
        agent="a", by="ana@example.com", to="Bo@example.com", begins=NOW, ends=NOW + HOUR
    )
    row = mandates.mandate_row(mandate, "signed")
    assert (row.id, row.to, row.text, row.used) == (mandate.id, "bo@example.com", "signed", 0)
    with pytest.raises(NoMandate, match="another person"):
        mandates.new_delegation(agent="a", by="x", to="X", begins=NOW, ends=NOW + HOUR)
