"""What is wrong with an agent as its code shows it: found by `check`, before anything runs.

The workflow's own source is read, not run. What it does by names that are only known when it
runs (`STEPS[tool]`) is seen as far as the container stands in its module; the case itself finds
the rest.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, cast

from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from handrail.actions import Action
from handrail.agent import AgentWorkflow, Converse, Decide, HandsTo, Step, Write
from handrail.runtime.sandbox import import_error
from handrail.syntax import class_source, syntax_tree
from handrail.text import shown_file

_ASKING = ("read", "plan", "decide", "converse", "ask")
VERBS = (*_ASKING, "write", "notify", "renew", "hand_off", "hand_on")
_HANDING = ("hand_off", "hand_on")
_GATHERING = ("create_task", "ensure_future", "gather", "shield", "wait_for")


def code_faults(
    workflow: type[AgentWorkflow],
    steps: Sequence[Step[..., Any]],
    hands_to: Sequence[HandsTo] = (),
) -> list[str]:
    """The faults of a workflow's source, and of what its steps decide and write; with fixes."""
    classes = workflow.__mro__[: workflow.__mro__.index(AgentWorkflow)]
    sources = [_Source(workflow, each, steps, hands_to) for each in classes]
    found = [fault for source in sources for fault in source.faults()]
    return [*dict.fromkeys([*found, *_class_faults(steps)])]


def model_faults(steps: Sequence[Step[..., Any]]) -> list[str]:
    """Why a model that steps ask cannot be asked here, or could not have its tools."""
    asking = [step for step in steps if isinstance(step, Decide)]
    found = [f"{s.name}: {fault}" for s in asking if s.model for fault in s.model.faults()]
    unknown = [(t, s) for s in asking if isinstance(s, Converse) for t in s.needs if t not in steps]
    return found + [
        f"{tool.name} is a tool of {step.name}, and none of the agent's steps; fix: add it to "
        "`steps=` of the Agent"
        for tool, step in unknown
    ]


def _class_faults(steps: Sequence[Step[..., Any]]) -> Iterator[str]:
    """Where an action's class would not say what is to be done."""
    writes = [cast("Write[Any, Any]", step) for step in steps if isinstance(step, Write)]
    written: set[type[Action]] = {step.action for step in writes}
    decided = {step: step.actions for step in steps if isinstance(step, Decide)}
    known = written.union(*decided.values())
    if Action in written:
        names = ", ".join(step.name for step in writes if step.action is Action)
        yield f"{names}: it takes any Action; fix: let it take one class of its own"
    for step, kinds in decided.items():
        for kind in kinds:
            special = [k.__name__ for k in known if k is not kind and issubclass(k, kind)]
            if kind is Action or (special and kind not in written):
                names = " | ".join(sorted(special)) or "Refund | Cancel"
                yield (
                    f"{step.name}: it decides on {kind.__name__}, which no write takes, and what "
                    f"came back would be that alone; fix: name the classes: Decision[{names}, ...]"
                )
        for name, count in Counter(kind.__name__ for kind in kinds).items():
            if count > 1:
                yield f"{step.name}: it decides on two classes called {name}; fix: rename one"


def _parsed(kind: type) -> tuple[ast.Module, int]:
    """The source of a class, and its first line.

    Raises:
        OSError: if it stands in no file.
        SyntaxError: if it cannot be parsed.
    """
    source, first = class_source(kind)
    return syntax_tree(textwrap.dedent(source)), first


class _Source:
    """The source of one class of a workflow. `agent`: whose methods are looked up."""

    def __init__(
        self,
        agent: type[AgentWorkflow],
        kind: type,
        steps: Sequence[Step[..., Any]],
        hands_to: Sequence[HandsTo],
    ) -> None:
        self._hands_to = {each.agent: each for each in hands_to}
        self._agent, self._listed = agent, {each.name for each in steps}
        self._names = vars(sys.modules[kind.__module__])
        try:
            tree, self._first = _parsed(kind)
            self._file = shown_file(inspect.getsourcefile(kind))
        except (OSError, SyntaxError):
            tree = ast.Module([], [])  # typed into a prompt: there is nothing to read
        of = (node for each in tree.body for node in ast.iter_child_nodes(each))
        self._methods = [n for n in of if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]

    def faults(self) -> Iterator[str]:
        for method in self._methods:
            if method.args.args:
                yield from self._never_awaited(method, method.args.args[0].arg)
                yield from self._hand_offs(method, method.args.args[0].arg)
            yield from self._steps(method)

    def _at(self, node: ast.expr | ast.stmt, what: str) -> str:
        return f"{self._file}:{self._first + node.lineno - 1}: {what}"

    def _never_awaited(self, method: ast.AST, me: str) -> Iterator[str]:
        """Calls of verbs, and of the class's own coroutines, whose result nobody takes."""
        used = {n.id for n in ast.walk(method) if isinstance(n, ast.Name) and _is_read(n)}
        for node in ast.walk(method):
            if isinstance(node, ast.Assign) and not used & set(map(_name, node.targets)):
                calls = [node.value] if all(map(_name, node.targets)) else []
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                calls = [] if _name(node.target) in {"", *used} else [node.value]
            else:
                calls = [node.value] if isinstance(node, ast.Expr) else []
            for call in (c for value in calls for c in _gathered(value)):
                name = _called_on(me, call)
                if name is not None and self._is_coroutine(name):
                    fix = f"`await {me}.{name}(...)`"
                    yield self._at(
                        call, f"`{me}.{name}(...)` is never awaited, and never done; fix: {fix}"
                    )

    def _hand_offs(self, method: ast.AST, me: str) -> Iterator[str]:
        """Hand-offs to agents that are not declared, and of events of another class."""
        for node in ast.walk(method):
            if not isinstance(node, ast.Call) or _called_on(me, node) not in _HANDING:
                continue
            match node.args:
                case [ast.Constant(value=str() as to), event]:
                    known = self._hands_to.get(to)
                case _:
                    continue
            if known is None:
                yield self._at(
                    node,
                    f"it hands work to {to}, which the Agent does not declare; fix: "
                    f"`hands_to=[HandsTo({to!r}, ...)]`",
                )
                continue
            made = self._value(event.func, set()) if isinstance(event, ast.Call) else None
            if isinstance(made, type) and not issubclass(made, known.event):
                yield self._at(
                    node,
                    f"it hands {made.__name__} to {to}, which is declared to take "
                    f"{known.event.__name__}; fix: hand it one",
                )

    def _is_coroutine(self, name: str) -> bool:
        return name in VERBS or inspect.iscoroutinefunction(getattr(self._agent, name, None))

    def _steps(self, method: ast.AST) -> Iterator[str]:
        """Steps that are called past the verbs, and steps that no worker would know."""
        local = {n.id for n in ast.walk(method) if isinstance(n, ast.Name) and not _is_read(n)}
        local |= {n.arg for n in ast.walk(method) if isinstance(n, ast.arg)}
        for node in ast.walk(method):
            if isinstance(node, ast.Call):
                func = node.func
                bare = isinstance(func, ast.Attribute) and func.attr == "fn"
                step = self._value(cast("ast.Attribute", func).value if bare else func, local)
                if isinstance(step, Step):
                    yield self._at(
                        node,
                        f"{step.name} is called past the case, and again at each replay; fix: use "
                        f"`await self.{step.posture}({step.name}, ...)`",
                    )
            elif isinstance(node, ast.Name | ast.Attribute):
                for step in _steps_in(self._value(node, local)):
                    if step.name not in self._listed:
                        yield self._at(
                            node,
                            f"{step.name} is none of the agent's steps, and no worker would run "
                            "it; fix: add it to `steps=` of the Agent",
                        )

    def _value(self, node: ast.expr, local: set[str]) -> Any:
        """What a name of the module stands for; None if that is not known."""
        if isinstance(node, ast.Name):
            return None if node.id in local else self._names.get(node.id)
        if isinstance(node, ast.Attribute):
            of = self._value(node.value, local)
            return vars(of).get(node.attr) if isinstance(of, ModuleType | type) else None
        return None


def _is_read(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def _name(target: ast.expr) -> str:
    return target.id if isinstance(target, ast.Name) else ""


def _gathered(value: ast.expr) -> Iterator[ast.expr]:
    """A value, and what it only hands on: `asyncio.gather(...)` without anybody who waits."""
    yield value
    parts: Sequence[ast.expr] = ()
    match value:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="asyncio"), attr=name)):
            parts = value.args if name in _GATHERING else ()
        case ast.IfExp():
            parts = (value.body, value.orelse)
        case ast.BoolOp():
            parts = value.values
        case ast.Tuple() | ast.List() | ast.Set():
            parts = value.elts
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
            parts = (value.elt,)
        case ast.Starred() | ast.NamedExpr():
            parts = (value.value,)
        case _:
            pass
    for part in parts:
        yield from _gathered(part)


def _called_on(me: str, call: ast.expr) -> str | None:
    """The name of the method that is called on `me`, if that is what it is."""
    func = call.func if isinstance(call, ast.Call) else None
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == me:
        return func.attr
    return None


def _steps_in(value: Any) -> Iterator[Step[..., Any]]:
    """A step, or those in a container."""
    if isinstance(value, Mapping):
        value = list(cast("Mapping[Any, Any]", value).values())
    many = isinstance(value, list | tuple | set | frozenset)
    for each in cast("Iterable[Any]", value) if many else [value]:
        if isinstance(each, Step):
            yield cast("Step[..., Any]", each)


def import_faults(module: str, runner: WorkflowRunner) -> Iterator[str]:
    """Why a module that a method imports does not load in Temporal's sandbox, if it does not."""
    error = None
    if isinstance(runner, SandboxedWorkflowRunner):
        error = import_error(module, runner.restrictions)
    if error is not None:
        said = str(error).partition(" If this is code")[0]
        yield (
            f"{module} cannot be loaded in Temporal's workflow sandbox ({type(error).__name__}: "
            f"{said}); fix: use it in a step, or name it: Fleet(..., passthrough=[{module!r}])"
        )


def sandbox_faults(workflow: type[Any], runner: WorkflowRunner) -> Iterator[str]:
    """Why a workflow does not load in Temporal's sandbox, if it does not. `runner`: has it."""
    try:
        runner.prepare_workflow(vars(workflow)["__temporal_workflow_definition"])
    # It imports the project's own code once more, which may raise anything there.
    except Exception as error:  # noqa: BLE001
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        module, said = workflow.__module__, str(cause).partition(" If this is code")[0]
        yield (
            f"{workflow.__name__} cannot be loaded in Temporal's workflow sandbox "
            f"({type(cause).__name__}: {said}); fix: keep {module} free of all but the workflow "
            "and put steps, with what they import, into a file of their own; or name the module "
            'that it needs: Fleet(..., passthrough=["..."])'
        )
