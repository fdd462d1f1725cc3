"""Fleet: which agents a worker process runs, and the Temporal plugin they run with."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import inspect
import logging
from collections.abc import AsyncGenerator, Container, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from temporalio.client import Client, Plugin
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from handrail.actions import Action, Event, from_text
from handrail.agent import (
    HEARTBEAT,
    OPEN_QUERY,
    AgentWorkflow,
    Decide,
    HandsTo,
    Notify,
    OutcomeRead,
    Step,
    Write,
    executions,
    secret_faults,
)
from handrail.client import StartedCase, held_ledger, start_case
from handrail.evidence import slow_ramps
from handrail.exceptions import CaseError, ConfigurationError, PolicyError
from handrail.guardrails import Check, Door, hand_off_activity
from handrail.ledger import Ledger
from handrail.oversight import RESERVED, Trust
from handrail.policy import AgentShape, PolicyFile, WriteShape, load_policy
from handrail.runtime import schedules
from handrail.runtime.agent_faults import code_faults, event_of, members, model_faults
from handrail.runtime.builds import deployment, worker_build
from handrail.runtime.engine_thread import running_apart
from handrail.runtime.handoffs import handoff_activities, require_known
from handrail.runtime.interceptors import (
    CaseInterceptor,
    FitPayloads,
    SecretScrubber,
    ShortFailures,
)
from handrail.runtime.model_faults import faults_of
from handrail.runtime.payload_codec import ClaimCheck
from handrail.runtime.rebuild import NO_CASES
from handrail.runtime.recorder import recording
from handrail.runtime.replays import (
    AgentReplays,
    ReplayedCase,
    read_history,
    replay_history,
    replay_open,
)
from handrail.runtime.rollout import Rollout
from handrail.runtime.rollout_activities import RolloutActivities
from handrail.runtime.sandbox import ContextFreeSandbox, Unsandboxed
from handrail.runtime.slots import BoundedSlots
from handrail.runtime.steward import AutonomyWorkflow, VersionedAutonomyWorkflow
from handrail.runtime.steward_activities import AutonomyActivities
from handrail.runtime.upkeep import Upkeep, UpkeepActivities
from handrail.runtime.watchdog import watched_loop
from handrail.wire import build_models

STICKY = timedelta(seconds=3)
"""How long a task waits for the worker that has the case in memory before another gets it."""

log = logging.getLogger("handrail.fleet")

_LONGEST = 100

GRACE = timedelta(seconds=45)
"""How long activities may go on after SIGTERM. Longer than a write's default timeout."""

_TIMES: dict[str, Any] = {
    "sticky_queue_schedule_to_start_timeout": STICKY,
    "graceful_shutdown_timeout": GRACE,
    # The SDK would hold heartbeats back for 0.8 of the time after which their worker is taken for
    # dead, and a busy machine is late by the 0.6 s that are left of it.
    "max_heartbeat_throttle_interval": HEARTBEAT / 2,
}


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
        triggers: Iterable[schedules.Trigger] = (),
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
        self.event = event_of(name, workflow)
        self.workflow_type: str | None = vars(workflow)["__temporal_workflow_definition"].name
        steps = steps if isinstance(steps, ModuleType | str) else list(steps)
        self.steps = _with_undos(members(name, steps, Step, OutcomeRead), name)
        self.outcomes: tuple[OutcomeRead, ...] = members(name, steps, OutcomeRead, Step)
        self.checks = members(name, checks, Check)
        self.triggers = schedules.triggers_of(name, triggers)
        self.hands_to = tuple(hands_to)
        self.policy = Path(policy)
        self.shape = _shape(name, self.steps)
        modules = [each.fn.__module__ for each in (*self.steps, *self.checks)]
        self.modules = _outside(workflow, [*modules, self.event.__module__])
        self.code = frozenset((workflow.__module__, self.event.__module__, *modules))

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
        lacking += schedules.trigger_faults(self)
        try:
            load_policy(self.policy, self.shape)
        except PolicyError as error:
            return [*error.faults, *lacking]
        return lacking

    def notes(self) -> list[str]:
        """What of the policy is worth reading, and no fault.

        Raises:
            PolicyError: if the policy has faults.
        """
        policy = load_policy(self.policy, self.shape)
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


class Fleet:
    """The agents that a worker process runs."""

    def __init__(
        self, *agents: Agent, passthrough: Sequence[str] = (), plugins: Sequence[Plugin] = ()
    ) -> None:
        """Name the agents. `passthrough`: more modules to import once, outside the sandbox.

        `plugins`: Temporal plugins of your own, which bring activities, interceptors and what else
        a worker takes; the data converter stays Handrail's.

        Raises:
            ConfigurationError: if there is none, or two have one name.
        """
        if not agents:
            raise ConfigurationError("a fleet needs at least one Agent")
        self.agents: Mapping[str, Agent] = {agent.name: agent for agent in agents}
        if len(self.agents) != len(agents):
            names = [agent.name for agent in agents]
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigurationError(f"two agents of this fleet are called {twice}; rename one")
        require_known(self.agents)
        self._passthrough = tuple(passthrough)
        self.plugins = tuple(plugins)

    def agent(self, name: str) -> Agent:
        """The agent of that name.

        Raises:
            CaseError: if there is none.
        """
        if name not in self.agents:
            raise CaseError(f"no agent `{name}`; there are: {', '.join(self.agents)}")
        return self.agents[name]

    def plugin(self, payload_dir: Path, *, sandbox: bool = True) -> SimplePlugin:
        """The Temporal plugin for clients, workers and replayers of this fleet.

        `payload_dir`: where payloads too large for a history are kept. Without the
        `sandbox` a workflow that is not deterministic is found out later: turn it off only
        where the tests run with it.
        """
        modules = {"handrail", *self._passthrough}
        for agent in self.agents.values():
            modules |= agent.modules

        def converter(_: DataConverter | None) -> DataConverter:
            return dataclasses.replace(
                pydantic_data_converter,
                payload_converter_class=FitPayloads,
                failure_converter_class=ShortFailures,
                payload_codec=ClaimCheck(payload_dir),
            )

        def runner(given: WorkflowRunner | None) -> WorkflowRunner:
            build_models()
            if not sandbox:
                return Unsandboxed()
            if given is not None and not isinstance(given, SandboxedWorkflowRunner):
                return given
            # Models and steps are imported once, not for every case: 10 ms instead of 158.
            known = SandboxRestrictions.default.with_passthrough_modules(*sorted(modules))
            return ContextFreeSandbox(restrictions=known)

        return SimplePlugin(
            "handrail",
            data_converter=converter,
            interceptors=[CaseInterceptor(), SecretScrubber()],
            workflow_runner=runner,
            # Only what comes from bad input: the case fails, instead of trying for ever.
            workflow_failure_exception_types=[ValidationError],
        )

    def workers(
        self,
        client: Client,
        ledger: Ledger,
        *,
        trust: Trust | None = None,
        without: Container[str] = (),
        **options: Any,
    ) -> list[Worker]:
        """One Temporal worker for each agent `without` some, on the task queue of its name.

        `client` must have been connected with this fleet's `plugin`. `trust`: whose rulings
        are proven; without it every ruling needs a proof and nobody can give one. `options`
        go to Temporal's `Worker`.
        """
        trusted = trust or Trust()
        return [
            self._worker(client, agent, ledger, trusted, options)
            for agent in self.agents.values()
            if agent.name not in without
        ]

    def _worker(  # the parts of one worker
        self,
        client: Client,
        agent: Agent,
        ledger: Ledger,
        trust: Trust,
        options: Mapping[str, Any],
    ) -> Worker:
        policy = PolicyFile(agent.policy, agent.shape)
        others = [each for each in self.agents.values() if each is not agent]
        steward = AutonomyActivities(
            agent=agent.name,
            shape=agent.shape,
            policy=policy,
            ledger=ledger,
            trust=trust,
            others=[PolicyFile(each.policy, each.shape) for each in others],
        )
        door = Door(
            agent=agent.name,
            shape=agent.shape,
            steps=agent.steps,
            policy=policy,
            ledger=ledger,
            checks=agent.checks,
            trust=trust,
            held=functools.partial(held_ledger, client, agent.name),
            workflow=agent.workflow_type,
            **_seal(client),
        )
        policies = {each.name: PolicyFile(each.policy, each.shape) for each in self.agents.values()}
        rollouts = RolloutActivities(policies, ledger, trust)
        versioned = deployment() is not None
        slots: dict[str, Any] = {
            "plugins": [*options.get("plugins", ()), BoundedSlots("handrail.slots")]
        }
        return Worker(
            client,
            task_queue=agent.name,
            workflows=[
                agent.workflow,
                VersionedAutonomyWorkflow if versioned else AutonomyWorkflow,
                schedules.ScheduledStart,
                Upkeep,
                *([Rollout] if versioned else ()),
            ],
            activities=[
                *door.activities(),
                *steward.activities(),
                hand_off_activity(door, agent.hands_to),
                *handoff_activities(agent, ledger),
                schedules.scheduled_activity(agent, ledger),
                *UpkeepActivities(agent, policy, ledger, self, trust).activities(),
                *(rollouts.activities() if versioned else ()),
            ],
            **(_TIMES | worker_build(agent.code) | dict(options) | slots),
        )

    @contextlib.asynccontextmanager
    async def running(
        self, client: Client, ledger: Ledger, *, trust: Trust | None = None, **options: Any
    ) -> AsyncGenerator[None]:
        """Run all workers in this context, on a thread of their own; steps stay on this loop."""
        codes = {
            inspect.unwrap(step.fn).__code__: step.name
            for agent in self.agents.values()
            for step in agent.steps
            if hasattr(step.fn, "__code__")
        }
        async with contextlib.AsyncExitStack() as stack:
            record = await stack.enter_async_context(recording(ledger))
            options["interceptors"] = [*options.get("interceptors", ()), record]
            made = functools.partial(self.workers, client, ledger, trust=trust, **options)
            await stack.enter_async_context(watched_loop(codes))
            await stack.enter_async_context(running_apart(made))
            # What is there by now lasts as long as the workers do: no collection looks at it again.
            gc.freeze()
            try:
                yield
            finally:
                gc.unfreeze()

    async def start(
        self,
        client: Client,
        agent: str,
        event: Event,
        *,
        requested_by: str | None = None,
        ledger: Ledger | None = None,
    ) -> StartedCase:
        """Start the case of an event. The same event again is the same case.

        `requested_by`: who asked for it, and so may not approve it. `ledger`: is asked
        whether the case is one that Temporal has forgotten.

        Raises:
            CaseError: if there is no such agent, or the event is not one of its events.
        """
        named = self.agent(agent)
        if not isinstance(event, named.event):
            raise CaseError(
                f"{agent} is started by {named.event.__name__}, not by {type(event).__name__}"
            )
        started = await start_case(
            client,
            agent,
            named.workflow,
            event,
            event.key,
            requested_by=requested_by,
            ledger=ledger,
        )
        if started.changed and not started.taken:
            log.warning("%s is there of another event: nothing is done for this one", started.case)
        return started

    async def misfits(
        self, client: Client, payload_dir: Path, *, most: int = 200
    ) -> list[tuple[str, str]]:
        """Open cases that this code cannot go on with, and why: it does not replay them.

        At most `most` cases of each agent are looked at, the latest first. Cases that
        are pinned to another version of the worker are none of this one's business.
        """
        found = await self.replays(client, payload_dir, most=most)
        return [misfit for each in found.values() for misfit in each.misfits]

    async def replays(
        self, client: Client, payload_dir: Path, *, most: int = 200
    ) -> dict[str, AgentReplays]:
        """How open cases replay, of each agent; see `misfits`."""
        found = {name: AgentReplays() for name in self.agents}
        for agent in self.agents.values() if deployment() is None else ():
            queue = f"TaskQueue = '{agent.name}'"
            query = f"{queue} AND {OPEN_QUERY} AND WorkflowType NOT IN {NO_CASES}"
            plugin = self.plugin(payload_dir)
            async for open_case in executions(client, query, most):
                handle = client.get_workflow_handle(open_case.id, run_id=open_case.run_id)
                found[agent.name].add(await replay_open(agent, plugin, handle))
        return found

    async def replayed(self, text: str, payload_dir: Path) -> ReplayedCase:
        """One recorded history, as Temporal's JSON, replayed.

        Raises:
            CaseError: if it is no history, or one of no agent of this fleet.
        """
        history, queue = read_history(text)
        if queue not in self.agents:
            raise CaseError(f"it is a history of `{queue}`, which this fleet has not")
        return await replay_history(self.agents[queue], self.plugin(payload_dir), history)


def _seal(client: Client) -> dict[str, bytes]:
    """The key by which workers know their own intents; without its plugin each has its own."""
    codec = client.data_converter.payload_codec
    return {"seal": codec.seal()} if isinstance(codec, ClaimCheck) else {}


# How an agent is put together


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
            raise ConfigurationError(f"{agent}: two steps are called `{step.name}`; rename one")
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
