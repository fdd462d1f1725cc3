"""Agent: a workflow, its steps, its policy and its data checks, put together under one name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast, get_type_hints

from pydantic import BaseModel, ValidationError

from handrail.actions import Action, Event, from_text
from handrail.agent import (
    AgentWorkflow,
    Decide,
    HandsTo,
    Notify,
    OutcomeRead,
    Step,
    Write,
    secret_faults,
)
from handrail.evidence import slow_ramps
from handrail.exceptions import CaseError, ConfigurationError, PolicyError
from handrail.guardrails import Check
from handrail.oversight import RESERVED
from handrail.policy import AgentShape, PolicyFile, WriteShape
from handrail.runtime.agent_faults import code_faults, model_faults
from handrail.runtime.model_faults import faults_of
from handrail.runtime.triggers import Trigger, trigger_faults, triggers_of

_LONGEST = 100


class Agent:
    """One agent: its workflow, its steps, its policy and its data checks, under one name."""

    def __init__(
        self,
        name: str,
        workflow: type[AgentWorkflow],
        *,
        steps: ModuleType | Iterable[Step[..., Any] | OutcomeRead],
        policy: Path | str,
        checks: ModuleType | Iterable[Check[Any]] = (),
        triggers: Iterable[Trigger] = (),
        hands_to: Iterable[HandsTo] = (),
    ) -> None:
        """Put an agent together. `steps` and `checks` may be the modules that define them.

        `triggers` start its cases by themselves, such as a `Schedule`; it hands to `hands_to`.

        Raises:
            ConfigurationError: if the parts do not fit, with what to do.
        """
        if not name or ":" in name or len(name) > _LONGEST:
            raise ConfigurationError(f"{name!r} cannot name an agent: use a short word without `:`")
        if name in RESERVED or "/" in name:
            raise ConfigurationError(
                f"{name!r} cannot name an agent: {', '.join(RESERVED)} mean something else, and "
                "`/` stands between an agent and its write; choose another word"
            )
        self.name = name
        self.workflow = workflow
        self.event = _event_of(name, workflow)
        self.workflow_type: str | None = vars(workflow)["__temporal_workflow_definition"].name
        steps = steps if isinstance(steps, ModuleType | str) else list(steps)
        self.steps = _with_undos(_members(name, steps, Step, OutcomeRead), name)
        self.outcomes: tuple[OutcomeRead, ...] = _members(name, steps, OutcomeRead, Step)
        self.checks = _members(name, checks, Check)
        self.triggers = triggers_of(name, triggers)
        self.hands_to = tuple(hands_to)
        self.shape = _shape(name, self.steps)
        self.policy_file = PolicyFile(Path(policy), self.shape)
        modules = [each.fn.__module__ for each in (*self.steps, *self.checks)]
        self.modules = _outside(workflow, [*modules, self.event.__module__])
        self.code = frozenset((workflow.__module__, self.event.__module__, *modules))

    @property
    def policy(self) -> Path:
        """Where its policy file lies."""
        return self.policy_file.path

    @property
    def writes(self) -> list[Write[Any, Any]]:
        """Its write steps, those that undo among them."""
        return _writes(self.steps)

    def faults(self) -> list[str]:
        """Every fault of the agent's policy and code, and secrets it lacks, each with its fix."""
        asking: dict[str, list[str]] = {}  # one that is not there is one fault, whoever takes it
        for step in self.steps:
            for secret in step.secrets:
                asking.setdefault(secret, []).append(step.name)
        lacking = [f for name, by in asking.items() for f in secret_faults(", ".join(by), [name])]
        lacking += model_faults(self.steps)
        lacking += code_faults(self.workflow, self.steps, self.hands_to)
        lacking += faults_of(self.event, self.steps)
        lacking += trigger_faults(self.name, self.event, self.triggers)
        try:
            self.policy_file.current()
        except PolicyError as error:
            return [*error.faults, *lacking]
        return lacking

    def notes(self) -> list[str]:
        """What of the policy is worth reading, and no fault.

        Raises:
            PolicyError: if the policy has faults.
        """
        policy = self.policy_file.current()
        return [*policy.notes, *(f"{self.policy}: {n}" for n in slow_ramps(policy.doc.actions))]

    def parse_event(self, text: str | bytes) -> Event:
        """An event from its JSON, as others send it or under its fields' own names.

        Raises:
            CaseError: if it does not validate, with every field that is wrong.
        """
        try:
            return from_text(self.event, text, by_name=True)
        except ValidationError as error:
            wrong = "\n".join(
                f"  {'.'.join(str(p) for p in e['loc']) or '(the whole)'}: {e['msg']}"
                for e in error.errors(include_url=False)
            )
            fields = ", ".join(self.event.model_fields)
            raise CaseError(
                f"this is no {self.event.__name__}:\n{wrong}\nfix: it has the fields {fields}"
            ) from error


def _event_of(name: str, kind: type[AgentWorkflow]) -> type[Event]:
    """The event that starts a case of an agent's workflow.

    Raises:
        ConfigurationError: if the class is no such workflow, or takes anything else.
    """
    if not (isinstance(kind, type) and issubclass(kind, AgentWorkflow)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{name}: {kind} must be a subclass of AgentWorkflow")
    if not hasattr(kind, "__temporal_workflow_definition"):
        raise ConfigurationError(f"{name}: decorate {kind.__name__} with @workflow.defn")
    run = vars(kind)["__temporal_workflow_definition"].run_fn
    parameters = list(inspect.signature(run).parameters)[1:]
    hints = get_type_hints(run)
    event = hints.get(parameters[0]) if len(parameters) == 1 else None
    if not (isinstance(event, type) and issubclass(event, Event)):
        raise ConfigurationError(
            f"{name}: {kind.__name__}.run must take exactly one event, a subclass of handrail.Event"
        )
    return event


def _members(
    name: str, given: ModuleType | Iterable[Any], kind: type[Any], *others: type[Any]
) -> tuple[Any, ...]:
    """The steps or checks of a module, or those that are listed, maybe among `others`.

    Raises:
        ConfigurationError: if anything else is listed.
    """
    if isinstance(given, ModuleType):
        return tuple(dict.fromkeys(v for v in vars(given).values() if isinstance(v, kind)))
    if isinstance(given, str):
        raise ConfigurationError(
            f"{name}: {given!r} is a text; fix: give the module itself, or a list of what is in it"
        )
    listed = tuple(given)
    for each in listed:
        if not isinstance(each, (kind, *others)):
            called = getattr(each, "__name__", repr(each))
            how = "@check" if kind is Check else "@read, @decide, @write or @notify"
            raise ConfigurationError(
                f"{name}: {called} is listed and is none; fix: put {how} on it"
            )
    return tuple(dict.fromkeys(each for each in listed if isinstance(each, kind)))


def _outside(kind: type[AgentWorkflow], modules: Iterable[str]) -> set[str]:
    """What is imported once, outside the sandbox: whole packages, but never the workflow's."""
    own = kind.__module__.partition(".")[0]
    roots = {module: module.partition(".")[0] for module in modules if module != kind.__module__}
    return {module if root == own else root for module, root in roots.items()}


def _with_undos(steps: Sequence[Step[..., Any]], agent: str) -> tuple[Step[..., Any], ...]:
    undos = [s.undo for s in _writes(steps) if s.undo is not None]
    named: dict[str, Step[..., Any]] = {}
    for step in dict.fromkeys([*steps, *undos]):
        if step.name in named:
            fix = "rename one (a connector's by name=, its undo by undo_name=)"
            raise ConfigurationError(f"{agent}: two steps are called `{step.name}`; fix: {fix}")
        named[step.name] = step
    return tuple(named.values())


def _shape(agent: str, steps: Sequence[Step[..., Any]]) -> AgentShape:
    writes = _writes(steps)
    evidence = _evidence(agent, [s for s in steps if isinstance(s, Decide)])
    return AgentShape(
        agent=agent,
        writes={
            w.name: WriteShape(
                name=w.name,
                action=w.action,
                evidence=evidence.get(w.action),
                undo=w.undo.name if w.undo else None,
                undoes=frozenset(o.name for o in writes if o.undo is w),
            )
            for w in writes
        },
        notifies=frozenset(s.name for s in steps if isinstance(s, Notify)),
    )


def _writes(steps: Sequence[Step[..., Any]]) -> list[Write[Any, Any]]:
    return [cast("Write[Any, Any]", step) for step in steps if isinstance(step, Write)]


def _evidence(
    agent: str, decides: Sequence[Decide[..., Any]]
) -> Mapping[type[Action], type[BaseModel]]:
    found: dict[type[Action], type[BaseModel]] = {}
    for step in decides:
        for action in step.proposes:
            if found.setdefault(action, step.evidence) is not step.evidence:
                raise ConfigurationError(
                    f"{agent}: {action.__name__} is decided with two kinds of evidence "
                    f"({found[action].__name__}, {step.evidence.__name__}); use one"
                )
    return found
