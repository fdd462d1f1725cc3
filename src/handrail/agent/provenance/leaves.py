"""The single values of what a decision was given, and which of them a wanted one may be."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final, cast
from uuid import UUID

from pydantic import BaseModel, RootModel
from pydantic_core import to_jsonable_python

from handrail.actions import Action, Decision
from handrail.marks import FIELD, From, Untrusted

_IDS: Final = ("id", "key")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class NotComparable(Exception):
    """Not a single value of a known type."""


class EqualToNothing:
    """What is equal to nothing: no number, a secret, text from outside."""


def exact(value: Any) -> Hashable:
    """A value with its type, so that only what is exactly the same is equal.

    Raises:
        Odd: if it is no single value of a known type.
    """
    kind: type = value.__class__
    if kind is str or (kind is Decimal and value.is_finite()):
        return kind, value
    match value:
        case Enum():
            return exact(value.value)
        case None | bool():
            return type(value), value
        case int() | float() | Decimal():
            number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
            return (Decimal, number) if number.is_finite() else EqualToNothing()
        case str() | UUID() | PurePath():
            return str, str(value)
        case datetime():
            aware = value.tzinfo is not None
            return datetime, aware, value.astimezone(UTC) if aware else value
        case date() | time() | timedelta() | bytes():
            return type(value), value
        case _:
            raise NotComparable(type(value).__name__)


@dataclass(frozen=True, eq=False)
class OwnerModel:
    """A model or mapping among the arguments. `names`: what a field that names it is called."""

    kind: type | str
    names: frozenset[str]
    parent: OwnerModel | None

    def line(self) -> Iterator[OwnerModel]:
        """It, and all that it is within."""
        owner: OwnerModel | None = self
        while owner is not None:
            yield owner
            owner = owner.parent


@dataclass(frozen=True, eq=False)
class Source:
    """A trusted value: of which field, and of what."""

    name: str
    owner: OwnerModel | None


@dataclass(frozen=True)
class DecisionValue:
    """A value of the decision.

    `free`: it needs no source. `scope`: the models it is within, each by a number. `source`:
    where it must come from, if its author says so.
    """

    path: str
    name: str
    value: Hashable
    scope: tuple[int, ...]
    free: bool = False
    source: From | None = None


@dataclass
class TrustedValues:
    """All trusted values of some arguments."""

    _at: dict[tuple[str, Hashable], list[Source]] = field(
        default_factory=dict[tuple[str, Hashable], list[Source]]
    )

    def add(self, name: str, value: Hashable, owner: OwnerModel | None) -> None:
        """Note a trusted value."""
        self._at.setdefault((name, value), []).append(Source(name, owner))

    @property
    def texts(self) -> Iterator[str]:
        """All trusted texts."""
        values = (value for _, value in self._at)
        return (v[1] for v in values if isinstance(v, tuple) and v and isinstance(v[1], str))

    def of(self, leaf: DecisionValue) -> list[Source]:
        """The trusted values that a value of the decision may be."""
        if leaf.source is not None:
            found = self._at.get((leaf.source.field, leaf.value), [])
            return [s for s in found if _is_a(s.owner, leaf.source.model)]
        found = list(self._at.get((leaf.name, leaf.value), []))
        for name in _IDS:
            meant = leaf.name.removesuffix(f"_{name}")
            of_id = self._at.get((name, leaf.value), [])
            found += [s for s in of_id if s.owner is not None and meant in s.owner.names]
        return found


def _is_a(owner: OwnerModel | None, model: type) -> bool:
    return owner is not None and isinstance(owner.kind, type) and issubclass(owner.kind, model)


def given(args: Iterable[tuple[str, Any]]) -> TrustedValues:
    """The trusted values of arguments, each with its parameter's name.

    Raises:
        Exception: whatever a value raises that cannot be looked at.
    """
    found = TrustedValues()
    for name, value in args:
        _gather(found, name, value, None)
    return found


def _gather(found: TrustedValues, name: str, value: Any, owner: OwnerModel | None) -> None:
    if isinstance(value, (Untrusted, Decision, Action)):
        return  # another's word
    if isinstance(value, RootModel):
        _gather(found, name, cast("RootModel[Any]", value).root, owner)
    elif (parts := fields(value)) is not None:
        _gather_model(found, _owner(name, value, owner), parts)
    elif isinstance(value, Mapping):
        _gather_mapping(found, name, cast("Mapping[Any, Any]", value), owner)
    elif is_many(value):
        if not value:
            found.add(name, (), owner)
        for part in value:
            _gather(found, name, part, owner)
    else:
        _gather_single(found, name, value, owner)


def _owner(name: str, value: Any, parent: OwnerModel | None) -> OwnerModel:
    kind: type = value.__class__
    return OwnerModel(kind, _names(kind) | {name}, parent)


def _gather_model(found: TrustedValues, owner: OwnerModel, parts: Mapping[str, Any]) -> None:
    for name, part in parts.items():
        if name != FIELD:
            _gather(found, name, part, owner)


def _gather_mapping(
    found: TrustedValues, name: str, value: Mapping[Any, Any], owner: OwnerModel | None
) -> None:
    if FIELD in value:
        return
    if not value:
        found.add(name, (), owner)
    within = OwnerModel(name, frozenset({name}), owner)
    for key, part in value.items():
        found.add(name, exact(key), within)
        _gather(found, str(key), part, within)
        if is_single(part):
            _gather(found, entry(name, key), part, within)


def _gather_single(found: TrustedValues, name: str, value: Any, owner: OwnerModel | None) -> None:
    try:
        found.add(name, exact(value), owner)
    except NotComparable:
        # As it came over the wire. What has no such form raises.
        _gather(found, name, to_jsonable_python(value), owner)


def entry(name: str, key: object) -> str:
    """What the single value under `key` of a mapping is called."""
    return f"{name}[{key}]"


def is_many(value: Any) -> bool:
    """Whether it is a list of some kind."""
    return isinstance(value, (Sequence, AbstractSet)) and not isinstance(value, (str, bytes))


def is_single(value: Any) -> bool:
    """Whether it has no parts."""
    parted = isinstance(value, (BaseModel, Mapping)) or is_many(value)
    return not parted and fields(value) is None


def fields(value: Any) -> Mapping[str, Any] | None:
    """The fields of a model, each with its value; None if it has none."""
    if isinstance(value, BaseModel):
        return {n: getattr(value, n) for n in type(value).model_fields} | (value.model_extra or {})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    named: Any = value
    if isinstance(value, tuple) and hasattr(named, "_asdict"):
        return named._asdict()
    return None


@functools.lru_cache(maxsize=1_000)
def _names(kind: type) -> frozenset[str]:
    """How a field may be called that names a model of this kind: `order`, `purchase_order`."""
    roots = ("builtins", "pydantic", "typing", "abc", "handrail.actions")
    own = [k.__name__ for k in kind.__mro__ if not k.__module__.startswith(roots)]
    plain = [name.partition("[")[0] for name in own]
    return frozenset(w.lower() for name in plain for w in (name, _HUMP.sub("_", name)))
