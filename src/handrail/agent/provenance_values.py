"""The single values of what a decision was given, and of what it decided: which may be which."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NewType,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)
from uuid import UUID

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from handrail.actions import Action, Decision, Event
from handrail.marks import FIELD, Classified, FreeText, From, Untrusted

# Of what a decision was given


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
    where it must come from, if its author says so. `optional`: its field has a default. `worded`:
    it is text that the agent words itself.
    """

    path: str
    name: str
    value: Hashable
    scope: tuple[int, ...]
    free: bool = False
    source: From | None = None
    raw: Any = field(default=None, compare=False)
    optional: bool = field(default=False, compare=False)
    worded: bool = field(default=False, compare=False)


@dataclass
class TrustedValues:
    """All trusted values of some arguments. `key_of`: the key of an event, if it is trusted."""

    key_of: Callable[[Event], str | None] | None = None
    _at: dict[tuple[str, Hashable], list[Source]] = field(
        default_factory=dict[tuple[str, Hashable], list[Source]]
    )

    def add(self, name: str, value: Hashable, owner: OwnerModel | None) -> None:
        """Note a trusted value."""
        self._at.setdefault((name, value), []).append(Source(name, owner))

    @property
    def texts(self) -> Iterator[str]:
        """All trusted texts."""
        return (value for value in self.values if isinstance(value, str))

    @property
    def values(self) -> Iterator[Any]:
        """All trusted values."""
        values = (cast("tuple[Any, ...]", v) for _, v in self._at if isinstance(v, tuple) and v)
        return (value[-1] for value in values)

    def has(self, text: str) -> bool:
        """Whether one is this text, or reads so."""
        return any(str(value) == text for value in self.values)

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

    def elsewhere(self, leaf: DecisionValue) -> str:
        """In which field a text stands that has no source of its name, and how to say so."""
        if not isinstance(leaf.raw, str) or not leaf.raw or leaf.source or self.of(leaf):
            return ""
        found = (sources for (_, value), sources in self._at.items() if value == leaf.value)
        for name, owner in ((each.name, each.owner) for sources in found for each in sources):
            kind = owner and owner.kind
            if isinstance(kind, type) and name in getattr(kind, "model_fields", ()):
                of = f"{kind.__name__}, {name!r}"
                return f": it is the {name} of {kind.__name__}; fix: say so by From({of})"
        return ""


def _is_a(owner: OwnerModel | None, model: type) -> bool:
    return owner is not None and isinstance(owner.kind, type) and issubclass(owner.kind, model)


def given(
    args: Iterable[tuple[str, Any]], key_of: Callable[[Event], str | None] | None = None
) -> TrustedValues:
    """The trusted values of arguments, each with its parameter's name.

    Raises:
        Exception: whatever a value raises that cannot be looked at.
    """
    found = TrustedValues(key_of)
    for name, value in args:
        _gather(found, name, value, None)
    return found


def _gather(found: TrustedValues, name: str, value: Any, owner: OwnerModel | None) -> None:
    if isinstance(value, (Untrusted, Decision, Action)):
        return  # another's word
    if isinstance(value, RootModel):
        _gather(found, name, cast("RootModel[Any]", value).root, owner)
    elif (parts := fields(value)) is not None:
        whole = _owner(name, value, owner)
        _gather_model(found, whole, parts)
        if found.key_of and isinstance(value, Event) and (key := found.key_of(value)) is not None:
            found.add("key", exact(key), whole)
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
    roots = ("builtins", "pydantic", "typing", "abc", "handrail.actions", "handrail.wire")
    own = [k.__name__ for k in kind.__mro__ if not k.__module__.startswith(roots)]
    plain = [name.partition("[")[0] for name in own]
    return frozenset(w.lower() for name in plain for w in (name, _HUMP.sub("_", name)))


# Of an action or of evidence


def wanted(
    path: str, model: BaseModel, scope: tuple[int, ...], *, choices: bool = True
) -> list[DecisionValue]:
    """The values of a model, named from `path` on.

    `choices`: whether what is chosen from a closed set, and text that the agent words
    itself, need no source.
    """
    walk = _Walk(choices=choices)
    walk.model(_Position(path, "", scope, _Hint()), model)
    return walk.found


def wanted_arguments(
    path: str, parameters: Iterable[inspect.Parameter], args: Mapping[str, Any]
) -> list[DecisionValue]:
    """The values of the arguments of a step, named from `path` on; what is left out is none."""
    walk = _Walk(choices=True)
    for each in parameters:
        if each.name in args and args[each.name] != each.default:
            hint = _Hint(tuple(union_arms(each.annotation, ())))
            walk.value(_Position(f"{path}.{each.name}", each.name, (), hint), args[each.name])
    return walk.found


@dataclass(frozen=True)
class _Hint:
    """What a declaration says of a value: the types it may have, each with its marks."""

    arms: tuple[tuple[Any, tuple[Any, ...]], ...] = ()

    @classmethod
    def of_field(cls, known: FieldInfo | None) -> _Hint:
        if known is None:
            return cls()
        return cls(tuple(union_arms(known.annotation, tuple(known.metadata))))

    def element(self, at: int) -> _Hint:
        """Of the element `at` of a list, or of a value of a mapping."""
        found: list[tuple[Any, tuple[Any, ...]]] = []
        for kind, marks in self.arms:
            args = get_args(kind)
            origin: Any = get_origin(kind)
            if not args or not isinstance(origin, type):
                continue
            if issubclass(origin, Mapping):
                part = args[-1]
            elif issubclass(origin, tuple) and Ellipsis not in args:
                part = args[at] if at < len(args) else Any
            elif issubclass(origin, (Sequence, AbstractSet)):
                part = args[0]
            else:
                continue
            found += union_arms(part, marks)
        return _Hint(tuple(found))

    @property
    def source(self) -> From | None:
        """Where it must come from."""
        marks = (mark for _, marks in self.arms for mark in marks)
        return next((mark for mark in marks if isinstance(mark, From)), None)

    def is_free(self, value: Any) -> bool:
        """Whether it is text that the agent words itself."""
        marks = (mark for _, marks in self.arms for mark in marks)
        return isinstance(value, (str, Untrusted)) and any(map(_is_free_text, marks))

    def is_classified(self, value: Any) -> bool:
        """Whether it is the answer of a classifier that was measured, one of a closed set."""
        marks = (mark for _, marks in self.arms for mark in marks)
        none = value is None or (is_many(value) and not value)
        return (none or self.is_choice(value)) and any(isinstance(m, Classified) for m in marks)

    def is_choice(self, value: Any) -> bool:
        """Whether it is one of a closed set."""
        if isinstance(value, (bool, Enum)):
            return True
        listed = (get_args(kind) for kind, _ in self.arms if get_origin(kind) is Literal)
        return any(type(value) is type(one) and value == one for args in listed for one in args)


def _is_free_text(mark: Any) -> bool:
    return mark is FreeText or isinstance(mark, FreeText)


def union_arms(annotation: Any, marks: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The types of a union, each with the marks on it and around it."""
    if get_origin(annotation) is Annotated:
        bare, *more = get_args(annotation)
        yield from union_arms(bare, (*marks, *more))
    elif get_origin(annotation) in {Union, UnionType}:
        for arm in get_args(annotation):
            yield from union_arms(arm, marks)
    elif isinstance(annotation, NewType):
        yield from union_arms(annotation.__supertype__, marks)
    elif isinstance(annotation, TypeVar):
        yield from union_arms(annotation.__bound__, marks)
    elif type(annotation).__name__ == "TypeAliasType":
        yield from union_arms(annotation.__value__, marks)
    else:
        yield annotation, marks


def open_answers(model: type[BaseModel]) -> list[str]:
    """The fields that are marked as a classifier's answer, and are of no closed set."""
    known = {name: info for name, info in model.model_fields.items() if not _is_closed(info)}
    return [n for n, info in known.items() if any(isinstance(m, Classified) for m in info.metadata)]


def closed_answers(model: type[BaseModel]) -> frozenset[str]:
    """The fields whose value is one of a closed set."""
    return frozenset(name for name, info in model.model_fields.items() if _is_closed(info))


def _is_closed(declared: Any) -> bool:
    annotation = declared.annotation if isinstance(declared, FieldInfo) else declared
    return all(_is_closed_kind(kind) for kind, _ in union_arms(annotation, ()))


def _is_closed_kind(kind: Any) -> bool:
    if get_origin(kind) is Literal or isinstance(kind, type(Enum)) or kind in {bool, NoneType}:
        return True
    parts = [part for part in get_args(kind) if part is not Ellipsis]
    return bool(parts) and all(map(_is_closed, parts))


@dataclass(frozen=True)
class _Position:
    """Where a value stands."""

    path: str
    name: str
    scope: tuple[int, ...]
    hint: _Hint
    optional: bool = False


@dataclass
class _Walk:
    """Collects the values of a model."""

    choices: bool
    found: list[DecisionValue] = field(default_factory=list[DecisionValue])
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def model(self, at: _Position, model: Any) -> None:
        known = type(model).model_fields if isinstance(model, BaseModel) else {}
        scope = (*at.scope, next(self.numbers))
        for name, value in (fields(model) or {}).items():
            info = known.get(name)
            if self.choices and info is not None and _left_out(info, value):
                continue
            usual = info is not None and not info.is_required()
            hint = _Hint.of_field(info)
            self.value(_Position(f"{at.path}.{name}", name, scope, hint, usual), value)

    def value(self, at: _Position, value: Any) -> None:
        if isinstance(value, Untrusted):
            self.leaf(at, value, EqualToNothing())
        elif isinstance(value, RootModel):
            root = cast("RootModel[Any]", value)
            hint = _Hint.of_field(type(root).model_fields["root"])
            self.value(replace(at, hint=hint), root.root)
        elif fields(value) is not None:
            self.model(at, value)
        elif isinstance(value, Mapping):
            self.mapping(at, cast("Mapping[Any, Any]", value))
        elif is_many(value):
            if not value:
                self.leaf(at, value, ())
            for number, part in enumerate(value):
                self.value(replace(at, hint=at.hint.element(number)), part)
        else:
            self.leaf(at, value, _exact_or_nothing(value))

    def mapping(self, at: _Position, value: Mapping[Any, Any]) -> None:
        if not value:
            self.leaf(at, value, ())
        hint = at.hint.element(0)
        for key, part in value.items():
            self.leaf(replace(at, hint=_Hint()), key, _exact_or_nothing(key))
            name = entry(at.name, key) if is_single(part) else str(key)
            self.value(replace(at, name=name, hint=hint), part)

    def leaf(self, at: _Position, value: Any, exactly: Hashable) -> None:
        worded = at.hint.is_free(value)
        free = self.choices and (worded or at.hint.is_choice(value))
        measured = not self.choices and at.hint.is_classified(value)
        raw, source = None if measured else value, at.hint.source
        kept = DecisionValue(at.path, at.name, exactly, at.scope, free or measured, source, raw)
        self.found.append(replace(kept, optional=at.optional, worded=worded))


def _left_out(info: FieldInfo, value: Any) -> bool:
    """Whether nothing is said, as its author allows by the field's default."""
    empty = value is None or (not value and (isinstance(value, Mapping) or is_many(value)))
    return empty and not info.is_required() and _default(info) == value


def _default(info: FieldInfo) -> Any:
    return info.get_default(call_default_factory=not info.default_factory_takes_validated_data)


def _exact_or_nothing(value: Any) -> Hashable:
    try:
        return exact(value)
    except NotComparable:
        return EqualToNothing()
