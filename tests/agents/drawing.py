"""Models of every type that JSON brings back, alone and nested, as hypothesis draws them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal, cast
from uuid import UUID

from hypothesis import strategies as st
from pydantic import AliasChoices, AliasPath, AnyUrl, BaseModel, Field, JsonValue, create_model


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
