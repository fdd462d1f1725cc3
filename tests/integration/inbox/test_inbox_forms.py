"""Forms from schemas: what goes in unchanged comes out unchanged, and what is wrong is said."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from handrail import Untrusted
from handrail.actions import Wire, json_schema
from handrail.inbox.web import forms, views
from handrail.inbox.web.site import TEMPLATES, numeric, span
from handrail.oversight import action_lines, changed_lines
from tests.agents.refunds_steps import Account, Refund


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(Wire):
    text: str = ""
    weight: float = 1.5


class Everything(Wire):
    model_config = ConfigDict(defer_build=False)  # so that its signature is known

    name: str
    count: int
    price: Decimal
    ratio: float
    day: date
    at: datetime
    flag: bool
    colour: Colour
    kind: Literal["a", "b"]
    inner: Inner
    many: list[Inner]
    anything: dict[str, int] = Field(default_factory=dict[str, int])
    maybe: str | None = None
    maybe_number: int | None = None
    either: int | str = 0


_TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r"), max_size=30)
_INNER = st.builds(Inner, text=_TEXT, weight=st.floats(-1e6, 1e6))
_PRICES = st.decimals(-(10**6), 10**6, places=2)


def sent(shown: tuple[forms.FormField, ...]) -> dict[str, str]:
    """What a browser would send of a form that nobody touched."""
    found: dict[str, str] = {}
    for each in shown:
        if each.kind == "group":
            found |= sent(each.fields)
        elif each.kind != "bool":
            found[each.name] = each.value.replace("\n", "\r\n")
        elif each.checked:
            found[each.name] = "true"
    return found


@given(
    st.builds(
        Everything,
        name=_TEXT,
        price=_PRICES,
        ratio=st.floats(-1e6, 1e6),
        at=st.datetimes(min_value=datetime(1970, 1, 1)),  # noqa: DTZ001
        day=st.dates(),
        inner=_INNER,
        many=st.lists(_INNER, max_size=3),
        anything=st.dictionaries(_TEXT, st.integers(-99, 99), max_size=3),
        maybe=st.none() | st.text("abc \n", min_size=1),
        maybe_number=st.none() | st.integers(),
    )
)
def test_a_form_that_nobody_touched_gives_back_the_same(thing: Everything) -> None:
    schema, value = Everything.model_json_schema(), thing.model_dump(mode="json")
    filled = forms.read(schema, sent(forms.fields(schema, value)))
    assert filled.errors == {}
    assert Everything.model_validate(filled.value) == thing
    assert filled.value["price"] == value["price"]


@given(
    st.recursive(
        st.booleans() | st.integers(-999, 999) | _TEXT,
        lambda inner: st.dictionaries(st.text("ab/~ .", min_size=1, max_size=5), inner, max_size=3),
        max_leaves=6,
    )
)
def test_so_does_one_made_of_a_value_alone(value: Any) -> None:
    whole = {"a": value}
    schema = forms.schema_of(whole)
    assert forms.read(schema, sent(forms.fields(schema, whole))).value == whole


def kinds(model: type[BaseModel], value: Any) -> dict[str, str]:
    return {each.label: each.kind for each in forms.fields(model.model_json_schema(), value)}


def test_each_kind_of_field_has_its_own_input() -> None:
    found = kinds(Everything, {"name": "x" * 100})
    assert found == {
        "name": "long",
        "count": "integer",
        "price": "decimal",
        "ratio": "number",
        "day": "date",
        "at": "text",
        "flag": "bool",
        "colour": "choice",
        "kind": "choice",
        "inner": "group",
        "many": "json",
        "anything": "json",
        "maybe": "text",
        "maybe number": "integer",
        "either": "json",
    }


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("f/count", "٣", "whole number"),
        ("f/count", "1e3", "whole number"),
        ("f/price", "1,50", "with a point"),
        ("f/price", "Infinity", "with a point"),
        ("f/ratio", "1e999", "too large"),
        ("f/day", "2026-02-30", "write a date"),
        ("f/many", "[NaN]", "not JSON"),
        ("f/many", "[" * 100_000, "not JSON"),
        ("f/many", '[{"text": 3}]', "3"),
        ("f/colour", '"green"', "green"),
        ("f/ratio", "9007199254740993", "more digits than are kept"),
        ("f/ratio", "0.1234567890123456789", "more digits than are kept"),
    ],
)
def test_what_cannot_be_is_said(name: str, text: str, says: str) -> None:
    schema = Everything.model_json_schema()
    good = Everything(
        name="n", count=1, price=Decimal(1), ratio=1, day=date(2026, 1, 1),
        at=datetime(2026, 1, 1), flag=True, colour=Colour.RED, kind="a", inner=Inner(), many=[],  # noqa: DTZ001
    )  # fmt: skip
    fields = sent(forms.fields(schema, good.model_dump(mode="json")))
    filled = forms.read(schema, fields | {name: text})
    assert says in filled.errors[name]


class Noted(Wire):
    name: str
    body: Untrusted
    note: str = ""
    more: str | None = None


def test_a_text_that_is_left_out_where_one_must_be_is_said() -> None:
    schema, blank = json_schema(Noted), {"f/name": " ", "f/body": "", "f/note": "", "f/more": ""}
    left_out = forms.read(schema, blank, blank=False)
    assert left_out.errors == dict.fromkeys(("f/name", "f/body"), "this must be filled in")
    filled = forms.read(schema, blank | {"f/name": "Ida", "f/body": "Hello"}, blank=False)
    assert filled == forms.FormInput(
        {"name": "Ida", "body": {"untrusted": "Hello"}, "note": "", "more": None}
    )


def test_bounds_of_a_decimal_count_although_it_is_text() -> None:
    schema = Refund.model_json_schema()
    value = Refund(
        order="1", amount=Decimal(5), reason="late", due=date(2026, 1, 1), parcels=1,
        send_mail=False, account=Account(holder="I", iban="D"),
    ).model_dump(mode="json")  # fmt: skip
    fields = sent(forms.fields(schema, value))
    for text, says in (("0", "more than 0"), ("500.01", "at most 500"), ("500", "")):
        errors = forms.read(schema, fields | {"f/amount": text}).errors
        assert errors.get("f/amount", "").endswith(says)
        assert bool(errors) == bool(says)


def test_two_fields_of_one_way_are_both_shown() -> None:
    before = {"to / x": "2", "to": {"x": "1"}, "": "a", '"to / x"': "b"}
    after = before | {"to / x": "99"}
    changes = {line.name: line.changes for line in changed_lines(before, after)}
    assert changes == {'"to / x"': True, "to / x": False, '""': False, r'"\"to / x\""': False}
    assert [line.name for line in action_lines(after, None)] == list(changes)


def test_what_changes_is_found_in_the_evidence_where_it_is_one_thing() -> None:
    action = {"carrier": "rail", "cost": "5", "to": {"city": "Wien"}, "all": ["a", "b"]}
    evidence = {"shipment": {"carrier": "road"}, "a": {"cost": "1"}, "b": {"cost": "2"}}
    found = {line.name: line for line in action_lines(action, evidence)}
    assert (found["carrier"].before, found["carrier"].changes) == ("road", True)
    assert not found["cost"].known
    assert found["to / city"].value == "Wien"
    assert found["all"].listed
    assert {line.name: line.changes for line in changed_lines(action, action | {"cost": "6"})} == {
        "carrier": False,
        "cost": True,
        "to / city": False,
        "all": False,
    }


@given(st.text())
def test_nothing_that_hides_gets_into_a_page(text: str) -> None:
    shown = TEMPLATES.from_string("<p>{{ it }}</p>").render(it=text)
    assert not any(0x202A <= ord(c) <= 0x202E or c in "\u200b\ufeff\x00\x1b" for c in shown)
    assert shown.count("<") == 2


def test_numbers_and_spans_are_told() -> None:
    assert [numeric(v) for v in (5, "84.00", "-1", True, "A-1", None, "1e5")] == [
        True, True, False, False, False, False, False,
    ]  # fmt: skip
    assert span(views.SOON) == "1 h"


class Touched(Wire):
    known: bool | None
    sure: bool
    note: str | None
    price: Decimal
    source: str = Field(alias="from")
    lines: str = ""


UNTOUCHED = {
    "known": None,
    "sure": True,
    "note": "",
    "price": "1E+3",
    "source": "DE1",
    "lines": "one\rtwo\r\n\nthree",
}


@pytest.mark.parametrize("known", [None, True, False])
def test_what_nobody_touched_goes_back_as_the_gate_has_it(known: bool | None) -> None:  # noqa: FBT001
    schema, before = json_schema(Touched), UNTOUCHED | {"known": known}
    browser = sent(forms.fields(schema, before)) | {"f/lines": "one\r\ntwo\r\n\r\nthree"}
    given = {name: text for name, text in browser.items() if name != "f/note"} | {"f/note": ""}
    filled = forms.read(schema, given, before)
    assert filled == forms.FormInput(before)
    filled = forms.read(schema, given | {"f/known": "false", "f/source": "DE2"}, before)
    assert filled.value == before | {"known": False, "source": "DE2"}


def test_yes_no_and_not_known_are_three_choices() -> None:
    shown = forms.fields(json_schema(Touched), UNTOUCHED)[0]
    assert (shown.kind, shown.nullable, shown.value) == ("choice", True, "")
    assert shown.choices == (("true", "yes"), ("false", "no"))


def test_a_choice_that_there_is_no_more_stays_what_was_proposed() -> None:
    schema = {"type": "object", "properties": {"colour": {"enum": ["blue", "green"]}}}
    (shown,) = forms.fields(schema, {"colour": "red"})
    assert shown.choices[0] == (shown.value, "red")
    assert forms.read(schema, sent((shown,)), {"colour": "red"}).value == {"colour": "red"}


class Times(Wire):
    opens: time
    also: dict[str, time]


def test_a_time_with_fractions_and_without_a_zone_is_one() -> None:
    schema, before = json_schema(Times), {"opens": "08:00:00.25", "also": {"": "09:00:00.25"}}
    browser = sent(forms.fields(schema, before))
    assert forms.read(schema, browser, before) == forms.FormInput(before)
    changed = browser | {"f/opens": "07:30:00.5", "f/also": '{"": "10:00:00.5"}'}
    filled = forms.read(schema, changed, before)
    assert filled == forms.FormInput({"opens": "07:30:00.5", "also": {"": "10:00:00.5"}})


def test_what_the_schema_says_of_what_nobody_touched_is_nobodys_fault() -> None:
    each = {"type": "object", "additionalProperties": {"maximum": 3}}
    schema = {"type": "object", "properties": {"many": each, "note": {"type": "string"}}}
    before = {"many": {"a": 9}, "note": ""}
    given = sent(forms.fields(schema, before)) | {"f/note": "n"}
    assert forms.read(schema, given, before) == forms.FormInput(before | {"note": "n"})
    assert forms.read(schema, given | {"f/many": '{"a": 8}'}, before).errors


class Letter(Wire):
    body: Untrusted
    answer: Untrusted | None = None


def test_a_text_from_outside_is_a_text_to_fill_in_and_stays_marked() -> None:
    schema = json_schema(Letter)
    body, answer = forms.fields(schema, {"body": {"untrusted": "Dear all"}, "answer": None})
    assert (body.kind, body.value, body.help) == ("long", "Dear all", "")
    assert (answer.kind, answer.value, answer.nullable) == ("long", "", True)
    filled = forms.read(schema, {"f/body": "Dear\r\nme", "f/answer": ""})
    assert (filled.value, filled.errors) == (
        {"body": {"untrusted": "Dear\nme"}, "answer": None},
        {},
    )
    before = {"body": "Dear all", "answer": {"untrusted": "Yes"}}
    shown = {each.name: each.value for each in forms.fields(schema, before)}
    assert forms.read(schema, shown, before).value == before
