"""What the fields of actions and of evidence are in, as their author says."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, cast, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from handrail.oversight import CURRENCY

_CURRENCY: Final = 3
"""Letters of a currency."""


def units_of(fact: str, kind: type[Any], value: Any) -> dict[str, str]:
    """The unit of each field that has one, by the name that a rule has for it: `action.amount`.

    A field says its own by `Field(json_schema_extra={"unit": "kg"})`; a `Decimal` that does not
    is in the `currency` beside it. `kind`: a model; of any other class nothing is known.
    """
    return dict(_units(fact, kind, value, ())) if issubclass(kind, BaseModel) else {}


def _units(
    path: str, kind: type[BaseModel], value: Any, above: tuple[type[BaseModel], ...]
) -> Iterator[tuple[str, str]]:
    given = cast("dict[str, Any]", value if isinstance(value, dict) else {})
    currency = given.get(CURRENCY)
    known = isinstance(currency, str) and len(currency) == _CURRENCY
    for name, field in kind.model_fields.items():
        parts = _parts(field.annotation)
        unit = stated_unit(field)
        if not unit and known and Decimal in parts:
            unit = str(currency)
        if unit:
            yield f"{path}.{name}", unit
        for part in parts:
            if isinstance(part, type) and issubclass(part, BaseModel) and part not in above:
                yield from _units(f"{path}.{name}", part, given.get(name), (*above, kind))


def stated_unit(field: FieldInfo) -> str:
    """The unit that a field says of itself, or of what is in it; empty if it says none."""
    within = (each for each in _parts(field.annotation) if isinstance(each, FieldInfo))
    return next((unit for each in (field, *within) if (unit := _stated(each))), "")


def _stated(field: FieldInfo) -> str:
    extra: Any = field.json_schema_extra
    unit = cast("dict[str, Any]", extra if isinstance(extra, dict) else {}).get("unit")
    return unit if isinstance(unit, str) else ""


def unstated_amounts(kind: type[BaseModel]) -> Iterator[str]:
    """The fields of which people would read a number, and not of what."""
    for name, field in kind.model_fields.items():
        parts = _parts(field.annotation)
        if Decimal in parts and not stated_unit(field) and CURRENCY not in kind.model_fields:
            yield name


def _parts(annotation: Any) -> list[Any]:
    """A type, all types within it, and what they are annotated with."""
    found = [annotation]
    for part in found:  # grows as it goes
        found += get_args(part)
    return found
