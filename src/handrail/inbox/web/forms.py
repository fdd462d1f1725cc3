"""Forms from JSON schemas: the fields of an action or an answer, and what was filled in.

A form is made from the schema of the model itself, filled with the values as they are, and
read back into JSON of the same shape. Decimals stay text, so that none is rounded. What has
no field of its own (lists, alternatives) is written as JSON.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal, cast

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError

from handrail.marks import FIELD
from handrail.text import exact_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from pydantic import ValidationError as ModelError

Schema = dict[str, Any]
Kind = Literal[
    "text", "long", "integer", "number", "decimal", "date", "bool", "choice", "json", "group"
]

ROOT = "f"
"""The name of the whole in a form; fields below it are named by their path."""

_LONG = 80
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}
_WITHIN: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "minimum": operator.ge,
    "exclusiveMinimum": operator.gt,
    "maximum": operator.le,
    "exclusiveMaximum": operator.lt,
}
_DEEPEST = 6
_YES_NO = {"true": "yes", "false": "no"}
_LINE_END = re.compile("\r\n|\r|\n")


@dataclass(frozen=True)
class FormField:
    """One field as a form shows it. `value` is text; `checked` counts for a bool only."""

    name: str
    label: str
    kind: Kind
    required: bool = True
    nullable: bool = False
    value: str = ""
    checked: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    help: str = ""
    error: str = ""
    fields: tuple[FormField, ...] = ()


@dataclass(frozen=True)
class FormInput:
    """What was filled in, as JSON, and for each field what is wrong with it."""

    value: Any
    errors: Mapping[str, str] = field(default_factory=dict[str, str])


class _UnreadableField(Exception):  # never leaves this module
    """What was filled in cannot be read."""


_LEAVE_OUT: Any = object()

# They know of no time with fractions, or without a zone, as an action may have it.
_FORMATS = FormatChecker(FormatChecker.checkers.keys() - {"time", "date-time"})


def fields(
    schema: Schema,
    value: Any,
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> tuple[FormField, ...]:
    """The fields of a form, filled with `value`, or with what somebody had `given`."""
    root = _field(schema, _resolved(schema, schema), value, ROOT, "", depth=0)
    shown = root.fields if root.kind == "group" else (root,)
    return tuple(_as_given(each, given, errors or {}) for each in shown)


def _as_given(
    shown: FormField, given: Mapping[str, str] | None, errors: Mapping[str, str]
) -> FormField:
    inner = tuple(_as_given(each, given, errors) for each in shown.fields)
    shown = replace(shown, fields=inner, error=errors.get(shown.name, ""))
    if given is None or shown.kind == "group":
        return shown
    if shown.kind == "bool":
        return replace(shown, checked=shown.name in given)
    return replace(shown, value=given.get(shown.name, shown.value))


def _field(
    whole: Schema, schema: Schema, value: Any, name: str, label: str, *, depth: int
) -> FormField:
    schema, nullable = _alternative(whole, schema)
    kind = _kind(schema, value)
    if depth > _DEEPEST or (kind == "group" and nullable):
        kind = "json"
    plain = FormField(
        name=name,
        label=label or str(schema.get("title", "")) or "answer",
        kind=kind,
        nullable=nullable,
        help=str(schema.get("description", "")) if depth and not _is_outside(schema) else "",
    )
    match kind:
        case "group":
            return replace(plain, fields=_inner(whole, schema, value, name, depth))
        case "bool":
            return replace(plain, checked=value is True)
        case "choice":
            options = [json.dumps(each, ensure_ascii=False) for each in _options(schema)]
            chosen = "" if value is None else json.dumps(value, ensure_ascii=False)
            if chosen and chosen not in options:
                options.insert(0, chosen)  # proposed when there was more to choose from
            shown = tuple((each, _YES_NO.get(each, _plain(json.loads(each)))) for each in options)
            return replace(plain, value=chosen, choices=shown)
        case "json":
            text = "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)
            return replace(plain, value=text)
        case _:
            return replace(plain, value=_plain(value))


def _inner(
    whole: Schema, schema: Schema, value: Any, name: str, depth: int
) -> tuple[FormField, ...]:
    given = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    required = set(schema.get("required", ()))
    found: list[FormField] = []
    for key, each in _properties(schema).items():
        below = _resolved(whole, each)
        start = given.get(key, below.get("default"))
        made = _field(whole, below, start, _below(name, key), _label(key), depth=depth + 1)
        found.append(replace(made, required=key in required))
    return tuple(found)


def _below(name: str, key: str) -> str:
    return f"{name}/{key.replace('~', '~0').replace('/', '~1')}"


def _label(key: str) -> str:
    return key.replace("_", " ")


def _is_outside(schema: Schema) -> bool:
    """Whether it is a text that somebody outside wrote: shown as a text, and marked as it was."""
    return [*_properties(schema)] == [FIELD]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        value = cast("Schema", value).get(FIELD, cast("Schema", value))
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _properties(schema: Schema) -> dict[str, Schema]:
    return cast("dict[str, Schema]", schema.get("properties", {}))


def _resolved(whole: Schema, schema: Schema) -> Schema:
    """The schema that a reference within the whole stands for, with what stands beside it."""
    for _ in range(_DEEPEST):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        found: Any = whole
        for part in reference[2:].split("/"):
            found = cast("Schema", found).get(part, {}) if isinstance(found, dict) else {}
        beside = {key: each for key, each in schema.items() if key != "$ref"}
        schema = cast("Schema", found) | beside
    return schema


def _alternative(whole: Schema, schema: Schema) -> tuple[Schema, bool]:
    """What a field is when it is not null, and whether it may be."""
    options = [_resolved(whole, each) for each in schema.get("anyOf", ())]
    rest = [each for each in options if each.get("type") != "null"]
    nullable = len(rest) < len(options)
    beside = {key: each for key, each in schema.items() if key != "anyOf"}
    if nullable and [each.get("type") for each in rest] == ["boolean"]:
        return {"enum": [True, False]} | beside, True  # yes, no, and not known
    if len(rest) == 1:
        return rest[0] | beside, nullable
    if {each.get("type") for each in rest} == {"number", "string"}:
        number = next(each for each in rest if each.get("type") == "number")
        return {**number, "type": "decimal"} | beside, nullable
    return schema, nullable


def _kind(schema: Schema, value: Any) -> Kind:
    if "enum" in schema or "const" in schema:
        return "choice"
    match schema.get("type"):
        case "object" if _is_outside(schema):
            return "long"
        case "object" if _properties(schema):
            return "group"
        case "boolean":
            return "bool"
        case "integer":
            return "integer"
        case "number":
            return "number"
        case "decimal":
            return "decimal"
        case "string" if schema.get("format") == "date":
            return "date"
        case "string":
            long = isinstance(value, str) and (len(value) > _LONG or "\n" in value)
            return "long" if long else "text"
        case _:
            return "json"


def _options(schema: Schema) -> list[Any]:
    return cast("list[Any]", schema.get("enum", [schema.get("const")]))


def read(
    schema: Schema, given: Mapping[str, str], before: Any = _LEAVE_OUT, *, blank: bool = True
) -> FormInput:
    """What was filled in, checked against the schema.

    `blank`: a text that must be there may be an empty one.

    What nobody touched comes back as it was `before`: what a browser sends of it may be another
    text, and what the schema says of it is no fault of who fills in the form.
    """
    form = _FilledForm(schema, given, blank)
    value = form.read(_resolved(schema, schema), ROOT, before, depth=0)
    if value is _LEAVE_OUT:
        value = None
    if form.errors:
        return FormInput(value, form.errors)
    found = _faults(schema, value).items()
    return FormInput(value, {name: why for name, why in found if not form.is_untouched(name)})


@dataclass(frozen=True)
class _FilledForm:
    """A form that comes back: what was `given` for its fields, and what of it is wrong."""

    whole: Schema
    given: Mapping[str, str]
    blank: bool
    errors: dict[str, str] = field(default_factory=dict[str, str])
    untouched: set[str] = field(default_factory=set[str])

    def is_untouched(self, name: str) -> bool:
        """Whether a field, or the one that all of it is written in, came back as it was."""
        return any(f"{name}/".startswith(f"{each}/") for each in self.untouched)

    def read(
        self, schema: Schema, name: str, before: Any, *, depth: int, required: bool = True
    ) -> Any:
        alternative, nullable = _alternative(self.whole, schema)
        known = None if before is _LEAVE_OUT else before
        shown = _field(self.whole, schema, known, name, "", depth=depth)
        if shown.kind == "group":
            return self._group(alternative, name, before, depth)
        if before is not _LEAVE_OUT and _as_shown(shown, self.given):
            self.untouched.add(name)
            return before
        if shown.kind == "bool":
            return name in self.given
        text = self.given.get(name, "")
        needed = shown.kind not in {"text", "long"} or (required and not self.blank)
        if not text.strip() and needed:
            return self._empty(name, nullable=nullable, required=required)
        if not text and nullable:
            return None
        try:
            if shown.kind == "decimal":
                _require_bounds(alternative, Decimal(_decimal(text)))
            made = _value(shown.kind, text)
            return {FIELD: made} if _is_outside(alternative) else made
        except _UnreadableField as wrong:
            self.errors[name] = str(wrong)
            return None

    def _empty(self, name: str, *, nullable: bool, required: bool) -> Any:
        if nullable:
            return None
        if required:
            self.errors[name] = "this must be filled in"
        return _LEAVE_OUT

    def _group(self, schema: Schema, name: str, before: Any, depth: int) -> dict[str, Any]:
        needed = set(schema.get("required", ()))
        given = cast("dict[str, Any]", before) if isinstance(before, dict) else {}
        found: dict[str, Any] = {}
        for key, each in _properties(schema).items():
            below, at = _resolved(self.whole, each), _below(name, key)
            was = given.get(key, _LEAVE_OUT)
            value = self.read(below, at, was, depth=depth + 1, required=key in needed)
            if value is not _LEAVE_OUT:
                found[key] = value
        return found


def _as_shown(shown: FormField, given: Mapping[str, str]) -> bool:
    """Whether a field came back as a browser sends it that nobody touched."""
    if shown.kind == "bool":
        return (shown.name in given) is shown.checked
    ends = "\n" if shown.kind in {"long", "json"} else ""  # one line holds no line ends
    sent, was = (_LINE_END.sub(ends, text) for text in (given.get(shown.name, ""), shown.value))
    return sent == was


def _value(kind: Kind, text: str) -> Any:
    match kind:
        case "text" | "long":
            return text.replace("\r\n", "\n")
        case "integer":
            if not re.fullmatch(r"\s*[+-]?[0-9]{1,40}\s*", text):
                raise _UnreadableField("write a whole number, such as 12")
            return int(text)
        case "number":
            return _number(text)
        case "decimal":
            return _decimal(text)
        case "date":
            return _date(text)
        case _:
            return _json(text)


def _number(text: str) -> float:
    number = float(given := _decimal(text))
    if not math.isfinite(number):
        raise _UnreadableField("this number is too large")
    if Decimal(repr(number)) != Decimal(given):
        raise _UnreadableField(f"this number has more digits than are kept: {number!r} is near")
    return int(number) if number.is_integer() else number


def _decimal(text: str) -> str:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise _UnreadableField("write a number with a point, such as 12.50") from None
    if not number.is_finite():
        raise _UnreadableField("write a number with a point, such as 12.50")
    return text.strip()


def _require_bounds(schema: Schema, number: Decimal) -> None:
    """Of a decimal: written as text it would pass the schema however large it is."""
    for name, within in _WITHIN.items():
        if name in schema and not within(number, Decimal(str(schema[name]))):
            raise _UnreadableField(f"this must be {_BOUNDS[name]} {schema[name]:g}")


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise _UnreadableField("write a date as year-month-day, such as 2026-01-31") from None


def _json(text: str) -> Any:
    try:
        return exact_json(text, _no_constant)
    except (ValueError, RecursionError):
        raise _UnreadableField("this is not JSON: texts stand in double quotes") from None


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _faults(schema: Schema, value: Any) -> dict[str, str]:
    """What the schema says against a value, by the field it says it of."""
    try:
        checker: Any = Draft202012Validator(schema, format_checker=_FORMATS)
        found = [_deepest(each) for each in checker.iter_errors(value)]
    except SchemaError:
        return {}  # the case itself validates again
    return {_at(each): _said(each) for each in reversed(found)}


def _deepest(error: ValidationError) -> ValidationError:
    """Of alternatives that all fail, what the likeliest of them says."""
    inner = [each for each in error.context or () if each.validator != "type"]
    return _deepest(inner[0]) if inner else error


def faults_of(model: type[BaseModel], error: ModelError) -> dict[str, str]:
    """What the model itself says against what was filled in, by the field it says it of."""
    found: dict[str, str] = {}
    names = {f.alias: name for name, f in model.model_fields.items() if f.alias}
    for each in error.errors(include_url=False, include_input=False, include_context=False):
        at = ROOT
        for part in each["loc"]:
            if isinstance(part, int):
                break  # a list is one field
            at = _below(at, names.get(part, part) if at == ROOT else part)
        found.setdefault(at, each["msg"].removeprefix("Value error, "))
    return found


def _at(error: ValidationError) -> str:
    name = ROOT
    for part in error.absolute_path:
        if isinstance(part, int):
            break  # a list is one field
        name = _below(name, part)
    return name


def _said(error: ValidationError) -> str:
    limit = cast("Any", error).validator_value
    match error.validator:
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            return f"this must be {_BOUNDS[error.validator]} {limit}"
        case "maxLength":
            return f"{limit} characters are the most"
        case "minLength":
            return "this must be filled in" if limit == 1 else f"{limit} characters are the least"
        case "pattern":
            return f"this must look like {limit}"
        case "format":
            return f"this is no {limit}"
        case _:
            return error.message[:300]


def schema_of(value: Any) -> Schema:
    """A schema of the shape that a value has, where its own is not known."""
    match value:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case str():
            return {"type": "string"}
        case dict():
            given = cast("dict[str, Any]", value)
            inner = {key: schema_of(each) for key, each in given.items()}
            return {"type": "object", "properties": inner, "required": list(inner)}
        case _:
            return {}
