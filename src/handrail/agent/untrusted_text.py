"""Text from outside in whatever a case is given: looked for often, in workflows, and so quickly."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, JsonValue, RootModel
from pydantic_core import to_jsonable_python

from handrail.actions import Action, Decision
from handrail.agent.provenance_values import fields, is_many
from handrail.exceptions import fallback
from handrail.marks import FIELD, Untrusted

LONG = 24
"""Characters from which on a text from outside is known again in plain text."""

UNSEEN = "(a text from outside, which a plan does not see)"


def holds_untrusted(value: Any) -> bool:
    """Whether a value holds text from outside, or is the word of a model. True if in doubt."""
    return fallback(True, lambda: any(True for _ in marks(value)))


def holds_decided(value: Any) -> bool:
    """Whether a value holds the word of a model. True if in doubt."""
    return fallback(True, lambda: not all(marks(value)))


def texts_from_outside(value: Any) -> frozenset[str]:
    """The longer texts from outside that a value holds."""
    texts = map(str.strip, all_from_outside(value))
    return frozenset(text for text in texts if len(text) >= LONG)


def all_from_outside(value: Any) -> list[str]:
    """All texts from outside that a value holds; empty if in doubt, as `holds_untrusted` tells."""
    return fallback(list[str](), lambda: [text for text in marks(value) if text])


_SINGLE = frozenset(
    {str, int, float, bool, Decimal, datetime, date, time, timedelta, UUID, bytes, NoneType}
)


def marks(value: Any) -> Iterator[str]:
    """The texts from outside within a value; an empty one for a decision or an action.

    Raises:
        Exception: whatever a value raises that cannot be looked at.
    """
    kind: type = value.__class__
    if kind in _SINGLE or isinstance(value, Enum):
        return
    if isinstance(value, (Untrusted, Decision, Action)):
        yield value.text if isinstance(value, Untrusted) else ""
    elif isinstance(value, BaseModel):
        if not _is_plain(kind):
            yield from _of_fields(fields(value) or {"": getattr(value, "root", None)})
    elif isinstance(value, Mapping):
        yield from _of_fields(value)  # pyright: ignore[reportUnknownArgumentType]  # of anything
    elif (parts := fields(value)) is not None:
        yield from _of_fields(parts)
    elif is_many(value):
        for part in value:
            yield from marks(part)
    else:
        yield from marks(to_jsonable_python(value))


def _of_fields(parts: Mapping[Any, Any]) -> Iterator[str]:
    for name, part in parts.items():
        if name == FIELD:
            yield part if isinstance(part, str) else ""
        else:
            yield from marks(part)


@functools.lru_cache(maxsize=1_000)
def _is_plain(kind: type[BaseModel]) -> bool:
    """Whether a model has single values only, by the types of its fields."""
    if issubclass(kind, RootModel) or kind.model_config.get("extra") == "allow":
        return False
    known = kind.model_fields
    return FIELD not in known and all(_is_single(field.annotation) for field in known.values())


def _is_single(annotation: Any) -> bool:
    if get_origin(annotation) in {Union, UnionType}:
        return all(map(_is_single, get_args(annotation)))
    if not isinstance(annotation, type):
        return get_origin(annotation) is Literal
    return annotation in _SINGLE or issubclass(annotation, Enum)


def unread(value: JsonValue) -> JsonValue:
    """Arguments as JSON, without the texts from outside."""
    if isinstance(value, dict):
        return {key: UNSEEN if key == FIELD else unread(v) for key, v in value.items()}
    return [unread(each) for each in value] if isinstance(value, list) else value
