"""Mistakes in how the code of a workflow goes: what is never awaited, and what never ends."""

from __future__ import annotations

import ast
import asyncio
import datetime as dt
import os
import random
import time
import urllib.request
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from temporalio.worker.workflow_sandbox import SandboxRestrictions

from handrail.agent import Step, Write
from handrail.cli.source import never_awaited, outer_changes, path_of, value

VERBS = ("read", "decide", "write", "notify")
_TAKING = (*VERBS, "done", "ask", "hand_off", "hand_on", "converse", "plan", "renew")
"""What awaits nothing that it is given."""

_UNSTEADY: list[tuple[Any, str]] = [
    (dt.datetime.now, "workflow.now()"),
    (dt.datetime.today, "workflow.now()"),
    (dt.date.today, "workflow.now().date()"),
    (time.time, "workflow.time()"),
    (time.monotonic, "workflow.time()"),
    (time.sleep, "await workflow.sleep(...)"),
    (random.random, "workflow.random().random()"),
    (random.choice, "workflow.random().choice(...)"),
    (random.randint, "workflow.random().randint(...)"),
    (uuid.uuid4, "workflow.uuid4()"),
    (dt.datetime.utcnow, "workflow.now()"),  # pyright: ignore[reportDeprecated]
    (hash, "a digest of hashlib, which is the same in each process"),
    (id, "a field that tells it apart"),
    (os.getenv, "a @read step that looks it up"),
    (open, "a @read step that reads it"),
    (urllib.request.urlopen, "a @read step that asks"),
    (asyncio.to_thread, "a plain `def` step, which runs in a thread"),
    (asyncio.wait, "workflow.wait(...)"),
    (asyncio.as_completed, "workflow.as_completed(...)"),
]
"""What gives another answer at each replay, and what to call instead."""


_RESTRICTED = SandboxRestrictions.default.invalid_module_members

_CHANGES = {"add", "append", "extend", "insert", "pop", "remove", "setdefault", "update"}

Found = Iterator[tuple[ast.AST, str]]
"""What is wrong, and at which node."""


def flow_mistakes(tree: ast.Module, names: Mapping[str, Any], *, run: bool) -> Found:
    """What is wrong with how one method goes. `run`: it is the workflow's own."""
    method = tree.body[0]
    if not isinstance(method, ast.AsyncFunctionDef):
        return
    if run:
        yield from _ends(method)
    yield from _goes_on(method)
    yield from _used_unawaited(method)
    yield from _written(method, names)
    for node in ast.walk(method):
        if isinstance(node, ast.While) and not _lets_go(node):
            yield node, "this loop waits for nothing, and holds up its worker; fix: await in it"
        elif isinstance(node, ast.For) and _is_set(node.iter):
            yield node, "a set has another order at each replay; fix: a list, or `sorted(...)`"
        elif isinstance(node, ast.Global):
            said = ", ".join(node.names)
            yield node, f"`global {said}` is another at each replay; fix: keep it on `self`"
        elif isinstance(node, ast.ExceptHandler) and _catches_all(node):
            what = ast.unparse(node.type) if node.type else ""
            fix = "name what you expect, or end the handler with `raise`"
            yield node, f"`{f'except {what}'.strip()}` swallows a stop of the case, too; fix: {fix}"
        elif isinstance(node, ast.Call) and _verb(node) and node.args:
            named = node.args[0]
            if isinstance(named, ast.Constant):
                given = f"self.{_verb(node)} is given {named.value!r}"
                yield node, f"{given}; fix: give it the step itself"


def outer_mistakes(tree: ast.Module, names: dict[str, Any]) -> Found:
    """What lies outside of the case, and is another when it goes on elsewhere."""
    for node in ast.walk(tree):
        match node:
            case ast.Name() | ast.Attribute() if value(node, names) is os.environ:
                fix = "a @read step that looks it up"
                yield node, f"`os.environ` is another on each machine; fix: {fix}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id=kept), attr=how)) if (
                how in _CHANGES and isinstance(names.get(kept), list | dict | set)
            ):
                yield node, f"`{kept}` is lost at each replay; fix: keep it on `self`"
            case ast.Call(func=func) if is_unsteady(func, names):
                cure = next((c for of, c in _UNSTEADY if value(func, names) == of), None)
                what = "answers otherwise at each replay" if cure else "is closed to workflows"
                yield node, f"`{ast.unparse(func)}` {what}; fix: {cure or 'do it in a step'}"
            case _:
                pass
    for node, what in outer_changes(tree, names):
        yield node, f"`{what}` is lost at each replay; fix: keep it on `self`"
    for node in never_awaited(tree, names):
        said = f"`{ast.unparse(node.func)}(...)` is never awaited, and never done"
        yield node, f"{said}; fix: `await` it"


def is_unsteady(func: ast.expr, names: dict[str, Any]) -> bool:
    """Whether what is called gives another answer each time, or is not there in a workflow."""
    if any(value(func, names) == of for of, _ in _UNSTEADY):
        return True
    path = path_of(func, names)
    found = _RESTRICTED.child_matcher(*path) if path else None
    return found is not None and found.match_self


def _goes_on(method: ast.AsyncFunctionDef) -> Found:
    """Where an Outcome is made, and the run goes on as if there was none."""
    for node in ast.walk(method):
        if isinstance(node, ast.Expr) and _verb(node.value, ("done",)):
            fix = "fix: `return self.done(...)`"
            yield node, f"the Outcome of self.done goes nowhere, and the case goes on; {fix}"


def _ends(method: ast.AsyncFunctionDef) -> Found:
    """Where a run ends with something else than an Outcome."""
    fix = 'fix: `return self.done("...")`'
    if not _leaves(method.body):
        yield method.body[-1], f"a way through `run` ends here with no Outcome; {fix}"
    for node in _own(method):
        if isinstance(node, ast.Return) and _is_plain(node.value):
            yield node, f"`{ast.unparse(node)}` is no Outcome; {fix}"


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """What stands in a function itself, and not in one within it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _own(child)


def _verb(call: ast.AST, verbs: Sequence[str] = VERBS) -> str:
    """Which verb of the case a call is; none if it is no such call."""
    func = call.func if isinstance(call, ast.Call) else None
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
        return func.attr if func.value.id == "self" and func.attr in verbs else ""
    return ""


def _leaves(body: list[ast.stmt]) -> bool:
    """Whether no way through these statements comes out at their end."""
    last = body[-1]
    match last:
        case ast.Return() | ast.Raise():
            return True
        case ast.If():
            return bool(last.orelse) and _leaves(last.body) and _leaves(last.orelse)
        case ast.With() | ast.AsyncWith():
            return _leaves(last.body)
        case ast.Try():
            ways = [last.orelse or last.body, *(each.body for each in last.handlers)]
            return all(map(_leaves, ways)) or bool(last.finalbody and _leaves(last.finalbody))
        case ast.While():
            always = isinstance(last.test, ast.Constant) and bool(last.test.value)
            return always and not any(isinstance(n, ast.Break) for n in ast.walk(last))
        case ast.Match():
            every = any(isinstance(c.pattern, ast.MatchAs) and not c.guard for c in last.cases)
            return every and all(_leaves(c.body) for c in last.cases)
        # As `assert_never(...)`: whether what the project's own code does ends nobody can see here.
        case ast.Expr(value=ast.Await(value=call)) | ast.Expr(value=ast.Call() as call):
            return not _verb(call, (*VERBS, "done"))
        case _:
            return False


def _used_unawaited(method: ast.AsyncFunctionDef) -> Found:
    """A verb whose coroutine is used as if it were the result."""
    parents = {child: node for node in ast.walk(method) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(method):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) if _verb(call):
                pass
            case _:
                continue
        loads = (n for n in parents if isinstance(n, ast.Name) and n.id == name)
        uses = [parents[n] for n in loads if isinstance(n.ctx, ast.Load)]
        taking = (ast.Await, ast.Call, ast.List, ast.Tuple)
        taken = any(isinstance(use, taking) and not _verb(use, _TAKING) for use in uses)
        if uses and not taken:
            verb = _verb(call)
            yield node, f"`self.{verb}(...)` is never awaited, and never done; fix: `await` it"


def _written(method: ast.AsyncFunctionDef, names: Mapping[str, Any]) -> Found:
    """Writes that are given what another step returned, which is no action of theirs."""
    known: dict[str, Any] = {}
    for node in ast.walk(method):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Await(value=ast.Call(args=[ast.Name(id=step), *_])),
            ):
                found = names.get(step)
                again = name in known
                known[name] = found.returns if isinstance(found, Step) and not again else None
            case _:
                pass
    for node in ast.walk(method):
        match node:
            case ast.Call(args=[ast.Name(id=step), ast.Name(id=given)]) if _verb(node) == "write":
                write, kind = names.get(step), known.get(given)
            case _:
                continue
        if isinstance(write, Write) and isinstance(kind, type) and hasattr(kind, "model_fields"):
            action = cast("Write[Any, Any]", write).action
            if not issubclass(kind, action) and "action" not in getattr(kind, "model_fields", {}):
                wanted = action.__name__
                what = f"{write.name} writes a {wanted}, and is given a {kind.__name__}"
                yield node, f"{what}; fix: a decision, or {wanted}(...)"


def imported_within(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """What a method imports itself, when it runs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node, node.module


def flow_remarks(tree: ast.Module) -> Found:
    """What is worth reading of how one method goes."""
    for node in _swallowed_ends(tree):
        what = "takes a write that was refused, rejected or is in doubt for done, too"
        yield node, f"`except Exception` {what}; fix: name what you expect"
    for node in _late_patches(tree):
        why = "may not be found again behind what was awaited, and the case stands still"
        yield node, f"`{ast.unparse(node)}` {why}; fix: ask at the head of `run`, and keep it"


def _late_patches(tree: ast.Module) -> Iterator[ast.Call]:
    """Where a patch is asked for behind what was awaited.

    Where somebody looks at a case while a local activity runs, the SDK (1.35) ends the task before
    the marker of a patch that is asked for next. A replay comes by it in the task before, in which
    there is no such marker.
    """
    for method in ast.walk(tree):
        if not isinstance(method, ast.AsyncFunctionDef):
            continue
        found = sorted(_calls_and_awaits(method), key=lambda n: (n.lineno, n.col_offset))
        awaited = False
        for node in found:
            awaited = awaited or isinstance(node, ast.Await)
            if awaited and isinstance(node, ast.Call):
                yield node


def _calls_and_awaits(method: ast.AsyncFunctionDef) -> Iterator[ast.Await | ast.Call]:
    for node in ast.walk(method):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="workflow"), attr="patched")):
                yield node
            case ast.Await():
                yield node
            case _:
                pass


def _swallowed_ends(tree: ast.Module) -> Iterator[ast.ExceptHandler]:
    """Where a write's end that was no write is taken for any other error, and gone over."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Try):
            continue
        if not any(_verb(n) == "write" for each in node.body for n in ast.walk(each)):
            continue
        for handler in node.handlers:
            kind = ast.unparse(handler.type) if handler.type else ""
            if kind == "Exception" and not any(isinstance(n, ast.Raise) for n in ast.walk(handler)):
                yield handler


def frozen_changes(method: ast.AST, given: Iterable[str]) -> Found:
    """Fields that are set of what a case was given or has decided."""
    fixed = set(given)
    for node in ast.walk(method):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Await(value=call)) if (
                _verb(call) == "decide"
            ):
                fixed.add(name)
            case _:
                pass
    for node in ast.walk(method):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in fixed:
                fix = f"`{ast.unparse(node.value)}.model_copy(update=...)`"
                yield node, f"`{ast.unparse(node)}` cannot be set, and fails the case; fix: {fix}"


def bare_writes(
    tree: ast.Module, names: Mapping[str, Any]
) -> Iterator[tuple[ast.Call, Write[Any, Any]]]:
    """Calls of `self.write` that are given an action with no decision about it, and the write."""
    made = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(args=[ast.Name(id=step), given]) if _verb(node) == "write":
                write = names.get(step)
            case _:
                continue
        given = made.get(given.id, given) if isinstance(given, ast.Name) else given
        of = given.func if isinstance(given, ast.Call) else None
        kind = names.get(of.id) if isinstance(of, ast.Name) else None
        if isinstance(write, Write):
            known = cast("Write[Any, Any]", write)
            taken_out = isinstance(given, ast.Attribute) and given.attr == "action"
            if taken_out or (isinstance(kind, type) and issubclass(kind, known.action)):
                yield node, known


def _lets_go(loop: ast.While) -> bool:
    inside = [n for each in loop.body for n in ast.walk(each)]
    ends = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Break, ast.Return, ast.Raise)
    always = isinstance(loop.test, ast.Constant) and bool(loop.test.value)
    return not always or any(isinstance(n, ends) for n in inside)


def _is_set(node: ast.expr) -> bool:
    made = isinstance(node, ast.Call) and ast.unparse(node.func) in {"set", "frozenset"}
    return made or isinstance(node, ast.Set | ast.SetComp)


def _is_plain(node: ast.expr | None) -> bool:
    return node is None or isinstance(node, ast.Constant | ast.JoinedStr | ast.Dict | ast.Tuple)


def _catches_all(handler: ast.ExceptHandler) -> bool:
    every = handler.type is None or ast.unparse(handler.type) == "BaseException"
    return every and not any(isinstance(n, ast.Raise) for n in ast.walk(handler))
