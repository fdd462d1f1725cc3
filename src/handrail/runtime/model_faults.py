"""What an agent's models hold that JSON does not bring back: said before anybody is asked.

By a list of what holds, not of what does not: of a type that is not on it nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin
from uuid import UUID

from pydantic import (
    AliasChoices,
    AnyUrl,
    AwareDatetime,
    BaseModel,
    EmailStr,
    FutureDate,
    FutureDatetime,
    JsonValue,
    NaiveDatetime,
    PastDate,
    PastDatetime,
    SecretBytes,
    SecretStr,
)
from pydantic.fields import FieldInfo
from pydantic.functional_serializers import PlainSerializer, SerializeAsAny, WrapSerializer

from handrail.actions import Event
from handrail.agent import Decide, Step, Write

_TEXTS = (
    str, Decimal, date, datetime, time, timedelta, UUID, Path, AnyUrl,
    IPv4Address, IPv4Network, IPv6Address, IPv6Network,
)  # fmt: skip
_TIMES = (Decimal, date, time, timedelta)
_MOMENTS = {AwareDatetime, NaiveDatetime, PastDate, FutureDate, PastDatetime, FutureDatetime}
_NAMED = {*_MOMENTS, EmailStr}
_FIXES = {
    Any: "say of which type it is, or JsonValue",
    object: "say of which type it is, or JsonValue",
    bytes: "make it a str, in hex or base64",
    SecretStr: "take it in the write by `handrail.secret`, and keep its name here",
    SecretBytes: "take it in the write by `handrail.secret`, and keep its name here",
    set: "make it a list or a tuple: a set has no order, and its text another in each process",
    frozenset: "make it a list or a tuple: a set has no order, and its text another each time",
}
_FIX = (
    "use str, int, float, bool, Decimal, a date, an Enum, a model, or a list, tuple or dict of them"
)
_WRITERS: Any = (PlainSerializer, WrapSerializer, SerializeAsAny)
_FORMS: dict[Any, str] = {bool: "boolean", int: "number", float: "number"}


def faults_of(event: type[Event], steps: Iterable[Step[..., Any]]) -> list[str]:
    """The faults of what an agent's cases hold: its event, its actions, and their evidence."""
    kinds: list[type[BaseModel]] = [event]
    for step in steps:
        kinds += [step.evidence, *step.actions] if isinstance(step, Decide) else []
        kinds += [cast("Write[Any, Any]", step).action] if isinstance(step, Write) else []
    return [fault for kind in dict.fromkeys(kinds) for fault in shape_faults(kind)]


def shape_faults(kind: type[BaseModel]) -> list[str]:
    """What of a model, or within it, is another after its way through JSON; each with its fix."""
    if not hasattr(kind, "model_fields"):
        return [f"{kind} is no model; fix: name one, and NoEvidence where there is no evidence"]
    return list(dict.fromkeys(_of_model(kind, kind.__name__, frozenset())))


def _of_model(kind: type[BaseModel], name: str, within: frozenset[type]) -> Iterator[str]:
    if kind in within:
        return
    if kind is BaseModel:
        yield f"{name} is any model, and comes back as none; fix: say which"
    decorated, config = kind.__pydantic_decorators__, kind.model_config
    for computed in kind.model_computed_fields:
        yield f"{name}.{computed} is computed: nobody is shown it; fix: make it a plain property"
    own = decorated.model_serializers or decorated.field_serializers
    if own or config.get("json_encoders"):
        yield f"{name} is written by a serializer of its own; fix: let its fields hold what is kept"
    if config.get("extra") == "allow":
        yield f"{name} takes fields of any type; fix: name them, or hold them in a dict"
    for key, declared in kind.model_fields.items():
        yield from _of_field(kind, declared, key, f"{name}.{key}")
        chosen = declared.discriminator is not None
        inner = within | {kind}
        yield from _of_type(declared.annotation, f"{name}.{key}", inner, chosen=chosen)


def _of_field(kind: type[BaseModel], declared: FieldInfo, key: str, path: str) -> Iterator[str]:
    if declared.exclude or declared.exclude_if is not None:
        yield f"{path} is excluded, and would be lost; fix: keep it, or take it out"
    if any(isinstance(each, _WRITERS) for each in declared.metadata):
        yield f"{path} is written by a serializer of its own; fix: let it hold what is kept"
    if issubclass(kind, Event):
        if _one_way(key, declared):
            yield f"{path} is written under another alias than it is read by; fix: give it `alias`"
        return
    strict = any(getattr(each, "strict", False) for each in declared.metadata)
    if (strict or kind.model_config.get("strict")) and _needs_python(declared.annotation):
        # The texts of an action are made whole first: it is then read from Python, not from JSON.
        yield f"{path} is strict, and takes no JSON; fix: let it be read from a text or a list"


def _needs_python(kind: Any) -> bool:
    """Whether a strict type takes what no JSON has: a date, a decimal, a tuple."""
    plain = isinstance(kind, type) and get_origin(kind) is None and issubclass(kind, _TIMES)
    plain = plain or kind in _MOMENTS or get_origin(kind) is tuple
    return plain or any(map(_needs_python, get_args(kind)))


def _one_way(key: str, declared: FieldInfo) -> bool:
    read: Any = declared.validation_alias or declared.alias
    known = read.choices if isinstance(read, AliasChoices) else [read]
    return declared.serialization_alias not in {
        None,
        key,
        *(k for k in known if isinstance(k, str)),
    }


def _of_type(  # noqa: C901, PLR0912  # a list of types
    kind: Any, path: str, within: frozenset[type], *, chosen: bool = False
) -> Iterator[str]:
    origin, args = get_origin(kind), get_args(kind)
    if kind is JsonValue or kind in {NoneType, None, bool, int, float} | _NAMED:
        return
    if origin is Annotated:
        if any(isinstance(each, _WRITERS) for each in args[1:]):
            yield f"{path} is written by a serializer of its own; fix: let it hold what is kept"
        chosen = chosen or any(getattr(each, "discriminator", None) for each in args[1:])
        yield from _of_type(args[0], path, within, chosen=chosen)
    elif hasattr(kind, "__value__"):
        yield from _of_type(kind.__value__, path, within, chosen=chosen)
    elif origin in {Union, UnionType}:
        forms = [_form(arg) for arg in args]
        if not chosen and len(set(forms)) < len(forms):
            yield f"{path} may be several that look alike in JSON; fix: give them a discriminator"
        for arg in args:
            yield from _of_type(arg, path, within)
    elif origin is Literal:
        if not all(arg is None or isinstance(arg, (str, int)) for arg in args):
            yield f"{path} has choices that are no JSON; fix: use texts or whole numbers"
    elif origin in {list, tuple} or (origin is dict and args[0] is str):
        for arg in args:
            yield from () if arg is ... else _of_type(arg, path, within)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from _of_model(kind, path, within)
    elif isinstance(kind, type) and issubclass(kind, Enum):
        if not all(isinstance(each.value, (str, int)) for each in kind):
            yield f"{path} has choices that are no JSON; fix: give them texts or whole numbers"
    elif not (isinstance(kind, type) and origin is None and issubclass(kind, _TEXTS)):
        said = getattr(kind, "__name__", str(kind))
        fix = _FIXES.get(origin or kind, _FIX)
        yield f"{path} is of the type {said}, which JSON does not bring back; fix: {fix}"


def _form(kind: Any) -> str:
    """What a type is in JSON. Two of one form are told apart by nothing."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _form(get_args(kind)[0])
    if kind in {NoneType, None, bool, int, float}:
        return _FORMS.get(kind, "null")
    if origin in {list, tuple}:
        return "array"
    model = isinstance(kind, type) and issubclass(kind, BaseModel)
    return "object" if model or origin is dict else "string"
