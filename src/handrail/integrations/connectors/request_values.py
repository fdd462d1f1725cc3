"""The values of a request: of an action, of its key, and of what an operation answered."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from handrail.exceptions import Final
from handrail.integrations.connectors.document import Operation, Place
from handrail.integrations.connectors.schemas import (
    Schemas,
    as_list,
    as_object,
    field_name,
    sent,
)
from handrail.marks import FIELD

KEY = "key"
"""In `find_by` and `undo_by`: the key under which the effect was made."""


def values_of(schemas: Schemas, places: Mapping[str, Place], act: BaseModel) -> dict[str, Any]:
    """The fields of an action as JSON. What is None, and need not be there, is left out.

    Raises:
        Final: if a decimal would become another number.
    """
    found: dict[str, Any] = {}
    for name, place in places.items():
        value: Any = getattr(act, name, None)
        if isinstance(value, Decimal) and place.schema.get("type") != "string":
            number = _number(value)
            # Behind a reference, or as one of several types, it may take texts alone.
            texts = number is None or schemas.faults(place.schema, number)
            if texts and not schemas.faults(place.schema, sent(value)):
                number = value
            if number is None:
                raise Final(f"{name}: no number of JSON keeps all of {value}; nothing was sent")
            value = number
        if value is not None or place.required:
            found[name] = sent(value)
    return found


def _number(value: Decimal) -> int | float | None:
    """A decimal as a number of JSON; None where that would be another one."""
    if not value.is_finite() or value.adjusted() > sys.float_info.max_10_exp:
        return None
    number = int(value) if value == value.to_integral_value() else float(value)
    return number if Decimal(repr(number)) == value else None


def body_of(operation: Operation, given: Mapping[str, Any]) -> Any:
    """The body of a request, as JSON; None if it has none."""
    places = {n: place for n, place in operation.places.items() if n in given}
    whole = next((n for n, place in places.items() if place.where == "whole"), None)
    if whole is not None:
        return given[whole]
    if not any(place.where == "body" for place in operation.places.values()):
        return None
    return {place.wire: given[n] for n, place in places.items() if place.where == "body"}


def chosen(
    by: Mapping[str, str], values: Mapping[str, Any], key: str, result: Any
) -> dict[str, Any]:
    """The parameters of a `find` or an `undo`, from the action, the key and the result."""
    found: dict[str, Any] = {}
    for name, source in by.items():
        of, _, inner = source.partition(".")
        if of == "result" and inner:
            known: Any = as_object(_bare(result)).get(inner)
            if known is None:
                raise Final(f"nobody knows {source} of what is to be taken back; look for it there")
            found[field_name(name)] = as_object(known).get(FIELD, known)
        elif source == KEY or source in values:
            found[field_name(name)] = key if source == KEY else values[source]
    return found


def keys_of(by: Mapping[str, str]) -> list[str]:
    """The parameters of a `find` or an `undo` that get the key."""
    return [field_name(name) for name, source in by.items() if source == KEY]


def _bare(result: Any) -> Any:
    """A result without a type was kept as its JSON, as text from outside."""
    if [*as_object(result)] != [FIELD]:
        return result
    try:
        return json.loads(as_object(result)[FIELD])
    except (ValueError, RecursionError):
        return None


def having(value: Any, name: str, key: str) -> Iterator[Any]:
    """The objects within an answer that have this key."""
    if as_object(value).get(name) == key:
        yield value
    for each in (*as_list(value), *as_object(value).values()):
        yield from having(each, name, key)


def texts_of(value: Any) -> list[str]:
    """A value as it stands in a URL or a header: each element of a list is one text."""
    many = as_list(value) if isinstance(value, list) else [value]
    return [each if isinstance(each, str) else json.dumps(each) for each in many]
