"""Mistakes in how the code of a write goes: a key that nobody gets, and a no that may be a yes."""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import random
import secrets
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_args, get_type_hints

from typing_extensions import override

from handrail.agent import Write
from handrail.cli.source import kind_of, kinds_in, value
from handrail.exceptions import fallback

Function = Callable[..., Any]
Parse = Callable[[Function], ast.Module | None]
"""The source of a function; None if there is none to read."""

_KEYS = {"key", "message_id", "undoes"}
"""What of an `Effect` tells it from every other."""

_NEVER = {"NotDone", "Final"}
"""What a write raises to say that it certainly did not happen."""

_MAYBE = {
    "BaseException", "ConnectionError", "ConnectionResetError", "Exception", "HTTPError",
    "HTTPStatusError", "NetworkError", "OSError", "ProtocolError", "ReadError", "ReadTimeout",
    "RemoteProtocolError", "RequestError", "RequestException", "SMTPException",
    "SMTPServerDisconnected", "Timeout", "TimeoutError", "TimeoutException", "TransportError",
    "URLError", "WriteError", "WriteTimeout",
}  # fmt: skip
"""What is raised, too, where the request had arrived."""

_CLIENTS = {"aiohttp", "httpx", "httpx2", "requests"}
_SENDS = {"delete", "patch", "post", "put", "request"}

_ANEW = [
    uuid.uuid1, uuid.uuid4, random.random, random.randint, random.choice,
    secrets.token_hex, secrets.token_urlsafe, secrets.token_bytes,
]  # fmt: skip
"""What gives another value each time."""

_AS_FAILED = {"is_error": True, "is_server_error": True, "is_success": False, "ok": False}
_STATUS = {"code", "status", "status_code"}
_LOOKED_AT = {*_AS_FAILED, *_STATUS, "raise_for_status"}


def write_remarks(
    step: Write[Any, Any], reached: Sequence[Function], parse: Parse
) -> Iterator[tuple[Function, ast.AST, str]]:
    """What of a write is worth reading: in which function, at which node.

    `reached`: the functions that its own calls, it among them.
    """
    asked = [inspect.unwrap(fn) for fn in (step.fn, step.find) if fn is not None]
    if (step.idempotent or step.find) and not any(_tells_apart(fn, parse(fn)) for fn in asked):
        how = "is declared idempotent" if step.idempotent else "has a `find`"
        what = f"{step.name} {how}, and gives its system no `effect.key`: a second try is done"
        more = (
            "again there, or takes the like for its own; fix: send it, unless the like is the same"
        )
        yield asked[0], ast.Pass(), f"{what} {more}"
    if step.find is not None:
        yield from _finds(step.name, inspect.unwrap(step.find), parse)
    yield from _careless(step, reached, parse)
    for fn in reached:
        for node in _unsure(parse(fn)):
            name = ast.unparse(node).partition("(")[0].removeprefix("raise ")
            what = f"{name} says that {step.name} certainly did not happen, and after a 5xx, a"
            more = "time-out or a lost connection it may have; fix: let the error itself pass"
            yield fn, node, f"{what} {more}, and it is found out"


def _finds(step: str, find: Function, parse: Parse) -> Iterator[tuple[Function, ast.AST, str]]:
    """What of a `find` has a write done once more that had happened, or never."""
    for node in ast.walk(parse(find) or ast.Module([], [])):
        if isinstance(node, ast.ExceptHandler) and _swallows(node):
            what = f"what fails here has {step} taken for not there, and done once more"
            yield find, node, f"{what}; fix: let the error pass, and it is asked again"
    returns = fallback(Any, lambda: get_type_hints(find).get("return", Any))
    kinds = get_args(returns) or (returns,)
    if returns not in {Any, object} and (type(None) not in kinds or returns is type(None)):
        lacks = "not there" if returns is not type(None) else "there"
        what = f"the find of {step} never says that it is {lacks}"
        yield find, ast.Pass(), f"{what}; fix: `-> ... | None`: what {step} returns, or None"


def _careless(
    step: Write[Any, Any], reached: Sequence[Function], parse: Parse
) -> Iterator[tuple[Function, ast.AST, str]]:
    """What has a write that failed counted as done, and one that is tried again as another."""
    trees = {fn: tree for fn in reached if (tree := parse(fn)) is not None}
    asks = {n.attr for t in trees.values() for n in ast.walk(t) if isinstance(n, ast.Attribute)}
    for fn, tree in trees.items():
        names = getattr(fn, "__globals__", {})
        for node in ast.walk(tree):
            match node:
                case ast.ExceptHandler() if fn is reached[0] and _swallows(node):
                    what = f"what fails here has {step.name} counted as done"
                    yield fn, node, f"{what}; fix: let the error pass, and it is found out"
                case ast.Call(func=func) if value(func, names) in _ANEW:
                    what = f"`{ast.unparse(func)}` gives another value at each try of {step.name}"
                    yield fn, node, f"{what}; fix: `effect.key`, which stays"
                case ast.Call() if not asks & _LOOKED_AT and _sends(node, tree, names):
                    what = f"nobody looks whether {ast.unparse(node.func)} of {step.name} was taken"
                    yield fn, node, f"{what}: a 500 counts as done; fix: `.raise_for_status()`"
                case _:
                    pass


def _swallows(handler: ast.ExceptHandler) -> bool:
    """Whether it takes what may have happened, and lets the write end as if it had."""
    if any(isinstance(node, ast.Raise | ast.Await) for node in ast.walk(handler)):
        return False
    return bool(_caught(handler) & _MAYBE) or handler.type is None


def _caught(handler: ast.ExceptHandler) -> set[str]:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {ast.unparse(kind).rpartition(".")[2] for kind in kinds if kind}


def _sends(call: ast.Call, tree: ast.Module, names: dict[str, Any]) -> bool:
    """Whether it is a request of a client for HTTP that changes something."""
    func = call.func
    if not isinstance(func, ast.Attribute) or func.attr not in _SENDS:
        return False
    made = value(func, names) or kind_of(func.value, names)
    if made is None and isinstance(func.value, ast.Name):
        made = kinds_in(tree, names).get(func.value.id)
    return str(getattr(made, "__module__", "")).partition(".")[0] in _CLIENTS


def _tells_apart(fn: Function, tree: ast.Module | None) -> bool:
    """Whether a function uses what tells its effect from another; True where nobody can see."""
    given = [*inspect.signature(fn).parameters][1:2]
    if tree is None or not given:
        return True
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    uses = [parents[n] for n in parents if isinstance(n, ast.Name) and n.id == given[0]]
    return any(not isinstance(use, ast.Attribute) or use.attr in _KEYS for use in uses)


def _unsure(node: ast.AST | None, *, maybe: bool = False) -> Iterator[ast.Raise]:
    """Where it is said of what may have happened that it did not."""
    match node:
        case None:
            return
        case ast.Raise(exc=ast.expr() as raised):
            said = ast.unparse(raised).partition("(")[0].rpartition(".")[2]
            if maybe and said in _NEVER:
                yield node
            return
        case ast.If():
            failed = _on_failure(node.test)
            for each in node.body:
                yield from _unsure(each, maybe=maybe if failed is None else failed)
            for each in node.orelse:
                yield from _unsure(each, maybe=maybe if failed is None else not failed)
            return
        case ast.ExceptHandler():
            said = _caught(node)
            maybe = bool(said & _MAYBE) or not said
        case _:
            pass
    for child in ast.iter_child_nodes(node):
        yield from _unsure(child, maybe=maybe)


class _Failed(ast.NodeTransformer):
    """Puts into a test what an answer of 500 would say."""

    @override
    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if node.attr in _STATUS:
            return ast.Constant(500)
        return ast.Constant(_AS_FAILED[node.attr]) if node.attr in _AS_FAILED else node


def _on_failure(test: ast.expr) -> bool | None:
    """Whether a test holds of an answer of 500; None where that is not what it asks."""
    told = ast.fix_missing_locations(ast.Expression(_Failed().visit(copy.deepcopy(test))))
    if ast.unparse(told) == ast.unparse(test):
        return None
    # It may ask for more than the answer, by names that are not known here.
    with contextlib.suppress(Exception):
        return bool(eval(compile(told, "test", "eval"), {"__builtins__": {}}))  # noqa: S307
    return None
