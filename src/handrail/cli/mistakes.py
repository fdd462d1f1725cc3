"""Mistakes in an agent's own code that are seen without running it, each with its cure.

Not among what keeps a worker from starting: that may be a matter of taste, or of where it runs.
"""

from __future__ import annotations

import ast
import datetime as dt
import inspect
import logging
import os
import re
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast, get_args, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError
from temporalio.worker import WorkflowRunner

from handrail.actions import Event, Outcome
from handrail.agent import (
    AgentWorkflow,
    Decide,
    Step,
    Write,
    stated_unit,
    unstated_amounts,
)
from handrail.cli.amended_code import unamended_uses
from handrail.cli.source import (
    class_at,
    is_stored,
    local_imports,
    never_awaited,
    parsed,
    place,
    reached,
    value,
)
from handrail.cli.step_code import write_remarks
from handrail.cli.workflow_code import (
    VERBS,
    bare_writes,
    flow_mistakes,
    flow_remarks,
    frozen_changes,
    imported_within,
    is_unsteady,
    outer_mistakes,
)
from handrail.exceptions import PolicyError
from handrail.policy import Policy
from handrail.runtime import import_faults, sandbox_faults
from handrail.syntax import syntax_tree
from handrail.text import shown_file

if TYPE_CHECKING:
    from handrail.runtime import Agent

_MONEY = {
    "amount", "balance", "budget", "cost", "eur", "fee", "money", "payment", "price", "salary",
    "sum", "total", "usd",
}  # fmt: skip

_MAY_BE_OWN = {"event_changed", "explain"}
"""The engine's methods that an agent may write itself."""

_PAST = {"execute_activity", "execute_local_activity", "start_activity", "start_local_activity"}

_BLOCKING = re.compile(
    r"time\.sleep|subprocess\.(run|call|check_\w+)|smtplib\.SMTP\w*|urllib\.urlopen"
    r"|(requests|httpx2?)\.(get|post|put|patch|delete|head|request|stream|Session|Client)"
)
"""What holds up whoever calls it, by the package that it comes from."""

_IN_UNIT = re.compile(r"at most [\d.]+ (?!per )(\S+) per ")

_SECRET = {"apikey", "credential", "credentials", "passwd", "password", "secret", "token"}


def mistakes(agent: Agent, runner: WorkflowRunner) -> Iterator[str]:
    """What would go wrong when the agent runs. `runner`: in which its workflows run."""
    yield from _event_mistakes(agent.event)
    if not agent.steps:
        yield (
            f"{agent.name}: there is no step in what `steps=` names; fix: put @read, @decide, "
            "@write or @notify on its functions"
        )
    actions = [step.action for step in agent.writes]
    for kind in dict.fromkeys([agent.event, *actions]):
        yield from _field_mistakes(kind)
    for step in agent.steps:
        if isinstance(step, Decide):
            yield from _decision_mistakes(step)
    for fn in dict.fromkeys(fn for each in agent.steps for fn in reached(inspect.unwrap(each.fn))):
        yield from _unawaited(fn)
    yield from _unit_mistakes(agent)
    yield from _workflow_mistakes(agent)
    yield from sandbox_faults(agent.workflow, runner)
    for fn, tree, _ in _methods(agent):
        for node, named in imported_within(tree):
            yield from (f"{place(fn, node)}: {each}" for each in import_faults(named, runner))


def remarks(agent: Agent) -> Iterator[str]:
    """What of it is worth reading, and may be as it should be."""
    if " " in agent.name:
        yield f"{agent.name}: each command must quote it; fix: a name without a space"
    yield from _event_remarks(agent.event)
    for kind in dict.fromkeys([agent.event, *(step.action for step in agent.writes)]):
        yield from _field_remarks(kind)
    for step in agent.steps:
        calls = reached(inspect.unwrap(step.fn))
        for fn in calls:
            yield from _step_remarks(step, fn)
        if isinstance(step, Write):
            yield from _shown_remarks(cast("Write[Any, Any]", step).action)
            for fn, node, what in write_remarks(cast("Write[Any, Any]", step), calls, parsed):
                yield f"{place(fn, node)}: {what}"
    yield from _workflow_remarks(agent)
    yield from _shared_remarks(agent)
    for module in {step.fn.__module__: None for step in agent.steps}:
        yield from _twice(sys.modules[module])


def _event_mistakes(event: type[Event]) -> Iterator[str]:
    key = inspect.getattr_static(event, "key")
    first = next((each for each in event.model_fields if each != "key"), "number")
    fix = f"fix: `@property` and `def key(self) -> str: return self.{first}`"
    named = f"{class_at(event)}{event.__name__}"
    if "key" in event.model_fields:
        yield f"{named}: no field may be called `key`: rename it; {fix}"
    elif event.key is Event.key:
        yield f"{named} does not say in `key` which case it belongs to; {fix}"
    elif not isinstance(key, property):
        yield f"{named}: `key` is no property; {fix}"
    elif get_type_hints(key.fget).get("return", str) is not str:
        yield f"{named}: `key` is no text; fix: `def key(self) -> str`"
    elif key.fget and (tree := parsed(key.fget)):
        names = {**getattr(key.fget, "__globals__", {}), **local_imports(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and is_unsteady(node.func, names):
                said = f"`{ast.unparse(node.func)}` makes each delivery of an event another case"
                yield f"{place(key.fget, node)}: {said}; {fix}"


def _event_remarks(event: type[Event]) -> Iterator[str]:
    """A key that is made of nothing of the event."""
    key = inspect.getattr_static(event, "key")
    made = key.fget if isinstance(key, property) else None
    tree = parsed(made) if made else None
    if made is None or tree is None:
        return
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if used.isdisjoint({next(iter(inspect.signature(made).parameters), ""), "super"}):
        yield (
            f"{place(made, ast.Pass())}: `key` is the same of every {event.__name__}: the "
            "first begins a case, and all others are taken for it; fix: what tells them apart"
        )


def _decision_mistakes(step: Decide[..., Any]) -> Iterator[str]:
    """A confidence that is none, which fails each decision."""
    for fn in reached(inspect.unwrap(step.fn)):
        for node in ast.walk(parsed(fn) or ast.Module([], [])):
            match node:
                case ast.keyword(
                    arg="confidence", value=ast.Constant(value=float() | int() as said)
                ):
                    if not 0 <= said <= 1:
                        yield f"{place(fn, node)}: confidence {said} is not from 0 to 1"
                case _:
                    pass


def _field_mistakes(kind: type[BaseModel]) -> Iterator[str]:
    """Money that is no Decimal."""
    for name, field in kind.model_fields.items():
        types_of = {field.annotation, *get_args(field.annotation)}
        if float in types_of and Decimal not in types_of and _MONEY & set(name.split("_")):
            yield (
                f"{class_at(kind, name)}{kind.__name__}.{name} is money in a float: 0.1 + 0.2 is "
                "not 0.3 there, and what people approve is exact; fix: Decimal"
            )


def _shown_remarks(action: type[BaseModel]) -> Iterator[str]:
    """What approvers would read of an action, and cannot."""
    at = f"{class_at(action)}{action.__name__}"
    if not vars(action).get("__doc__"):
        yield f'{at} has no docstring, which is what approvers are asked; fix: `"""Pay ..."""`'
    if inspect.isfunction(inspect.getattr_static(action, "summary", None)):
        yield f"{at}.summary is shown to nobody; fix: put @property on it"
    for name in unstated_amounts(action):
        yield (
            f"{class_at(action, name)}{action.__name__}.{name} is shown with no unit; fix: "
            '`Field(json_schema_extra={"unit": "EUR"})`, or a field `currency` beside it'
        )


def _unit_mistakes(agent: Agent) -> Iterator[str]:
    """Limits in another unit than the field that they are counted by."""
    policy = _policy_of(agent)
    for step in agent.writes if policy else ():
        for limit in policy.of(step.name).limits if policy else ():
            field = step.action.model_fields.get(limit.field or "")
            unit = stated_unit(field) if field else ""
            stated = _IN_UNIT.search(limit.text)
            if unit and not limit.unit and stated and stated[1] != unit:
                yield (
                    f"{shown_file(str(agent.policy))}: {step.name} is limited to {limit.text}, and "
                    f"{step.action.__name__}.{limit.field} is in {unit}; fix: say it in {unit}"
                )


def _policy_of(agent: Agent) -> Policy | None:
    """Its policy; None where that has faults, which are said by themselves."""
    try:
        return agent.policy_file.current()
    except PolicyError:
        return None


def _field_remarks(kind: type[BaseModel]) -> Iterator[str]:
    """Times without a zone, which may be meant (of a calendar, say), and what looks secret."""
    for name, field in kind.model_fields.items():
        types_of = {field.annotation, *get_args(field.annotation)}
        if dt.datetime in types_of and not field.metadata:
            yield (
                f"{class_at(kind, name)}{kind.__name__}.{name} may be a time without a zone, "
                "which is another moment on another machine: pydantic.AwareDatetime, unless that "
                "is meant"
            )
        if str in types_of and _SECRET & {*name.split("_"), name.replace("_", "")}:
            yield (
                f"{class_at(kind, name)}{kind.__name__}.{name} looks like a secret, and would "
                "stand in histories and in the ledger; fix: say which one is meant, and have the "
                "step look it up, declared by `secrets=`"
            )


# The workflow


def _workflow_mistakes(agent: Agent) -> Iterator[str]:
    run = vars(agent.workflow)["__temporal_workflow_definition"].run_fn
    # The engine has wrapped it.
    source = inspect.unwrap(run)
    returns = get_type_hints(source).get("return")
    if not (isinstance(returns, type) and issubclass(returns, Outcome)):
        yield (
            f"{class_at(agent.workflow)}{agent.workflow.__name__}.run returns no Outcome; fix: "
            'declare `-> Outcome`, and end with `return self.done("...")`'
        )
    yield from _shape_mistakes(agent.workflow)
    for fn, tree, names in _workflow_code(agent):
        for node, what in outer_mistakes(tree, names):
            yield f"{place(fn, node)}: {what}"
    for fn, tree, names in _methods(agent):
        taken = [*inspect.signature(fn).parameters][1:2] if fn is source else []
        stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and is_stored(n)}
        event = {name: agent.event for name in taken if name not in stored}
        found = [*flow_mistakes(tree, names, run=fn is source), *frozen_changes(tree, event)]
        for node, what in found:
            yield f"{place(fn, node)}: {what}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                for what in _past_the_case(node, names, agent.steps):
                    yield f"{place(fn, node)}: {what}"
                for what in _call_mistakes(node, names, event):
                    yield f"{place(fn, node)}: {what}"


def _shape_mistakes(kind: type[AgentWorkflow]) -> Iterator[str]:
    """What of the engine a class hides, and what nobody would give it."""
    for name in vars(kind):
        of_engine = getattr(AgentWorkflow, name, None)
        if inspect.isfunction(of_engine) and not name.startswith("__") and name not in _MAY_BE_OWN:
            shown = f"{class_at(kind)}{kind.__name__}.{name}"
            yield f"{shown} stands in the place of the engine's own; fix: another name"
    init = vars(kind).get("__init__")
    if init and not hasattr(init, "__temporal_workflow_init"):
        needs = [*inspect.signature(init).parameters.values()][1:]
        if any(each.default is each.empty and each.kind < each.VAR_POSITIONAL for each in needs):
            what = "takes more than `self`, which nobody gives it"
            fix = "fix: none, or `@workflow.init` and the event"
            yield f"{class_at(kind)}{kind.__name__}.__init__ {what}; {fix}"


def _methods(agent: Agent) -> Iterator[tuple[types.FunctionType, ast.Module, dict[str, Any]]]:
    """The methods that a workflow's class has itself, and what the names in them stand for."""
    for method in vars(agent.workflow).values():
        fn = inspect.unwrap(method) if inspect.isfunction(method) else None
        tree = parsed(fn) if fn and fn.__module__ == agent.workflow.__module__ else None
        if fn is not None and tree is not None:
            yield fn, tree, {**fn.__globals__, **local_imports(tree)}


def _workflow_code(agent: Agent) -> Iterator[tuple[types.FunctionType, ast.Module, dict[str, Any]]]:
    """The methods, and the functions that they call, beside the class or among the steps."""
    methods = list(_methods(agent))
    yield from methods
    beside = {step.fn.__module__.partition(".")[0] for step in agent.steps} - {"handrail"}
    called = [each for fn, *_ in methods for each in reached(fn, *beside)[1:]]
    for fn in dict.fromkeys(called):
        tree = parsed(fn)
        if tree is not None:
            yield fn, tree, {**fn.__globals__, **local_imports(tree)}


def _workflow_remarks(agent: Agent) -> Iterator[str]:
    """What is written to logs at each replay, and actions that rules would know nothing of."""
    policy = _policy_of(agent)
    for fn, tree, names in _methods(agent):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _logs(node, names):
                said = f"`{ast.unparse(node.func)}` says it again at each replay"
                yield f"{place(fn, node)}: {said}; fix: `workflow.logger.info(...)`"
        yield from (f"{place(fn, node)}: {what}" for node, what in flow_remarks(tree))
        for node, of in unamended_uses(tree):
            what = "is what was decided, and people may have amended it before it was written"
            yield (
                f"{place(fn, node)}: `{ast.unparse(node)}` {what}; fix: `self.written({of})`, "
                "which is what was written"
            )
        for node, write in bare_writes(tree, names):
            if policy is None:
                break
            by = sorted(m for m in policy.of(write.name).mentions if _of_decision(m))
            if by:
                yield (
                    f"{place(fn, node)}: {write.name} is given an action alone, where its policy "
                    f"goes by {by[-1]}: each is held; fix: give it the decision, which has that"
                )


def _of_decision(mentioned: str) -> bool:
    return mentioned.partition(".")[0] in {"confidence", "evidence"}


def _logs(call: ast.Call, names: dict[str, Any]) -> bool:
    """Whether it is a call of `print`, `logging` or a logger that knows of no replay."""
    if value(call.func, names) is print:
        return True
    of = value(call.func.value, names) if isinstance(call.func, ast.Attribute) else None
    package = type(of).__module__.partition(".")[0]
    is_logger = isinstance(of, logging.Logger) or package in {"loguru", "structlog"}
    return is_logger or (of is logging and value(call.func, names) is not logging.getLogger)


def _call_mistakes(
    call: ast.Call, names: dict[str, Any], event: dict[str, type[Event]]
) -> Iterator[str]:
    func = call.func
    if not (isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and call.args):
        return
    if func.value.id != "self" or func.attr not in VERBS:
        return
    step, given = value(call.args[0], names), call.args[1:]
    if inspect.isfunction(step):
        yield f"{step.__name__} is no step; fix: put @{func.attr} on it, above all else"
    elif isinstance(step, Step) and step.posture.value != func.attr:
        yield (
            f"{step.name} is a {step.posture} step, and called by self.{func.attr}; fix: "
            f"`self.{step.posture}({step.name}, ...)`"
        )
    elif isinstance(step, Write):
        if len(given) == 1 and isinstance(given[0], ast.Name) and given[0].id in event:
            kind = cast("Write[Any, Any]", step).action.__name__
            yield (
                f"{step.name} writes a {kind}, and is given the event; fix: a decision, or "
                f"{kind}(...)"
            )
    elif isinstance(step, Step):
        of = cast("Step[..., Any]", step)
        yield from _argument_mistakes(of, given, call.keywords, event)


def _past_the_case(
    call: ast.Call, names: dict[str, Any], steps: Sequence[Step[..., Any]]
) -> Iterator[str]:
    """A step that Temporal is given itself, or by its name."""
    called = value(call.func, names)
    past = call.args[0] if call.args else None
    if isinstance(past, ast.Attribute) and past.attr == "fn":
        past = past.value
    step = value(past, names) if past is not None else None
    if isinstance(past, ast.Constant):
        step = next((each for each in steps if each.name == past.value), None)
    if getattr(called, "__name__", "") in _PAST and isinstance(step, Step):
        fix = f"`await self.{step.posture}({step.name}, ...)`"
        yield f"{step.name} is run past the case, its records and its policy; fix: {fix}"


def _argument_mistakes(
    step: Step[..., Any],
    given: list[ast.expr],
    named: list[ast.keyword],
    event: dict[str, type[Event]],
) -> Iterator[str]:
    if any(isinstance(arg, ast.Starred) for arg in given) or any(k.arg is None for k in named):
        return
    try:
        by_name = {str(each.arg): each.value for each in named}
        bound = inspect.Signature(step.parameters).bind(*given, **by_name)
    except TypeError as error:
        takes = ", ".join(parameter.name for parameter in step.parameters)
        yield f"{step.name}: {error}; fix: it takes ({takes})"
        return
    hints = get_type_hints(inspect.unwrap(step.fn))
    for name, node in bound.arguments.items():
        if isinstance(node, ast.Constant) and name in hints:
            try:
                TypeAdapter(hints[name]).validate_python(node.value)
            except ValidationError:
                yield f"{step.name}: {node.value!r} is no {name}: {hints[name]}"
        kind, wanted = event.get(node.id) if isinstance(node, ast.Name) else None, hints.get(name)
        if isinstance(kind, type) and isinstance(wanted, type) and not issubclass(kind, wanted):
            shown = f"{step.name} is given the event as `{name}`, which is {wanted.__name__}"
            yield f"{shown}; fix: a field of it"


# Steps


def _unawaited(fn: Callable[..., Any]) -> Iterator[str]:
    tree = parsed(fn)
    names = {**getattr(fn, "__globals__", {}), **(local_imports(tree) if tree else {})}
    for node in never_awaited(tree, names) if tree else ():
        said = f"`{ast.unparse(node.func)}(...)` is never awaited, and never done"
        yield f"{place(fn, node)}: {said}; fix: `await` it"


def _step_remarks(step: Step[..., Any], fn: Callable[..., Any]) -> Iterator[str]:
    tree = parsed(fn)
    names = {**getattr(fn, "__globals__", {}), **(local_imports(tree) if tree else {})}
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Subscript) and value(node.value, names) is os.environ:
            name = node.slice.value if isinstance(node.slice, ast.Constant) else None
            if isinstance(name, str) and name not in os.environ:
                yield (
                    f"{place(fn, node)}: {step.name} reads {name} from the environment, where it "
                    f"is not set; fix: export {name}=..., or give it a default"
                )
        elif isinstance(node, ast.Call) and _in_the_loop(step, fn):
            called = value(node.func, names)
            package = str(getattr(called, "__module__", "")).partition(".")[0]
            if _BLOCKING.fullmatch(f"{package}.{getattr(called, '__name__', '')}"):
                yield (
                    f"{place(fn, node)}: `{ast.unparse(node.func)}` makes every other step of its "
                    f"worker wait; fix: plain `def {step.name}`, which runs in a thread"
                )


def _in_the_loop(step: Step[..., Any], fn: Callable[..., Any]) -> bool:
    """Whether others wait while a function runs for a step."""
    own = inspect.unwrap(step.fn)
    apart = {"to_thread", "run_in_executor"} & {*own.__code__.co_names}
    return inspect.iscoroutinefunction(fn) or (inspect.iscoroutinefunction(own) and not apart)


def _shared_remarks(agent: Agent) -> Iterator[str]:
    """What is one list for every case of a worker, where each case was to have its own."""
    said = "is one and the same for all cases"
    for step in agent.steps:
        fn = inspect.unwrap(step.fn)
        for name, given in inspect.signature(fn).parameters.items():
            default: Any = given.default
            if isinstance(default, list | dict | set):
                shown = f"{step.name}: `{name}={default!r}`"
                yield f"{place(fn, ast.Pass())}: {shown} {said}; fix: None, or a tuple"
    kind = agent.workflow
    for name, kept in vars(kind).items():
        if isinstance(kept, list | dict | set) and not (name.isupper() or name.startswith("__")):
            shown = f"{class_at(kind, name)}{kind.__name__}.{name}"
            fix = "make it in `run`, or name it in capitals"
            yield f"{shown} {said} without the sandbox; fix: {fix}"


def _twice(module: types.ModuleType) -> Iterator[str]:
    """Steps that a later function of the same name hides."""
    try:
        tree = syntax_tree(inspect.getsource(module))
    except (OSError, SyntaxError, TypeError):
        return
    first: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
            other = first.setdefault(node.name, node)
            if other is not node:
                line = getattr(other, "lineno", 0)
                yield (
                    f"{shown_file(module.__file__)}:{node.lineno}: {node.name} stands here twice "
                    f"(first in line {line}), and only the last counts; fix: another name for one"
                )
