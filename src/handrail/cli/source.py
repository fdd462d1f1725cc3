"""Source of a project's own code, and what the names in it stand for: nothing of it is run."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
import textwrap
import types
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from typing import Any, cast, get_args, get_origin, get_type_hints

from handrail.exceptions import fallback
from handrail.syntax import class_source, syntax_tree
from handrail.text import shown_file

_GIVING = {AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator}
"""What a function that is made a context manager is declared to return."""


def parsed(fn: Callable[..., Any]) -> ast.Module | None:
    """The source of a function; None if there is none to read."""
    try:
        return syntax_tree(textwrap.dedent(inspect.getsource(fn)))
    except (OSError, SyntaxError, TypeError):
        return None  # typed into a prompt: there is nothing to read


def place(fn: Callable[..., Any], node: ast.AST) -> str:
    """Where a node of a function's source stands."""
    code, line = fn.__code__, getattr(node, "lineno", 1)
    return f"{shown_file(code.co_filename)}:{code.co_firstlineno + line - 1}"


def class_at(kind: type, name: str = "") -> str:
    """Where a class stands, or a field of it."""
    try:
        source, first = class_source(kind)
        file = shown_file(inspect.getsourcefile(kind))
    except (OSError, TypeError):
        return ""  # typed into a prompt
    lines = source.splitlines()
    field = (n for n, line in enumerate(lines) if name and line.strip().startswith(f"{name}:"))
    return f"{file}:{first + next(field, 0)}: "


def value(node: ast.expr, names: dict[str, Any]) -> Any:
    """What a name of the module stands for; None if that is not known."""
    if isinstance(node, ast.Name):
        return names.get(node.id, getattr(builtins, node.id, None))
    if isinstance(node, ast.Attribute):
        of = value(node.value, names)
        return getattr(of, node.attr, None) if isinstance(of, types.ModuleType | type) else None
    return None


def path_of(node: ast.expr, names: dict[str, Any]) -> list[str]:
    """By which names Python knows what an expression stands for; none if that is not known."""
    if isinstance(node, ast.Attribute):
        of = node.value
        kind = kind_of(of, names) if isinstance(of, ast.Call) else None
        path = _path_of_value(kind) if kind else path_of(of, names)
        return [*path, node.attr] if path else []
    if not isinstance(node, ast.Name):
        return []
    if node.id not in names:
        return ["__builtins__", node.id] if hasattr(builtins, node.id) else []
    return _path_of_value(names[node.id])


def _path_of_value(found: Any) -> list[str]:
    if isinstance(found, types.ModuleType):
        return found.__name__.split(".")
    of: Any = found if isinstance(found, type) else getattr(found, "__self__", found)
    kind = of if isinstance(of, types.ModuleType | type) else type(of)
    module = getattr(found, "__module__", None) or getattr(kind, "__module__", of)
    name = getattr(found, "__qualname__" if isinstance(found, type) else "__name__", "")
    return [*str(getattr(module, "__name__", module)).split("."), *name.split(".")] if name else []


def kind_of(node: ast.expr, names: Mapping[str, Any]) -> type[Any] | None:
    """The class of what an expression gives, as far as names and annotations say it."""
    known = dict(names)
    if isinstance(node, ast.Await):
        return kind_of(node.value, names)
    if not isinstance(node, ast.Call):
        held: Any = value(node, known)
        plain = held is None or isinstance(held, types.ModuleType | type)
        return None if plain else cast("type[Any]", type(held))
    made = value(node.func, known)
    if isinstance(made, type):
        return made
    if not inspect.isfunction(made):
        return None
    hint = fallback(None, lambda: get_type_hints(inspect.unwrap(made)).get("return"))
    hint = get_args(hint)[0] if get_origin(hint) in _GIVING and get_args(hint) else hint
    return hint if isinstance(hint, type) else None


def kinds_in(tree: ast.AST, names: Mapping[str, Any]) -> dict[str, type[Any]]:
    """The classes of a function's own names: those that are made once, by a call."""
    made: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.withitem(context_expr=given, optional_vars=ast.Name(id=name)):
                made.setdefault(name, []).append(given)
            case ast.Assign(targets=[ast.Name(id=name)], value=given):
                made.setdefault(name, []).append(given)
            case _:
                pass
    kinds = {name: kind_of(given[0], names) for name, given in made.items() if len(given) == 1}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def never_awaited(tree: ast.Module, names: dict[str, Any]) -> Iterator[ast.Call]:
    """Calls of coroutines that nobody awaits and that are handed to nobody."""
    kinds = kinds_in(tree, names)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node, parent in parents.items():
        if not isinstance(node, ast.Call) or not _is_coroutine(node, names, kinds):
            continue
        match parent:
            case ast.Expr() | ast.Attribute() | ast.Subscript():
                yield node
            case ast.Assign(targets=[ast.Name(id=name)]):
                uses = [parents[n] for n in parents if isinstance(n, ast.Name) and n.id == name]
                if all(use is parent or isinstance(use, ast.Attribute) for use in uses):
                    yield node
            case _:
                pass


def _is_coroutine(call: ast.Call, names: dict[str, Any], kinds: Mapping[str, type[Any]]) -> bool:
    func = call.func
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
        kind = kinds.get(func.value.id) or kind_of(func.value, names)
        if kind is not None and func.value.id not in {"self", "cls"}:
            return inspect.iscoroutinefunction(getattr(kind, func.attr, None))
    return inspect.iscoroutinefunction(value(func, names))


def outer_changes(tree: ast.Module, names: Mapping[str, Any]) -> Iterator[tuple[ast.AST, str]]:
    """Where a function puts something into what its module or a class keeps."""
    own = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and is_stored(n)}
    own |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    own -= {name for n in ast.walk(tree) if isinstance(n, ast.Global) for name in n.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Subscript) and is_stored(node):
            root = node
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            if isinstance(root, ast.Name) and root.id in names and root.id not in own:
                yield node, ast.unparse(node)


def is_stored(node: ast.Name | ast.Attribute | ast.Subscript) -> bool:
    """Whether something is put there, or taken away."""
    return not isinstance(node.ctx, ast.Load)


def reached(fn: Callable[..., Any], *packages: str) -> list[Callable[..., Any]]:
    """A function, and those of its own package, or of these, that it calls."""
    among = {fn.__module__.partition(".")[0], *packages}
    found = [fn]
    for each in found:
        for name in getattr(each, "__code__", fn.__code__).co_names:
            other = getattr(each, "__globals__", {}).get(name)
            if inspect.isfunction(other) and other.__module__.partition(".")[0] in among:
                found += [other] if other not in found else []
    return found


def local_imports(tree: ast.AST) -> dict[str, Any]:
    """What the imports within a method stand for."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for each in node.names:
                found |= _imported(node, each)
    return found


def _imported(node: ast.Import | ast.ImportFrom, each: ast.alias) -> dict[str, Any]:
    if isinstance(node, ast.ImportFrom):
        of = sys.modules.get(node.module or "")
        return {each.asname or each.name: getattr(of, each.name, None)}
    first = each.name if each.asname else each.name.partition(".")[0]
    return {each.asname or first: sys.modules.get(first)}
