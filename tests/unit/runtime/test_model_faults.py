"""What JSON does not bring back is refused by `check`; what it lets be comes back exactly."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AliasPath,
    AnyUrl,
    BaseModel,
    Field,
    JsonValue,
    SecretStr,
    computed_field,
    create_model,
)

from handrail import Action, Decision, NoEvidence, decide
from handrail.actions import Ruling, as_json, digest_of, from_json
from handrail.agent import require_exact
from handrail.oversight import read_amendment
from handrail.runtime.model_faults import shape_faults


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    lives: int = 1


_TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
_PETS = st.builds(Cat, lives=st.integers()) | st.builds(Dog, lives=st.integers())
HOLD: list[tuple[Any, Any]] = [
    (str, _TEXT),
    (int, st.integers()),
    (bool, st.booleans()),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (date, st.dates()),
    (datetime, st.datetimes(timezones=st.just(UTC)) | st.datetimes()),
    (time, st.times()),
    (timedelta, st.timedeltas(timedelta(days=-999), timedelta(days=999))),
    (UUID, st.uuids()),
    (AnyUrl, st.just(AnyUrl("https://example.com/a?b=c"))),
    (Colour, st.sampled_from(Colour)),
    (Size, st.sampled_from(Size)),
    (Literal["a", 1] | None, st.sampled_from(["a", 1, None])),
    (
        JsonValue,
        st.recursive(st.none() | st.integers() | _TEXT, st.lists, max_leaves=4),
    ),
    (Annotated[Cat | Dog, Field(discriminator="kind")], _PETS),
    (int | str, st.integers() | _TEXT),
]
LOSE: list[Any] = [
    bytes, set[int], frozenset[str], Any, object, SecretStr, complex, Cat | Dog, date | str,
    int | float, Decimal | str, dict[int, str], list[Any], dict[str, set[int]],
]  # fmt: skip
ALIASES = [
    {}, {"alias": "from"}, {"serialization_alias": "out"}, {"validation_alias": "in"},
    {"validation_alias": AliasChoices("a", "b")}, {"validation_alias": AliasPath("x", 0)},
]  # fmt: skip


@st.composite
def held(draw: st.DrawFn, depth: int = 2) -> tuple[Any, Any]:
    """A type that JSON brings back, alone or nested, and values of it."""
    kind, values = draw(st.sampled_from(HOLD))
    shape = draw(
        st.sampled_from(["plain", "list", "tuple", "dict", "maybe", "model"][: 6 if depth else 1])
    )
    if shape == "model":
        inner, made = draw(models(depth - 1))
        return inner, made
    return {
        "plain": (kind, values),
        "list": (list[kind], st.lists(values, max_size=3)),
        "tuple": (tuple[kind, ...], st.lists(values, max_size=3).map(tuple)),
        "dict": (dict[str, kind], st.dictionaries(_TEXT, values, max_size=3)),
        "maybe": (kind | None, st.none() | values),
    }[shape]


@st.composite
def models(draw: st.DrawFn, depth: int = 2, base: type[BaseModel] = BaseModel) -> tuple[Any, Any]:
    """A model with fields of such types and aliases, and instances of it."""
    fields: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for number in range(draw(st.integers(1, 4))):
        kind, of = draw(held(depth))
        fields[f"f{number}"] = (kind, Field(**cast("Any", draw(st.sampled_from(ALIASES)))))
        values[f"f{number}"] = of
    make: Any = create_model
    model = make("Drawn", __base__=base, **fields)
    return model, st.fixed_dictionaries(values).map(lambda given: made_of(model, given))


def made_of(model: Any, given: dict[str, Any]) -> Any:
    return model.model_validate(given, by_name=True, by_alias=False)


@settings(max_examples=150)
@given(drawn=models(base=Action), data=st.data())
def test_what_check_lets_be_is_shown_amended_and_written_exactly(
    drawn: tuple[Any, Any], data: st.DataObject
) -> None:
    kind, values = drawn
    assert shape_faults(kind) == []
    action = data.draw(values)

    async def choose(it: Any) -> Any: ...

    choose.__annotations__ = {"it": str, "return": Decision[kind, NoEvidence]}
    decision: Any = Decision[kind, NoEvidence](
        action=action, rationale="", confidence=1, evidence=NoEvidence()
    )
    require_exact(decide(choose), decision)
    shown = json.loads(json.dumps(as_json(action)))
    assert from_json(kind, shown) == action
    assert digest_of("do", as_json(from_json(kind, shown))) == digest_of("do", shown)
    ruling = Ruling(gate="g", digest="0" * 12, by="ana@example.com", action=shown)
    assert read_amendment(kind, ruling).action == shown


@pytest.mark.parametrize("kind", LOSE, ids=str)
@pytest.mark.parametrize("nested", [False, True])
def test_what_json_does_not_bring_back_is_a_fault_with_its_fix(kind: Any, nested: bool) -> None:  # noqa: FBT001
    make: Any = create_model
    model = make("Lost", field=(kind, ...))
    model = make("Around", inner=(list[model], ...)) if nested else model
    (fault, *_) = shape_faults(model)
    assert "field" in fault
    assert "; fix: " in fault


def test_what_is_excluded_computed_or_open_is_a_fault() -> None:
    class Odd(BaseModel, extra="allow"):
        gone: int = Field(default=1, exclude=True)

        @computed_field
        @property
        def total(self) -> int:
            return self.gone

    assert len(shape_faults(Odd)) == 3
