"""Whatever a step returns is made fit for JSON: nothing else of it changes, or it is refused."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from pydantic_core import to_json

from handrail import Action, Decision
from handrail.actions import Kind, NoEvidence
from handrail.text import fit_text
from handrail.wire import fit


class Held(BaseModel):
    any: Any


@dataclass(frozen=True)
class Kept:
    any: Any


class Pair(NamedTuple):
    one: str
    two: str


class Short(Action):
    """Say something short."""

    text: str = Field(max_length=8)
    amount: float = 0
    perhaps: float | None = None


TEXTS = st.text(st.characters(codec=None, exclude_categories=()))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.decimals()
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(TEXTS, inner)
        | st.tuples(inner, inner)
        | st.builds(Held, any=inner)
        | st.builds(Kept, any=inner)
    ),
    max_leaves=15,
)


@given(VALUES)
def test_what_is_fit_goes_over_every_wire_and_is_fit_for_good(value: Any) -> None:
    try:
        made = fit(value)
    except ValueError as error:
        assert "two keys" in str(error)  # noqa: PT017  # a value that cannot be made fit
        return
    sent = to_json(made)
    assert b"\\u0000" not in sent
    json.loads(sent)
    assert fit(made) is made


@given(TEXTS)
def test_a_text_loses_nothing_that_can_be_kept(text: str) -> None:
    made = fit_text(text)
    made.encode()
    kept = [c for c in text if c != "\x00" and not "\ud800" <= c <= "\udfff"]
    assert [c for c in made if c in set(kept)] == kept or "\ufffd" in made
    assert fit_text(made) is made


@given(st.text())
def test_a_character_that_was_cut_in_two_is_one_again(text: str) -> None:
    whole = text.replace("\x00", "")
    raw = whole.encode("utf-16-be")
    halves = "".join(chr(int.from_bytes(raw[at : at + 2], "big")) for at in range(0, len(raw), 2))
    assert fit_text(halves) == whole


def test_what_is_fit_is_the_very_same() -> None:
    value = {
        Kind.PASS: Kind.HOLD,
        "a": [Short(text="so"), Decimal("1.50"), (1.5, None)],
        "b": Kept("x"),
    }
    assert fit(value) is value


def test_no_number_is_none_where_that_is_one_of_its_values() -> None:
    assert fit({"x": [math.nan, math.inf]}) == {"x": [None, None]}
    assert fit(Short(text="", perhaps=math.nan)).perhaps is None
    with pytest.raises(ValueError, match=r"Short.amount is nan, which JSON does not hold"):
        fit([Short(text="", amount=math.nan)])


def test_what_cannot_be_made_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="two keys"):
        fit(dict.fromkeys(map(chr, (0xD800, 0xD801))))
    with pytest.raises(ValueError, match="digits"):
        fit([10**5_000])


def test_kinds_stay() -> None:
    assert fit(Pair("\ud800", "b")) == Pair("\ufffd", "b")
    assert fit({"\x00"}) == {"\ufffd"}
    assert fit(Kept("\ud800")) == Kept("\ufffd")


def test_a_text_with_a_limit_may_be_cut_in_the_middle_of_a_character() -> None:
    made = Decision[Short, NoEvidence](
        action=Short(text="so \ud83d"), rationale="\ud83d", confidence=1, evidence=NoEvidence()
    )
    assert made.action == Short(text="so \ufffd")
    assert made.rationale == "\ufffd"
