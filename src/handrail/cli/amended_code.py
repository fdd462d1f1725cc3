"""Where a workflow goes by an action as it was decided, after a write that people may amend."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

_Done = frozenset[str]
"""The names of decisions that are written."""


def unamended_uses(tree: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """Each use of `decision.action` behind the write of it, and the name of the decision."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef):
            walk = _Behind(node)
            walk.block(node.body, _Done())
            yield from walk.found.values()


class _Behind:
    """Goes through a method as a case does: what stands in another branch is not behind a write."""

    def __init__(self, method: ast.AsyncFunctionDef) -> None:
        self.found: dict[str, tuple[ast.expr, str]] = {}
        """The first use of each decision."""
        self._named = {
            target.id: name
            for node in ast.walk(method)
            if isinstance(node, ast.Assign) and (name := _action_of(node.value))
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def block(self, body: Sequence[ast.stmt], done: _Done) -> _Done | None:
        """What is written behind these statements; None if no way comes out of them."""
        for stmt in body:
            ways = self._ways(stmt, done)
            if not ways:
                return None
            done = ways[0].union(*ways[1:])
        return done

    def _ways(self, stmt: ast.stmt, done: _Done) -> list[_Done]:
        match stmt:
            case ast.If(test=test, body=body, orelse=other):
                self._look(test, done)
                ways = [self.block(body, done), self.block(other, done)]
            case ast.Match(subject=subject, cases=cases):
                self._look(subject, done)
                ways = [done, *(self.block(each.body, done) for each in cases)]
            case ast.Try(body=body, handlers=handlers, orelse=other, finalbody=last):
                tried = self.block(body, done)
                ways = [None if tried is None else self.block(other, tried)]
                ways += [self.block(each.body, done) for each in handlers]
                ways = [None if way is None else self.block(last, way) for way in ways]
            case ast.For(body=body) | ast.AsyncFor(body=body) | ast.While(body=body):
                ways = [done, self.block(body, done)]
            case ast.With(body=body) | ast.AsyncWith(body=body):
                ways = [self.block(body, done)]
            case _:
                done = self._look(stmt, done)
                leaves = isinstance(stmt, ast.Return | ast.Raise | ast.Continue | ast.Break)
                ways = [None if leaves else done]
        return [way for way in ways if way is not None]

    def _look(self, node: ast.AST, done: _Done) -> _Done:
        """Find uses in one statement, and say what is written behind it."""
        calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
        given = [c for c in calls if _verb(c) == "write" and len(c.args) > 1]
        names = [n.id for c in given for n in ast.walk(c.args[1]) if isinstance(n, ast.Name)]
        done = done | {self._named.get(name, name) for name in names}
        for use, of in self._uses(node):
            if of in done:
                self.found.setdefault(of, (use, of))
        stored = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
        return done - {n.id for n in stored if isinstance(n.ctx, ast.Store)}

    def _uses(self, node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
        """Where an action is used for what it says, and not only asked for its class."""
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.Call() if _verb(child) in {"write", "written"}:
                    continue
                case ast.Call(func=ast.Name(id="isinstance")) | ast.Compare():
                    continue
                case ast.Attribute() if name := _action_of(child):
                    yield child, name
                case ast.Name(id=name, ctx=ast.Load()) if name in self._named:
                    yield child, self._named[name]
                case ast.Name(id=name) if isinstance(node, ast.Call) and _verb(node) == "notify":
                    yield child, name
                case _:
                    yield from self._uses(child)


def _action_of(node: ast.expr) -> str:
    """Whose action an expression is: `decision` of `decision.action`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id if node.attr == "action" else ""
    return ""


def _verb(call: ast.Call) -> str:
    of = call.func
    if isinstance(of, ast.Attribute) and isinstance(of.value, ast.Name) and of.value.id == "self":
        return of.attr
    return ""
