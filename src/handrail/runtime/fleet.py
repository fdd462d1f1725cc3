"""Fleet: which agents a worker process runs, and the Temporal plugin they run with."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import inspect
import logging
from collections.abc import AsyncGenerator, Container, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client, Plugin
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from handrail.actions import Event
from handrail.agent import (
    HEARTBEAT,
    OPEN_QUERY,
    executions,
)
from handrail.client import StartedCase, held_ledger, start_case
from handrail.exceptions import CaseError, ConfigurationError
from handrail.guardrails import Door, hand_off_activity
from handrail.ledger import Ledger
from handrail.oversight import Trust
from handrail.runtime import schedules
from handrail.runtime.agent import Agent
from handrail.runtime.builds import deployment, worker_build
from handrail.runtime.engine_thread import running_apart
from handrail.runtime.handoffs import handoff_activities, require_known
from handrail.runtime.interceptors import (
    CaseInterceptor,
    FitPayloads,
    SecretScrubber,
    ShortFailures,
)
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

GRACE = timedelta(seconds=45)
"""How long activities may go on after SIGTERM. Longer than a write's default timeout."""

_TIMES: dict[str, Any] = {
    "sticky_queue_schedule_to_start_timeout": STICKY,
    "graceful_shutdown_timeout": GRACE,
    # The SDK would hold heartbeats back for 0.8 of the time after which their worker is taken for
    # dead, and a busy machine is late by the 0.6 s that are left of it.
    "max_heartbeat_throttle_interval": HEARTBEAT / 2,
}


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
        policies = {each.name: each.policy_file for each in self.agents.values()}
        steward = AutonomyActivities(
            agent=agent.name,
            shape=agent.shape,
            policy=agent.policy_file,
            ledger=ledger,
            trust=trust,
            others=[each for name, each in policies.items() if name != agent.name],
        )
        door = Door(
            agent=agent.name,
            shape=agent.shape,
            steps=agent.steps,
            policy=agent.policy_file,
            ledger=ledger,
            checks=agent.checks,
            trust=trust,
            held=functools.partial(held_ledger, client, agent.name),
            workflow=agent.workflow_type,
            **_seal(client),
        )
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
                *UpkeepActivities(agent, ledger, self.plugin, trust).activities(),
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
