"""What JSON does not bring back is refused by `check`; what it lets be comes back exactly."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    SecretStr,
    computed_field,
    create_model,
)

from handrail import Action, Decision, NoEvidence, decide
from handrail.actions import Ruling, as_json, digest_of, from_json
from handrail.agent import require_exact
from handrail.oversight import read_amendment
from handrail.runtime.model_faults import shape_faults
from tests.agents.drawing import Cat, Dog, models

LOSE: list[Any] = [
    bytes, set[int], frozenset[str], Any, object, SecretStr, complex, Cat | Dog, date | str,
    int | float, Decimal | str, dict[int, str], list[Any], dict[str, set[int]],
]  # fmt: skip


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


with pytest.warns(DeprecationWarning, match="json_encoders"):

    class Encoded(BaseModel, json_encoders={date: str}):
        at: date


class Strict(BaseModel, strict=True):
    at: date | None


@pytest.mark.parametrize(
    ("kind", "field", "says"),
    [
        (BaseModel, ..., "any model"),
        (list[BaseModel], ..., "any model"),
        (int, Field(0, exclude_if=lambda value: value == 0), "excluded"),
        (Encoded, ..., "a serializer of its own"),
        (Strict, ..., "is strict"),
        (Decimal, Field(strict=True), "is strict"),
        (tuple[int, ...] | None, Field(strict=True), "is strict"),
        (list[list[AwareDatetime]], Field(strict=True), "is strict"),
    ],
)
def test_what_no_action_comes_back_with_is_a_fault(kind: Any, field: Any, says: str) -> None:
    make: Any = create_model
    (fault,) = shape_faults(make("Odd", __base__=Action, field=(kind, field)))
    assert fault.startswith("Odd.field")
    assert says in fault
    assert "; fix: " in fault


def test_what_is_excluded_computed_or_open_is_a_fault() -> None:
    class Odd(BaseModel, extra="allow"):
        gone: int = Field(default=1, exclude=True)

        @computed_field
        @property
        def total(self) -> int:
            return self.gone

    assert len(shape_faults(Odd)) == 3
