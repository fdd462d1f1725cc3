"""Rules explained in words: the conditions that made one true, or why it could not be judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from pydantic import BaseModel

from handrail.policy.rule_types import ast, children, errors
from handrail.text import quoted

_ACTION = re.compile(r'"(?:\\.|[^"\\])*"|(?<![\w.])action\.')
_LONGEST_PLAIN = 40
_SHOWN_ITEMS = 10
_SIGNS = {"eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="} | {
    "eq_fzm": "=~",
    "eq_fzs": "=~~",
    "ne_fzm": "!~",
    "ne_fzs": "!~~",
}
_PAIRS = (("==", "!="), (">", "<="), ("<", ">="), ("=~", "!~"), ("=~~", "!~~"), ("in", "not in"))
_OPPOSITE = dict(_PAIRS) | {right: left for left, right in _PAIRS}
_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "tdiv": "/", "fdiv": "//", "mod": "%"} | {
    "pow": "**",
    "bwand": "&",
    "bwor": "|",
    "bwxor": "^",
    "bwlsh": "<<",
    "bwrsh": ">>",
}


def raised() -> tuple[type[Exception], ...]:
    """What evaluating may raise: rule-engine's own, arithmetic, values of no known type, depth."""
    plain = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
    return errors.EngineError, *plain


def failure(error: Exception, root: Any, facts: Mapping[str, Any]) -> str:
    """Why a rule could not be judged."""
    if isinstance(error, errors.SymbolResolutionError):
        return f"there is no {error.symbol_name} here: it was proposed without a decision"
    if isinstance(error, errors.LookupError):
        return f"nothing stands at {_value(error.item)}"
    empty = [f"{wording(node)} is null" for node in _fields(root) if _is_null(node, facts)]
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    return ", ".join([*empty, message])


def _fields(node: Any) -> Iterator[Any]:
    if isinstance(node, ast.GetAttributeExpression):
        yield node
    for child in children(node):
        yield from _fields(child)


def _is_null(node: Any, facts: Mapping[str, Any]) -> bool:
    try:
        return node.evaluate(facts) is None
    except raised():
        return False


def because(node: Any, facts: Mapping[str, Any], *, want: bool) -> Iterator[str]:
    """The leaves that made `node` come out as `want`, in words."""
    match node:
        case ast.LogicExpression():
            # `and` is true, and `or` false, by both sides; else the first that decides it.
            if (node.type == "and") == want:
                sides = [node.left, node.right]
            else:
                sides = [node.left if bool(node.left.evaluate(facts)) == want else node.right]
            for side in sides:
                yield from because(side, facts, want=want)
        case ast.UnaryExpression() if node.type == "not":
            yield from because(node.right, facts, want=not want)
        case ast.TernaryExpression():
            chosen = bool(node.condition.evaluate(facts))
            yield from because(node.condition, facts, want=chosen)
            yield from because(node.case_true if chosen else node.case_false, facts, want=want)
        case ast.ComparisonExpression():
            sign = _SIGNS[node.type] if want else _OPPOSITE[_SIGNS[node.type]]
            yield _compared(node.left, sign, node.right, facts)
        case ast.ContainsExpression():
            yield _compared(node.member, "in" if want else "not in", node.container, facts)
        case ast.BooleanExpression():
            yield "always"
        case _:
            yield f"{wording(node)} is {'true' if want else 'false'}"


def _compared(left: Any, sign: str, right: Any, facts: Mapping[str, Any]) -> str:
    # What equals a literal need not be shown twice.
    same = sign == "==" and isinstance(right, ast.LiteralExpressionBase)
    return f"{wording(left) if same else _side(left, facts)} {sign} {_side(right, facts)}"


def shortened(leaf: str) -> str:
    """Leave out `action.` before fields, but never inside quoted text."""
    return _ACTION.sub(lambda found: "" if found.group() == "action." else found.group(), leaf)


def _side(node: Any, facts: Mapping[str, Any]) -> str:
    if isinstance(node, ast.LiteralExpressionBase):
        return wording(node)
    return f"{wording(node)} {_value(node.evaluate(facts))}"


def wording(node: Any) -> str:  # noqa: C901, PLR0912  # one line for each kind of node
    """The expression as an operator would write it."""
    match node:
        case ast.SymbolExpression():
            return f"${node.name}" if node.scope else str(node.name)
        case ast.GetAttributeExpression():
            return f"{wording(node.object)}{'&' if node.safe else ''}.{node.name}"
        case ast.GetItemExpression():
            return f"{wording(node.container)}[{wording(node.item)}]"
        case ast.GetSliceExpression():
            return f"{wording(node.container)}[{wording(node.start)}:{wording(node.stop)}]"
        case ast.ArrayExpression():
            return f"[{', '.join(map(wording, node.value))}]"
        case ast.SetExpression():
            return f"{{{', '.join(sorted(map(wording, node.value)))}}}"
        case ast.MappingExpression():
            return f"{{{', '.join(f'{wording(k)}: {wording(v)}' for k, v in node.value)}}}"
        case ast.LiteralExpressionBase():
            return _value(node.value)
        case ast.FunctionCallExpression():
            return f"{wording(node.function)}({', '.join(map(wording, node.arguments))})"
        case ast.ComprehensionExpression():
            tail = f" if {wording(node.condition)}" if node.condition is not None else ""
            return f"[{wording(node.result)} for {node.variable} in {wording(node.iterable)}{tail}]"
        case ast.ContainsExpression():
            return f"{wording(node.member)} in {wording(node.container)}"
        case ast.CoalesceExpression():
            return f"({wording(node.left)} ?? {wording(node.right)})"
        case ast.TernaryExpression():
            cases = f"{wording(node.case_true)} : {wording(node.case_false)}"
            return f"({wording(node.condition)} ? {cases})"
        case ast.UnaryExpression():
            return f"{'not ' if node.type == 'not' else '-'}{wording(node.right)}"
        case ast.LogicExpression():
            return f"({wording(node.left)} {node.type} {wording(node.right)})"
        case ast.ComparisonExpression():
            return f"{wording(node.left)} {_SIGNS[node.type]} {wording(node.right)}"
        case _:
            return f"({wording(node.left)} {_ARITHMETIC[node.type]} {wording(node.right)})"


def _value(value: Any) -> str:
    """A value in words, on one line, short, with nothing in it that hides or moves text."""
    return _WORDS.get(type(value), _other)(value)


def _number(value: Decimal) -> str:
    return f"{value:f}" if abs(value.adjusted()) < _LONGEST_PLAIN else str(value)


def _other(value: Any) -> str:
    if isinstance(value, BaseModel):
        return type(value).__name__
    if isinstance(value, (tuple, set)):
        items = [_value(item) for item in cast("Sequence[Any]", value)]
        items = sorted(items) if isinstance(value, set) else items
        more = ["..."] if len(items) > _SHOWN_ITEMS else []
        return f"[{', '.join(items[:_SHOWN_ITEMS] + more)}]"
    return quoted(str(value))


_WORDS: dict[Any, Callable[[Any], str]] = {
    str: quoted,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
    Decimal: _number,
    datetime: datetime.isoformat,
    timedelta: str,
    int: str,
}
