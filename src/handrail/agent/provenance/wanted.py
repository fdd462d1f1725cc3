"""The single values of an action or of evidence, and what their author says of each field."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

from handrail.agent.provenance.leaves import (
    DecisionValue,
    EqualToNothing,
    NotComparable,
    entry,
    exact,
    fields,
    is_many,
)
from handrail.marks import FreeText, From, Untrusted


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


@dataclass(frozen=True)
class _Hint:
    """What a declaration says of a value: the types it may have, each with its marks."""

    arms: tuple[tuple[Any, tuple[Any, ...]], ...] = ()

    @classmethod
    def of_field(cls, known: FieldInfo | None) -> _Hint:
        if known is None:
            return cls()
        return cls(tuple(_arms(known.annotation, tuple(known.metadata))))

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
            found += _arms(part, marks)
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

    def is_choice(self, value: Any) -> bool:
        """Whether it is one of a closed set."""
        if isinstance(value, (bool, Enum)):
            return True
        listed = (get_args(kind) for kind, _ in self.arms if get_origin(kind) is Literal)
        return any(type(value) is type(one) and value == one for args in listed for one in args)


def _is_free_text(mark: Any) -> bool:
    return mark is FreeText or isinstance(mark, FreeText)


def _arms(annotation: Any, marks: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The types of a union, each with the marks on it and around it."""
    if get_origin(annotation) is Annotated:
        bare, *more = get_args(annotation)
        yield from _arms(bare, (*marks, *more))
    elif get_origin(annotation) in {Union, UnionType}:
        for arm in get_args(annotation):
            yield from _arms(arm, marks)
    elif isinstance(annotation, NewType):
        yield from _arms(annotation.__supertype__, marks)
    elif isinstance(annotation, TypeVar):
        yield from _arms(annotation.__bound__, marks)
    elif type(annotation).__name__ == "TypeAliasType":
        yield from _arms(annotation.__value__, marks)
    else:
        yield annotation, marks


@dataclass(frozen=True)
class _Position:
    """Where a value stands."""

    path: str
    name: str
    scope: tuple[int, ...]
    hint: _Hint


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
            self.value(_Position(f"{at.path}.{name}", name, scope, _Hint.of_field(info)), value)

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
            self.leaf(at, value, _exact(value))

    def mapping(self, at: _Position, value: Mapping[Any, Any]) -> None:
        if not value:
            self.leaf(at, value, ())
        hint = at.hint.element(0)
        for key, part in value.items():
            self.leaf(replace(at, hint=_Hint()), None, _exact(key))
            single = fields(part) is None and not isinstance(part, Mapping) and not is_many(part)
            name = entry(at.name, key) if single else str(key)
            self.value(replace(at, name=name, hint=hint), part)

    def leaf(self, at: _Position, value: Any, exactly: Hashable) -> None:
        free = self.choices and (at.hint.is_free(value) or at.hint.is_choice(value))
        self.found.append(
            DecisionValue(at.path, at.name, exactly, at.scope, free=free, source=at.hint.source)
        )


def _left_out(info: FieldInfo, value: Any) -> bool:
    """Whether nothing is said, as its author allows by the field's default."""
    empty = value is None or (not value and (isinstance(value, Mapping) or is_many(value)))
    return empty and not info.is_required() and _default(info) == value


def _default(info: FieldInfo) -> Any:
    return info.get_default(call_default_factory=not info.default_factory_takes_validated_data)


def _exact(value: Any) -> Hashable:
    try:
        return exact(value)
    except NotComparable:
        return EqualToNothing()
