"""The type system of rules: the facts of one write, their types, their values.

rule-engine compares types exactly and knows numbers as Decimals alone, so values are made
plain before it sees them.
"""

from __future__ import annotations

import importlib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

from handrail.actions import Wire

if TYPE_CHECKING:
    from rule_engine import DataType, ast, errors
else:

    class _Deferred:
        """What rule-engine holds, imported when a rule is first compiled.

        Importing it builds the tables of its grammar: a third of a second, for every command.
        """

        def __init__(self, part: str) -> None:
            self._part = part

        def __getattr__(self, name: str) -> Any:
            found = getattr(getattr(importlib.import_module("rule_engine"), self._part), name)
            setattr(self, name, found)
            return found

    DataType, ast, errors = (_Deferred(part) for part in ("DataType", "ast", "errors"))

FACTS = ("action", "evidence", "confidence", "case")
"""What a rule may name. `evidence` and `confidence` may be absent: then the rule fails."""

_PAIR = 2


class CaseFact(Wire):
    """What a rule may know of the case: its id (`agent:key`), its key, who asked for it."""

    id: str
    key: str
    requester: str | None = None


def nearest(name: str, names: Sequence[str] | AbstractSet[str] | Mapping[str, Any]) -> str:
    """The fix for a misspelt `name`: the nearest of `names`, or all of them."""
    close = get_close_matches(name, list(names), n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"use one of: {', '.join(sorted(names))}" if names else "remove it"


class Types:
    """The types of the facts of one write, for its rules. Build it once and share it."""

    def __init__(self, action: type[BaseModel], evidence: type[BaseModel] | None = None) -> None:
        self.name = action.__name__
        self.models: dict[str, type[BaseModel]] = {}
        self.choices: dict[tuple[str, str], frozenset[str]] = {}
        self._names: dict[type[BaseModel], str] = {}
        self._objects: dict[str, Any] = {}
        self.facts: dict[str, Any] = {"action": self._object(action)}
        if evidence is not None:
            self.facts["evidence"] = self._object(evidence)
        self.facts["confidence"] = DataType.FLOAT
        self.facts["case"] = self._object(CaseFact)

    def resolve(self, name: str) -> Any:
        """The type of the fact or model `name`.

        Raises:
            SymbolResolutionError: if there is none.
        """
        found = self.facts.get(name) or self._objects.get(name)
        if found is None:
            raise errors.SymbolResolutionError(name)
        return found

    def path(self, dotted: str) -> Any:
        """The type of `action.customer.name`, or None if no field leads there."""
        first, *rest = dotted.split(".")
        found = self.facts.get(first)
        for name in rest:
            found = self._objects.get(bare(found).name) if found is not None else None
            found = found.attributes.get(name) if found is not None else None
        return found

    def is_number(self, dotted: str) -> bool:
        """Whether a field is there always, and a number."""
        return self._always(dotted) == DataType.FLOAT

    def is_text(self, dotted: str) -> bool:
        """Whether a field is there always, and text."""
        return self._always(dotted) == DataType.STRING

    def tells_apart(self, dotted: str) -> bool:
        """Whether a field is there always, and one plain value."""
        plain = (DataType.STRING, DataType.FLOAT, DataType.BOOLEAN, DataType.DATETIME)
        return self._always(dotted) in plain

    def telling_apart(self) -> tuple[str, ...]:
        """The fields of action and evidence that are always there, with one plain value."""
        facts = [name for name in ("action", "evidence") if name in self.facts]
        paths = [f"{fact}.{name}" for fact in facts for name in self.facts[fact].attributes]
        return tuple(path for path in paths if self.tells_apart(path))

    def choices_of(self, dotted: str) -> frozenset[str]:
        """The only texts that a field can have, where its type says so; else none."""
        owner, _, name = dotted.rpartition(".")
        kind = bare(self.path(owner))
        return self.choices.get((kind.name, name), _NONE) if kind is not None else _NONE

    def _always(self, dotted: str) -> Any:
        """The type of a field that cannot be null, nor anything above it; else None."""
        names = dotted.split(".")
        found = [self.path(".".join(names[: n + 1])) for n in range(len(names))]
        null = any(kind is None or DataType.is_type(kind, DataType.NULLABLE) for kind in found)
        return None if null else found[-1]

    def numbers(self) -> tuple[str, ...]:
        """The fields of the action that are always a number: what a limit can sum."""
        fields = self.facts["action"].attributes.items()
        return tuple(name for name, kind in fields if kind == DataType.FLOAT)

    def _object(self, model: type[BaseModel]) -> Any:
        if model in self._names:
            return DataType.OBJECT.reference(self._names[model])
        # The dot keeps the name of a model from ever being a symbol in a rule.
        name = self._names[model] = f"{model.__name__}.{len(self._names)}"
        self.models[name] = model
        fields = {key: field.annotation for key, field in model.model_fields.items()}
        fields |= {key: f.return_type for key, f in model.model_computed_fields.items()}
        for key, annotation in fields.items():
            if choices := _choices(annotation):
                self.choices[name, key] = choices
        attributes = {key: self._kind(annotation) for key, annotation in fields.items()}
        found = DataType.OBJECT(name, attributes=attributes, accessor=_field)
        self._objects[name] = found
        return found

    def _kind(self, annotation: Any) -> Any:
        annotation = _unwrapped(annotation)
        origin: Any = get_origin(annotation)
        args = get_args(annotation)
        if origin in {Union, types.UnionType}:
            kind = self._common([arg for arg in args if arg is not type(None)])
            null = type(None) in args and kind != DataType.UNDEFINED
            return DataType.NULLABLE.wrap(kind) if null else kind
        if origin is Literal:
            kind = self._common([type(arg) for arg in args if arg is not None])
            return DataType.NULLABLE.wrap(kind) if None in args else kind
        if origin is not None and isinstance(origin, type):
            return self._container(origin, args)
        return self._plain_kind(annotation) if isinstance(annotation, type) else DataType.UNDEFINED

    def _container(self, origin: Any, args: tuple[Any, ...]) -> Any:
        if issubclass(origin, Mapping) and len(args) == _PAIR:
            key, value = (self._kind(arg) for arg in args)
            return DataType.MAPPING(key, value) if key.is_scalar else DataType.UNDEFINED
        if issubclass(origin, AbstractSet):
            member = self._kind(args[0])
            return DataType.SET(member) if member.is_scalar else DataType.UNDEFINED
        if issubclass(origin, Sequence):
            return DataType.ARRAY(self._common([arg for arg in args if arg is not ...]))
        return DataType.UNDEFINED

    def _plain_kind(self, kind: type) -> Any:
        if issubclass(kind, BaseModel):
            return self._object(kind)
        if issubclass(kind, Enum):
            return self._common([type(member.value) for member in kind])
        if issubclass(kind, timedelta):
            return DataType.TIMEDELTA
        for known, found in (
            (bool, DataType.BOOLEAN),
            ((int, float, Decimal), DataType.FLOAT),
            ((str, UUID, PurePath), DataType.STRING),
            (date, DataType.DATETIME),
            (bytes, DataType.BYTES),
        ):
            if issubclass(kind, known):
                return found
        return DataType.UNDEFINED

    def _common(self, annotations: Sequence[Any]) -> Any:
        first, *rest = [self._kind(annotation) for annotation in annotations] or [None]
        return DataType.UNDEFINED if first is None or any(k != first for k in rest) else first


def _unwrapped(annotation: Any) -> Any:
    """The annotation below `Annotated`, `NewType`, `type` aliases and type variables."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, TypeVar):
            annotation = annotation.__bound__
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


def _choices(annotation: Any) -> frozenset[str]:
    """The only texts a field can have, when its type says so."""
    annotation = _unwrapped(annotation)
    args = get_args(annotation)
    if get_origin(annotation) in {Union, types.UnionType}:
        found = [_choices(arg) for arg in args if arg is not type(None)]
        return frozenset[str]().union(*found) if all(found) else frozenset()
    if get_origin(annotation) is Literal:
        values: Sequence[Any] = [arg for arg in args if arg is not None]
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        values = list(annotation)
    else:
        return frozenset()
    plain = [value.value if isinstance(value, Enum) else value for value in values]
    return frozenset(str(v) for v in plain) if all(isinstance(v, str) for v in plain) else _NONE


_NONE: frozenset[str] = frozenset()
_AS_IS = frozenset({str, bool, type(None), datetime, timedelta, bytes})


def _field(owner: Any, name: str) -> Any:
    return _plain(getattr(owner, name))


def _plain(value: Any) -> Any:  # one line for each kind of value
    """The value as rule-engine knows it. It compares types exactly: an enum is no text to it."""
    if type(value) in _AS_IS or isinstance(value, BaseModel):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, (int, float, Decimal)):
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if not number.is_finite():
            raise ValueError(f"{number} is not a number that can be compared")
        return number
    if isinstance(value, (str, UUID, PurePath)):
        return str(value)
    if isinstance(value, Mapping):
        items = typing.cast("Mapping[Any, Any]", value).items()
        return {_plain(key): _plain(item) for key, item in items}
    if isinstance(value, AbstractSet):
        return {_plain(item) for item in typing.cast("AbstractSet[Any]", value)}
    if isinstance(value, Sequence):
        return tuple(_plain(item) for item in typing.cast("Sequence[Any]", value))
    return value


def fact_of(facts: Any, name: str) -> Any:
    """The value of a fact.

    Raises:
        SymbolResolutionError: if there is none.
    """
    value = facts.get(name)
    if value is None:
        raise errors.SymbolResolutionError(name)
    return _plain(value)


def bare(kind: Any) -> Any:
    """The type without its null."""
    return DataType.NULLABLE.unwrap(kind)


def children(node: Any) -> Iterator[Any]:
    """The parts of a rule that a node is made of."""
    for name in (
        *("left", "right", "object", "container", "item", "member", "start", "stop"),
        *("condition", "case_true", "case_false", "iterable", "result", "function"),
    ):
        child = getattr(node, name, None)
        if isinstance(child, ast.ExpressionBase):
            yield child
    yield from getattr(node, "arguments", ())
    if isinstance(node, (ast.ArrayExpression, ast.SetExpression)):
        yield from node.value
    if isinstance(node, ast.MappingExpression):
        for pair in node.value:
            yield from pair
