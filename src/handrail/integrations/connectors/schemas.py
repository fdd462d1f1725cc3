"""JSON Schemas as types, and the exact check of a value against one.

A type has the structure: fields, texts, numbers, choices. Whatever else a schema says (a pattern,
a range, one of several) is held by `jsonschema`, before anything is sent.
"""

from __future__ import annotations

import contextlib
import json
import keyword
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal, cast
from urllib.parse import unquote

from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    create_model,
    model_validator,
)
from pydantic_core import to_jsonable_python
from typing_extensions import override

from handrail.actions import Action, Wire
from handrail.exceptions import ConfigurationError
from handrail.marks import FIELD, FreeText, Untrusted
from handrail.text import one_line

_PROSE = frozenset(
    ("description", "summary", "title", "example", "examples", "externalDocs", "tags", "$comment")
)
"""What a contract does not consist of."""

_NAMES = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
_DEEP = 6
"""Levels of models; what lies deeper is JSON."""

_SINGLE: Mapping[Any, Any] = {"integer": int, "number": float, "boolean": bool, "null": None}


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    """Hold a text against a pattern; one that Python cannot read its system alone judges."""
    with contextlib.suppress(re.error):
        if isinstance(value, str) and not re.search(pattern, value):
            yield ValidationError(f"{value!r} does not match {pattern!r}")


def _is_number(_checker: Any, value: Any) -> bool:
    # JSON has no others.
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, float) and math.isfinite(value))


_Validator: Any = cast("Any", validators).extend(
    Draft202012Validator,
    {"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number),
)


class RequestAction(Action):
    """An action that is sent: its fields are called as the system calls them, where Python can."""

    model_config = ConfigDict(validate_by_name=True)


class RequestPart(Wire):
    """An object within an action that is sent."""

    model_config = ConfigDict(validate_by_name=True)


class ResponsePart(BaseModel):
    """An object that came back. What its schema does not name is left out."""

    model_config = ConfigDict(frozen=True, validate_by_name=True)


class OutsideJson(Untrusted, frozen=True):
    """What came back and has no type: its JSON, as text from outside."""

    @model_validator(mode="before")
    @classmethod
    @override
    def _from_text(cls, given: Any) -> Any:
        if isinstance(given, Untrusted) or [*as_object(given)] == [FIELD]:
            return given
        return {FIELD: given if isinstance(given, str) else json.dumps(to_jsonable_python(given))}


def outside_json(answer: Any, trusted: Collection[str]) -> JsonValue:
    """JSON that came back, its texts as text from outside, but for fields that are `trusted`."""
    if isinstance(answer, dict):
        parts = cast("dict[str, Any]", answer)
        return {
            key: part if key in trusted and isinstance(part, str) else outside_json(part, trusted)
            for key, part in parts.items()
        }
    if isinstance(answer, list):
        return [outside_json(each, trusted) for each in as_list(answer)]
    return {FIELD: answer} if isinstance(answer, str) else answer


class Schemas:
    """The schemas of one document, which name one another by `$ref`.

    `module`: where the models made of them say that they are from.
    """

    def __init__(self, document: Mapping[str, Any], source: str, module: str) -> None:
        """Take a document whose references stay within it.

        Raises:
            ConfigurationError: if one leads elsewhere.
        """
        self.source, self.module = source, module
        self.document = cast("dict[str, Any]", _normal(document))
        for ref in _refs(self.document):
            self.at(ref)

    def at(self, ref: str) -> Any:
        """What a `$ref` names.

        Raises:
            ConfigurationError: if the document has nothing there.
        """
        node: Any = self.document
        for escaped in ref.split("/")[1:]:
            part = unquote(escaped).replace("~1", "/").replace("~0", "~")
            known = {str(n): v for n, v in enumerate(as_list(node))} or as_object(node)
            # A document that fetches others is another one each day.
            if not ref.startswith("#/") or part not in known:
                raise ConfigurationError(
                    f"{self.source}: it has nothing at {ref!r}; fix: put it all into one file"
                )
            node = known[part]
        return node

    def resolved(self, node: Any) -> Any:
        """A node, or what it refers to in the end."""
        for _ in range(_DEEP):
            ref = as_object(node).get("$ref")
            if not isinstance(ref, str):
                return node
            node = self.at(ref)
        raise ConfigurationError(f"{self.source}: its references go round in a circle")

    # Types

    def request(self, name: str, schema: Any) -> Any:
        """The type of a value that is sent."""
        return _Typing(self, RequestPart).of(schema, name)

    def response(self, name: str, schema: Any, trusted: Sequence[str]) -> Any:
        """The type of what comes back: free text is text from outside, but for `trusted` fields."""
        return _Typing(self, ResponsePart, frozenset(trusted)).of(schema, name)

    def action(
        self,
        name: str,
        doc: str,
        fields: Mapping[str, tuple[str, Any, bool]],
        exact: Callable[[BaseModel], Sequence[str]],
        free_text: Collection[str] = (),
    ) -> type[Action]:
        """An action class. `fields`: of each its wire name, its schema, and if it is required.

        `exact`: what of an action is against the schemas; such a one cannot be made. `free_text`:
        the fields that the agent words itself, by wire name; of objects within `items.note`.
        """
        typing = _Typing(self, RequestPart, free_text=frozenset(free_text))

        def check(self: BaseModel) -> BaseModel:
            faults = exact(self)
            if faults:
                raise ValueError("; ".join(faults))
            return self

        made = {
            field: _field(
                field, wire, typing.of(schema, f"{name}{field.title()}", (wire,)), needed=needed
            )
            for field, (wire, schema, needed) in fields.items()
        }
        return create_model(
            name,
            __base__=RequestAction,
            __module__=self.module,
            __doc__=doc,
            __validators__={"exact": cast("Any", model_validator(mode="after")(check))},
            **cast("Any", made),
        )

    def merged(self, schema: Any) -> Any:
        """A schema with what it refers to, and all that it must be at once, as one."""
        given = as_object(self.resolved(schema))
        if "allOf" not in given:
            return self.resolved(schema)
        whole: dict[str, Any] = {}
        for part in (*as_list(given["allOf"]), {k: v for k, v in given.items() if k != "allOf"}):
            said = as_object(self.merged(part))
            both = {
                "properties": as_object(whole.get("properties"))
                | as_object(said.get("properties")),
                "required": [*whole.get("required", ()), *said.get("required", ())],
            }
            whole |= said | {key: value for key, value in both.items() if value}
        return whole

    def parts(self, schema: Any, level: int = 0) -> tuple[dict[str, Any], set[str]]:
        """The fields that an object may have, by each of its alternatives, and those it must."""
        given = as_object(self.merged(schema)) if level <= _DEEP else {}
        parts = dict(as_object(given.get("properties")))
        needed = {each for each in as_list(given.get("required")) if isinstance(each, str)}
        for several in ("anyOf", "oneOf"):
            found = [self.parts(each, level + 1) for each in as_list(given.get(several))]
            for name, part in ((n, p) for more, _ in found for n, p in more.items()):
                known = parts.get(name, part)
                parts[name] = part if known == part else {"anyOf": [known, part]}
            needed |= set[str].intersection(*(must for _, must in found)) if found else set()
        return parts, needed

    def has(self, schema: Any, path: Sequence[str], level: int = 0) -> bool:
        """Whether what a schema is of may have such a field; of a list, one of its objects."""
        if level > 2 * _DEEP:
            return False
        given = as_object(self.merged(schema))
        parts = as_object(given.get("properties"))
        within = [given.get("items"), *as_list(given.get("anyOf")), *as_list(given.get("oneOf"))]
        if path and path[0] in parts and self.has(parts[path[0]], path[1:], level + 1):
            return True
        return not path or any(each and self.has(each, path, level + 1) for each in within)

    # Values

    def faults(self, schema: Any, value: Any, path: str = "") -> list[str]:
        """What of a JSON value is not as the schema says, each in words."""
        roots = {
            k: self.document[k]
            for k in ("components", "$defs", "definitions")
            if k in self.document
        }
        checker = _Validator(
            cast("Any", {**roots, "allOf": [schema]}), format_checker=FormatChecker()
        )
        errors: Iterator[Any] = checker.iter_errors(value)
        return [
            f"{'.'.join(map(str, [*([path] if path else []), *each.absolute_path])) or 'it'}: "
            f"{one_line(each.message, 200)}"
            for each in errors
        ]

    def contract(self, node: Any) -> dict[str, str]:
        """All that a node and what it refers to demand, by path, without prose."""
        found: dict[str, str] = {}
        seen: dict[str, None] = {}
        _flatten(node, "", found, seen)
        for ref in _growing(seen):
            _flatten(self.at(ref), ref.rsplit("/", 1)[-1], found, seen)
        return found


@dataclass(frozen=True)
class _Typing:
    """How the types of what is sent, or of what comes back, are made. `base`: of objects within."""

    schemas: Schemas
    base: type[BaseModel]
    trusted: frozenset[str] = frozenset()
    free_text: frozenset[str] = frozenset()

    @property
    def free(self) -> Any:
        """The type of what has no type that JSON brings back exactly."""
        return JsonValue if self.base is RequestPart else OutsideJson

    def of(
        self, schema: Any, name: str, at: tuple[str, ...] = (), within: tuple[int, ...] = ()
    ) -> Any:
        """The type of a value. `at`: the wire names of the fields that lead to it."""
        kind = self._of(schema, name, at, within)
        return Annotated[kind, FreeText] if ".".join(at) in self.free_text else kind

    def _of(self, schema: Any, name: str, at: tuple[str, ...], within: tuple[int, ...]) -> Any:
        given = as_object(self.schemas.merged(schema))
        if not given or id(given) in within or len(within) > _DEEP:
            return self.free
        types: Any = given.get("type", "object" if "properties" in given else None)
        choices = given.get("enum", [given["const"]] if "const" in given else None)
        parts = as_list(given.get("anyOf") or given.get("oneOf"))
        if choices is not None:
            return _choice(as_list(choices)) or self.free
        if isinstance(types, list):
            parts = [given | {"type": each} for each in as_list(types)]
        if not parts:
            return self._single(given, types, name, at, (*within, id(given)))
        left = [
            each for each in parts if as_object(self.schemas.merged(each)).get("type") != "null"
        ]
        if len(left) != 1:
            return self.free
        kind = self.of(left[0], name, at, (*within, id(given)))
        return kind | None if len(left) < len(parts) else kind

    def _single(
        self,
        given: dict[str, Any],
        kind: Any,
        name: str,
        at: tuple[str, ...],
        within: tuple[int, ...],
    ) -> Any:
        more = as_object(given.get("additionalProperties"))
        if kind in _SINGLE:
            return _SINGLE[kind]
        if kind == "string":
            return self._text(given.get("format"), "".join(at[-1:]))
        if kind == "array":
            return tuple[self.of(given.get("items"), name, at, within), ...]
        if kind == "object" and given.get("properties"):
            return self._model(given, name, at, within)
        if kind == "object" and more:
            return dict[str, self.of(more, name, at, within)]
        return dict[str, JsonValue] if kind == "object" and self.base is RequestPart else self.free

    def _text(self, form: Any, wire: str) -> Any:
        """A text. What comes back and has a strict form has little room for words."""
        sending = self.base is RequestPart
        if form == "date":
            return date
        if form == "date-time":
            # In answers many leave out the zone, whatever their document says.
            return AwareDatetime if sending else datetime
        return str if sending or form == "uuid" or wire in self.trusted else Untrusted

    def _model(
        self, given: dict[str, Any], name: str, at: tuple[str, ...], within: tuple[int, ...]
    ) -> Any:
        made: dict[str, Any] = {}
        for wire, part in given["properties"].items():
            field = field_name(wire)
            if field in made:
                raise ConfigurationError(
                    f"{self.schemas.source}: {name} has two fields that are called `{field}`"
                )
            kind = self.of(part, f"{name}{field.title()}", (*at, wire), within)
            made[field] = _field(field, wire, kind, needed=wire in given.get("required", ()))
        return create_model(name, __base__=self.base, __module__=self.schemas.module, **made)


def _choice(values: list[Any]) -> Any:
    """The type of one of several values; None if JSON cannot bring that back."""
    plain = [each for each in values if each is not None]
    if not plain or not all(type(each) in {str, int} for each in plain):
        return None
    kind: Any = Literal[tuple(plain)]
    return kind | None if len(plain) < len(values) else kind


def _growing(known: dict[str, None]) -> Iterator[str]:
    """The keys of a dict, also those that are added on the way."""
    done = 0
    while done < len(known):
        yield list(known)[done]
        done += 1


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What one contract has and another has not, a line each."""
    return [
        f"{path or 'it'}: "
        + (
            f"new: {after[path]}"
            if path not in before
            else f"gone: {before[path]}"
            if path not in after
            else f"{before[path]} is now {after[path]}"
        )
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]


def sent(value: Any) -> Any:
    """A value as JSON under its wire names. What is None, and need not be there, is left out."""
    if isinstance(value, BaseModel):
        return {
            declared.alias or name: sent(part)
            for name, declared in type(value).model_fields.items()
            if (part := getattr(value, name)) is not None or declared.is_required()
        }
    if isinstance(value, (list, tuple)):
        return [sent(part) for part in cast("Sequence[Any]", value)]
    if isinstance(value, dict):
        return {key: sent(part) for key, part in cast("dict[str, Any]", value).items()}
    return to_jsonable_python(value)


def field_name(wire: str) -> str:
    """How a name is called in Python."""
    name = re.sub(r"\W", "_", wire, flags=re.ASCII)
    name = name if re.match(r"[A-Za-z]", name) else f"field{name}"
    taken = keyword.iskeyword(name) or name.startswith("model_") or hasattr(RequestAction, name)
    return f"{name}_" if taken else name


def _field(name: str, wire: str, kind: Any, *, needed: bool) -> tuple[Any, Any]:
    alias = None if wire == name else wire
    if needed:
        return kind, Field(alias=alias)
    return kind | None, Field(default=None, alias=alias)


def as_object(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one in place of anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """A JSON array; an empty one in place of anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def _normal(node: Any) -> Any:
    """A document in the words of JSON Schema 2020-12, where OpenAPI 3.0 has others."""
    if isinstance(node, list):
        return [_normal(each) for each in as_list(node)]
    if not isinstance(node, dict):
        return node
    given = as_object(node)
    # A `$id` would have references lead elsewhere.
    made = {k: _normal(v) for k, v in given.items() if not (k == "$id" and isinstance(v, str))}
    for edge, of in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(made.get(edge), bool):
            strict = made.pop(edge)
            if strict and of in made:
                made[edge] = made.pop(of)
    if made.get("nullable") is True:
        del made["nullable"]
        made = {"anyOf": [made, {"type": "null"}]}
    return made


def _refs(node: Any) -> Iterator[str]:
    ref = as_object(node).get("$ref")
    if isinstance(ref, str):
        yield ref
    for each in (*as_list(node), *as_object(node).values()):
        yield from _refs(each)


def _flatten(
    node: Any, path: str, found: dict[str, str], seen: dict[str, None], *, names: bool = False
) -> None:
    given, parts = as_object(node), as_list(node)
    if isinstance(given.get("$ref"), str):
        seen[given["$ref"]] = None
    for key, part in given.items():
        if names or not (key in _PROSE or key.startswith("x-")):
            inner = f"{path}.{key}" if path else key
            _flatten(part, inner, found, seen, names=key in _NAMES and not names)
    if any(isinstance(each, dict) for each in parts):
        for number, each in enumerate(parts):
            name: Any = as_object(each).get("name", number)
            _flatten(each, f"{path}[{name}]", found, seen)
    elif not given:
        # The order of choices and of what is required says nothing.
        value = sorted(parts, key=str) if parts else node
        found[path] = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
