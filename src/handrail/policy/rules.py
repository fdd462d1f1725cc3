"""The rule engine: conditions that operators edit, compiled against the types of what they judge.

A rule such as `action.extra_cost > 200` is compiled once against the models of one
write. Whatever the types can tell is refused then: a misspelt field, text compared with
a number, a value the field can never have, a result that is no condition, and everything
that would not give the same answer twice. Numbers are Decimals throughout.

rule-engine parses, types and evaluates. Two of its habits would make a guard silent, so
they are closed here: `==` between different types is false instead of an error, and any
value counts as true or false in `and`, `or` and `not`.

Three things in a rule can take long: matching a pattern, which some texts make exponential; a
list made of a list made of a list; and numbers shifted by numbers. Patterns are matched by
`regex`, which looks at the clock within its own matching loop. Lists are made element by
element, and the time is looked at with each. Shifts are no part of rules. All else takes a time
that the length of the rule and of the facts bounds. Time is what this thread has worked, so
that a busy machine breaks nothing off.
"""

from __future__ import annotations

import contextlib
import decimal
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

import regex
from typing_extensions import override

from handrail.exceptions import ConfigurationError, HandrailError
from handrail.policy.rule_explain import because, failure, raised, shortened, wording
from handrail.policy.rule_types import (
    FACTS,
    DataType,
    Types,
    ast,
    bare,
    children,
    errors,
    fact_of,
    nearest,
)
from handrail.text import quoted

MAX_TEXT = 2_000
"""Characters of the longest rule."""

MOST = timedelta(milliseconds=100)
"""How long a rule may take: what would take longer is broken off, and cannot be judged."""

_LEAST = 0.001
_REGEX: Any = regex
_STEADY = frozenset({"abs", "all", "any", "e", "max", "min", "pi", "split", "sum"})
_UNSTEADY = frozenset({"now", "random", "today"})
_DEEPEST = 100
_QUOTED = re.compile(r"""[a-z]?"(?:\\.|[^"\\])*"|[a-z]?'(?:\\.|[^'\\])*'""")
_TO_ITS_END = re.compile(r"(?<!\\)(?:\\\\)*(\$|\\[zZ])$")
_FROM_ITS_BEGIN = ("^", "\\A")
_SHIFT = re.compile("<<|>>")
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


@dataclass(frozen=True, slots=True)
class Match:
    """What a rule came out as; where asked for, the conditions in it that made it so."""

    true: bool
    because: tuple[str, ...] = ()


class Rule:
    """A compiled condition. Make it with `compile_rule`; it may be shared by threads."""

    def __init__(self, text: str, rule: Any) -> None:
        self.text = text
        self._rule = rule
        self._root: Any = rule.statement.expression

    def evaluate(self, facts: Mapping[str, Any], *, want: bool = True) -> Match:
        """Judge `facts` (the names in FACTS), and say why when the rule comes out as `want`.

        Raises:
            RuleFailed: if it cannot be judged: a fact is absent, a field is empty where
                a value is needed, a number is no number, arithmetic fails, or it takes longer
                than `MOST`.
        """
        try:
            with _in_time():
                true = bool(self._rule.evaluate(facts))
                if true != want:
                    return Match(true)
                with decimal.localcontext(_EXACT):
                    leaves = dict.fromkeys(map(shortened, because(self._root, facts, want=want)))
        except _TooLong as late:
            raise RuleFailed(self.text, str(late)) from late
        except raised() as error:
            raise RuleFailed(self.text, failure(error, self._root, facts)) from error
        return Match(true, tuple(leaves))

    def mentions(self) -> frozenset[str]:
        """The facts that it looks at, such as `action.amount`, each with those above it."""
        return frozenset(_mentions(self._root))

    def loose_patterns(self, *, passes: bool) -> Iterator[str]:
        """The patterns that let pass what only begins, or has a part, as they say.

        `passes`: as what the rule comes out where it lets pass.
        """
        yield from _loose(self._root, passes=passes)


def _loose(node: Any, *, passes: bool) -> Iterator[str]:
    if isinstance(node, ast.FuzzyComparisonExpression):
        right: Any = node.right
        text = str(right.value)
        whole = _TO_ITS_END.search(text) and (
            node.type[-1] == "m" or text.startswith(_FROM_ITS_BEGIN)
        )
        if not whole and node.type.startswith("eq" if passes else "ne"):
            yield text
    negated = isinstance(node, ast.UnaryExpression) and node.type == "not"
    for child in children(node) if not isinstance(node, ast.FuzzyComparisonExpression) else ():
        yield from _loose(child, passes=passes is not negated)


def _mentions(node: Any) -> Iterator[str]:
    path = _path(node)
    names = path.split(".") if path else []
    if names and names[0] in FACTS:
        least = min(2, len(names))
        yield from (".".join(names[:n]) for n in range(least, len(names) + 1))
    for child in () if path else children(node):
        yield from _mentions(child)


def _path(node: Any) -> str:
    """The field that a node is, such as `evidence.customer.vip`; empty if it is none."""
    if isinstance(node, ast.SymbolExpression) and node.scope is None:
        return str(node.name)
    if isinstance(node, ast.GetAttributeExpression) and (above := _path(node.object)):
        return f"{above}.{node.name}"
    return ""


def compile_rule(text: str, types: Types) -> Rule:
    """Compile `text` against the types of one write.

    Raises:
        RuleError: if it is no condition, or one that could never be judged.
    """
    if len(text) > MAX_TEXT:
        raise RuleError(f"the rule has {len(text)} characters", f"keep it under {MAX_TEXT}")
    if _SHIFT.search(_QUOTED.sub("", text)):
        raise RuleError("rules do not shift numbers", "multiply or divide")
    import rule_engine  # noqa: PLC0415  # as `rule_types` says

    context = rule_engine.Context(
        resolver=fact_of,
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
            _timed(root)
    except _BadPattern as bad:
        raise RuleError(f"`{text}`: {bad}", 'write it like action.account =~ "DE[0-9]+"') from bad
    except RecursionError:
        raise RuleError("the rule is nested too deeply", "split it into several rules") from None
    except raised() as error:
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
    container = bare(node.container.result_type)
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
    kinds = (bare(left), bare(right))
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
    owner = bare(field.object.result_type).name
    choices = types.choices.get((owner, field.name))
    if choices and value.value not in choices:
        raise RuleError(
            f"{wording(field)} is never {quoted(value.value)}", nearest(value.value, choices)
        )


def _kind_of(kind: Any) -> str:
    words = _KINDS.get(bare(kind).name, str(bare(kind).name).split(".", maxsplit=1)[0])
    return f"{words} or null" if DataType.is_type(kind, DataType.NULLABLE) else words


_OURS = {"&&": "and", "||": "or", "=": "==", "===": "==", "!": "not ", "<>": "!="}
_FOREIGN = re.compile(r"&&|\|\||===|<>|(?<![=!<>~])=(?![=~])|!(?![=~])")
"""What other languages write, and SQL."""


def _refused(error: Exception, text: str, types: Types) -> RuleError:
    """What rule-engine refused, in words that name the field and the fix."""
    if isinstance(error, errors.SymbolResolutionError):
        return _unknown_fact(error.symbol_name, types)
    if isinstance(error, errors.AttributeResolutionError):
        return _unknown_field(error, text, types)
    if isinstance(error, errors.RuleSyntaxError):
        token = error.token
        where = f"near `{token.value}`" if token is not None else "at its end"
        other = _FOREIGN.search(text)
        return RuleError(
            f"`{text}` is not a condition: it cannot be read {where}",
            f"write `{_OURS[other[0]]}` where `{other[0]}` stands"
            if other
            else 'write it like: action.amount > 200 and evidence.status == "late"',
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


# Time limit


class _TooLong(Exception):  # named for what happened
    """The rule took longer than it may."""

    @override
    def __str__(self) -> str:
        return f"it took longer than {MOST // timedelta(milliseconds=1)} ms"


class _BadPattern(ValueError):
    """A pattern that cannot be matched within a time."""


class _Until(threading.local):
    at: float | None = None


_until = _Until()


@contextlib.contextmanager
def _in_time() -> Generator[None]:
    """Let what is timed here take no longer than `MOST`.

    Raises:
        _TooLong: if it would.
    """
    _until.at = time.thread_time() + MOST.total_seconds()
    try:
        yield
    except TimeoutError as error:
        raise _TooLong from error
    finally:
        _until.at = None


def _timed(root: Any) -> None:
    """Make every part of a rule that can take long look at the time.

    Raises:
        _BadPattern: if a pattern is not written out in the rule, or is none.
    """
    if isinstance(root, ast.FuzzyComparisonExpression):
        _time_pattern(root)
    if isinstance(root, ast.ComprehensionExpression):
        for part in filter(None, (root.result, root.condition)):
            _time_each(part)
    for child in children(root):
        _timed(child)


def _time_pattern(node: Any) -> None:
    if not isinstance(node.right, ast.StringExpression):
        raise _BadPattern("a pattern must stand in the rule itself, in quotes")
    try:
        node._right = _Pattern(node.right.value)  # noqa: SLF001  # the one place where it is kept
    except _REGEX.error as error:
        raise _BadPattern(f"the pattern cannot be read: {error}") from error


def _time_each(node: Any) -> None:
    evaluate: Callable[[Any], Any] = node.evaluate

    def timely(thing: Any) -> Any:
        if _left() <= 0:
            raise _TooLong
        return evaluate(thing)

    node.evaluate = timely


def _left() -> float:
    """Seconds that are left; all of them while a rule is only read."""
    until = _until.at
    return MOST.total_seconds() if until is None else until - time.thread_time()


class _Pattern:
    """A pattern as rule-engine uses one, that is matched in the time that is left."""

    def __init__(self, text: str) -> None:
        self._pattern = _REGEX.compile(text, _REGEX.VERSION0)

    def match(self, text: str) -> Any:
        """Match from the beginning.

        Raises:
            TimeoutError: if that takes too long.
        """
        return self._pattern.match(text, timeout=max(_left(), _LEAST))

    def search(self, text: str) -> Any:
        """Match anywhere.

        Raises:
            TimeoutError: if that takes too long.
        """
        return self._pattern.search(text, timeout=max(_left(), _LEAST))
