"""Conditions that operators edit, checked against the types of what they judge.

A rule such as `action.extra_cost > 200` is compiled once against the models of one
write. Whatever the types can tell is refused then: a misspelt field, text compared with
a number, a value the field can never have, a result that is no condition, and everything
that would not give the same answer twice. Numbers are Decimals throughout.

rule-engine parses, types and evaluates. Two of its habits would make a guard silent, so
they are closed here: `==` between different types is false instead of an error, and any
value counts as true or false in `and`, `or` and `not`.
"""

from __future__ import annotations

import decimal
import re
import types
import typing
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

import rule_engine
from pydantic import BaseModel
from rule_engine import DataType, ast, errors

from handrail.actions import Wire
from handrail.exceptions import ConfigurationError, HandrailError
from handrail.rule_words import RAISED, because, children, failure, quoted, shortened, wording

FACTS = ("action", "evidence", "confidence", "case")
"""What a rule may name. `evidence` and `confidence` may be absent: then the rule fails."""

MAX_TEXT = 2_000
"""Characters of the longest rule."""

_STEADY = frozenset({"abs", "all", "any", "e", "max", "min", "pi", "split", "sum"})
_UNSTEADY = frozenset({"now", "random", "today"})
_DEEPEST = 100
_PAIR = 2
_EXACT = decimal.Context(
    prec=60, traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]
)
_KINDS = {
    "ARRAY": "a list",
    "BOOLEAN": "true or false",
    "BYTES": "bytes",
    "DATETIME": "a time",
    "FLOAT": "a number",
    "MAPPING": "a mapping",
    "NULL": "null",
    "SET": "a set",
    "STRING": "text",
    "TIMEDELTA": "a duration",
}


class RuleError(ConfigurationError):
    """A rule that cannot be compiled: `what` is wrong with it, and the `fix`."""

    def __init__(self, what: str, fix: str) -> None:
        self.what = what
        self.fix = fix
        super().__init__(f"{what}\n  fix: {fix}")


class RuleFailed(HandrailError):
    """A rule that could not be judged on these facts. Neither true nor false: hold."""

    def __init__(self, text: str, why: str) -> None:
        self.text = text
        self.why = why
        super().__init__(f"the rule `{text}` could not be judged: {why}")


class CaseFact(Wire):
    """What a rule may know of the case: its id (`agent:key`), its key, who asked for it."""

    id: str
    key: str
    requester: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a rule is true, and the conditions in it that made it so, with their values."""

    true: bool
    because: tuple[str, ...] = ()


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
            found = self._objects.get(_bare(found).name) if found is not None else None
            found = found.attributes.get(name) if found is not None else None
        return found

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


def _fact(facts: Any, name: str) -> Any:
    value = facts.get(name)
    if value is None:
        raise errors.SymbolResolutionError(name)
    return _plain(value)


def _bare(kind: Any) -> Any:
    return DataType.NULLABLE.unwrap(kind)


class Rule:
    """A compiled condition. Make it with `compile_rule`; it may be shared by threads."""

    def __init__(self, text: str, rule: rule_engine.Rule) -> None:
        self.text = text
        self._rule = rule
        self._root: Any = rule.statement.expression

    def evaluate(self, facts: Mapping[str, Any]) -> Match:
        """Judge `facts` (the names in FACTS), and say why when the rule is true.

        Raises:
            RuleFailed: if it cannot be judged: a fact is absent, a field is empty where
                a value is needed, a number is no number, or arithmetic fails.
        """
        try:
            if not self._rule.evaluate(facts):
                return Match(true=False)
            with decimal.localcontext(_EXACT):
                leaves = dict.fromkeys(map(shortened, because(self._root, facts, want=True)))
        except RAISED as error:
            raise RuleFailed(self.text, failure(error, self._root, facts)) from error
        return Match(true=True, because=tuple(leaves))


def compile_rule(text: str, types: Types) -> Rule:
    """Compile `text` against the types of one write.

    Raises:
        RuleError: if it is no condition, or one that could never be judged.
    """
    if len(text) > MAX_TEXT:
        raise RuleError(f"the rule has {len(text)} characters", f"keep it under {MAX_TEXT}")
    context = rule_engine.Context(
        resolver=_fact,
        type_resolver=types.resolve,
        default_timezone=UTC,
        decimal_context=_EXACT,
        mapping_attribute_lookup=False,
    )
    try:
        with decimal.localcontext(_EXACT):
            rule = rule_engine.Rule(text, context)
            root: Any = rule.statement.expression
            _check(root, types)
            _condition(root)
    except RecursionError:
        raise RuleError("the rule is nested too deeply", "split it into several rules") from None
    except RAISED as error:
        raise _refused(error, text, types) from error
    if isinstance(root, ast.BooleanExpression) and not root.value:
        raise RuleError(f"`{text}` is never true", "compare a field, or remove the rule")
    return Rule(text, rule)


def _check(node: Any, types: Types, depth: int = 0) -> None:
    """Refuse what rule-engine would let through, here and below."""
    if depth > _DEEPEST:
        raise RecursionError
    for child in children(node):
        _check(child, types, depth + 1)
    match node:
        case ast.SymbolExpression() if node.scope is not None:
            _steady(node.name)
        case ast.SymbolExpression() | ast.GetAttributeExpression() | ast.GetItemExpression():
            if node.result_type == DataType.UNDEFINED:
                raise RuleError(
                    f"rules cannot judge `{wording(node)}`: its type leaves open what it is",
                    "give the field one plain type (number, text, time, model, list of these)",
                )
        case ast.ContainsExpression():
            _contains(node, types)
        case ast.ComparisonExpression() if node.type in {"eq", "ne"}:
            _comparable(node, node.left.result_type, node.right.result_type)
            _possible(node.left, node.right, types)
            _possible(node.right, node.left, types)
        case ast.FloatExpression() if not node.value.is_finite():
            raise RuleError(f"`{node.value}` compares with nothing", "write a number")
        case _:
            _check_conditions(node)


def _check_conditions(node: Any) -> None:
    match node:
        case ast.LogicExpression():
            _condition(node.left)
            _condition(node.right)
        case ast.UnaryExpression() if node.type == "not":
            _condition(node.right)
        case ast.TernaryExpression():
            _condition(node.condition)
        case ast.ComprehensionExpression():
            if node.variable in FACTS:
                raise RuleError(f"`{node.variable}` is a fact, not a free name", "rename it")
            if node.condition is not None:
                _condition(node.condition)
        case _:
            pass


def _steady(name: str) -> None:
    if name in _UNSTEADY:
        raise RuleError(
            f"${name} gives another answer each time, so a verdict could not be repeated",
            "put the time or the number into the evidence, in a step",
        )
    if name not in _STEADY:
        raise RuleError(f"${name} is not available in rules", nearest(name, _STEADY))


def _condition(node: Any) -> None:
    if node.result_type == DataType.BOOLEAN:
        return
    nullable = DataType.is_type(node.result_type, DataType.NULLABLE)
    fix = f"({wording(node)} ?? false)" if nullable else f"compare it, as in {wording(node)} == ..."
    raise RuleError(f"`{wording(node)}` is {_kind_of(node.result_type)}, not a condition", fix)


def _contains(node: Any, types: Types) -> None:
    container = _bare(node.container.result_type)
    if container == DataType.STRING:
        return
    member = container.iterable_type
    if DataType.UNDEFINED in {member, node.member.result_type}:
        raise RuleError(f"`{wording(node)}` is never true", "list values of one type")
    _comparable(node, member, node.member.result_type)
    if isinstance(node.container, (ast.ArrayExpression, ast.SetExpression)):
        for value in node.container.value:
            _possible(node.member, value, types)


def _comparable(node: Any, left: Any, right: Any) -> None:
    """`==` and `in` between types that never meet are false for ever: say so now."""
    kinds = (_bare(left), _bare(right))
    if DataType.NULL in kinds:
        other = left if kinds[1] == DataType.NULL else right
        if not DataType.is_type(other, DataType.NULLABLE):
            raise RuleError(f"`{wording(node)}`: the field is never null", "leave the check out")
    elif DataType.UNDEFINED in kinds or not DataType.is_compatible(*kinds):
        raise RuleError(
            f"`{wording(node)}` compares {_kind_of(kinds[0])} with {_kind_of(kinds[1])}",
            "compare like with like: text in quotes, numbers without",
        )


def _possible(field: Any, value: Any, types: Types) -> None:
    """Refuse a text that the field can never have."""
    if not isinstance(field, ast.GetAttributeExpression):
        return
    if not isinstance(value, ast.StringExpression):
        return
    owner = _bare(field.object.result_type).name
    choices = types.choices.get((owner, field.name))
    if choices and value.value not in choices:
        raise RuleError(
            f"{wording(field)} is never {quoted(value.value)}", nearest(value.value, choices)
        )


def _kind_of(kind: Any) -> str:
    words = _KINDS.get(_bare(kind).name, str(_bare(kind).name).split(".", maxsplit=1)[0])
    return f"{words} or null" if DataType.is_type(kind, DataType.NULLABLE) else words


def _refused(error: Exception, text: str, types: Types) -> RuleError:
    """What rule-engine refused, in words that name the field and the fix."""
    if isinstance(error, errors.SymbolResolutionError):
        return _unknown_fact(error.symbol_name, types)
    if isinstance(error, errors.AttributeResolutionError):
        return _unknown_field(error, text, types)
    if isinstance(error, errors.RuleSyntaxError):
        token = error.token
        where = f"near `{token.value}`" if token is not None else "at its end"
        return RuleError(
            f"`{text}` is not a condition: it cannot be read {where}",
            'write it like: action.amount > 200 and evidence.status == "late"',
        )
    message = getattr(error, "message", None) or str(error)
    paths = {path: types.path(path) for path in re.findall(r"[A-Za-z_]\w*(?:\.\w+)+", text)}
    if "nullable" in message:
        empty = [p for p, k in paths.items() if k and DataType.is_type(k, DataType.NULLABLE)]
        name = (empty or ["the field"])[0]
        return RuleError(
            f"`{text}`: {name} may be null",
            f"say what counts then, as in ({name} ?? 0) > 200",
        )
    if "MAPPING" in message:
        return RuleError(f"`{text}`: a mapping has no fields", 'write its["key"]')
    if "mismatch" not in message:
        return RuleError(f"`{text}`: {message}", "correct it")
    kinds = ", ".join(f"{path} is {_kind_of(kind)}" for path, kind in paths.items() if kind)
    return RuleError(
        f"`{text}` mixes types that do not go together",
        f"compare like with like: {kinds or 'text in quotes, numbers without'}",
    )


def _unknown_fact(name: str, types: Types) -> RuleError:
    if name == "evidence":
        return RuleError("this write has no evidence", "use action, confidence or case")
    action = types.facts["action"].attributes
    fix = f"write action.{name}" if name in action else nearest(name, types.facts)
    return RuleError(f"{name} is not a fact", fix)


def _unknown_field(error: errors.AttributeResolutionError, text: str, types: Types) -> RuleError:
    name = error.attribute_name
    found = re.search(rf"[\w.&]*\.{re.escape(name)}\b", text)
    path = (found.group() if found else name).replace("&", "")
    owner = error.object
    if isinstance(error, errors.ObjectAttributeError):
        model = types.models[owner.name].__name__
        return RuleError(f"{path} is not a field of {model}", nearest(name, owner.attributes))
    fix = f"did you mean {error.suggestion}?" if error.suggestion else "compare the value itself"
    return RuleError(f"{path}: {_kind_of(owner)} has no {name}", fix)
