"""The worker process: it runs the agents of a fleet until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from temporalio.client import Client, Plugin
from temporalio.runtime import (
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
)
from temporalio.service import RPCError

from handrail.actions import LedgerMark
from handrail.client import ensure_stewards, tell_steward
from handrail.exceptions import ConfigurationError, HandrailError, LedgerUnavailable
from handrail.guardrails import METRIC_BUCKETS, count_metrics_by, server_time
from handrail.ledger import IncidentRow, Ledger
from handrail.oversight import Keyring, Trust
from handrail.runtime.agent_faults import sandbox_faults
from handrail.runtime.builds import deployment, worker_build
from handrail.runtime.connection import connect, register_search_attributes
from handrail.runtime.failing_cases import report_failing_cases
from handrail.runtime.fleet import Fleet
from handrail.runtime.process import core_logs
from handrail.runtime.schedules import keep_schedules
from handrail.runtime.settings import Settings
from handrail.text import first_line

PATIENCE = timedelta(seconds=60)
"""How long a worker looks for its server before it gives up."""

MINUTE = timedelta(minutes=1)

REPORT = timedelta(seconds=10)
"""How often a steward is told of a ledger that grows; of one that grew seldom at once."""

log = structlog.get_logger("handrail.worker")


_FIX = (
    "start the code that they began with and let them end; or keep their old path with "
    "workflow.patched(); or reset them"
)


class UnreplayableCases(HandrailError):
    """Open cases that this code cannot go on with. `found`: their ids, and why."""

    def __init__(self, found: Sequence[tuple[str, str]]) -> None:
        self.found = tuple(found)
        first, more = found[0][0], f" and {len(found) - 1} more" if len(found) > 1 else ""
        self.in_a_line = f"open cases do not replay with this code ({first}{more}); fix: {_FIX}"
        cases = "\n".join(f"  {case}: {first_line(why)[:300]}" for case, why in found)
        super().__init__(
            f"this code does not replay {len(found)} open cases, and would wedge them:\n{cases}\n"
            f"fix: {_FIX}. `handrail worker --anyway` starts all the same"
        )


async def serve_fleet(
    settings: Settings,
    fleet: Fleet,
    *,
    stop: asyncio.Event,
    ready: Callable[[], None] = lambda: None,
    anyway: bool = False,
) -> None:
    """Run the workers of a fleet until `stop` is set; then finish the steps that were begun.

    `ready` is called when they take work.

    Raises:
        ConfigurationError: if the settings, or the server's or the ledger's, do not let it run;
            or if an outside system is not any more what steps were made of.
        ServerUnavailable: if no server answers.
        LedgerUnavailable: if the ledger cannot be written.
        UnreplayableCases: if most open cases of every agent that has any do not replay with this
            code, unless it shall run `anyway`.
    """
    await _require_sound(fleet, settings)
    client = await _connected(fleet, settings)
    async with open_ledger(settings) as ledger:
        await ledger.require_durable()
        refused = await look_at_misfits(client, fleet, settings, ledger, anyway=anyway)
        # Before anything is written they hold which ledger it is.
        await _begin_stewards(client, fleet)
        async with fleet.running(client, ledger, trust=trust_of(settings), without=refused):
            agents = ", ".join(name for name in fleet.agents if name not in refused)
            log.info(
                "ready",
                agents=agents,
                pid=os.getpid(),
                server=client.service_client.config.target_host,
            )
            kept = [fleet.agents[name] for name in fleet.agents if name not in refused]
            inbox = settings.inbox_url or ""
            tasks = (
                _report_heights(client, fleet, ledger),
                _say_present(client, ledger, [each.name for each in kept]),
                keep_schedules(client, kept),
                report_failing_cases(client, fleet.agents.values(), ledger, inbox),
            )
            beside = [asyncio.create_task(each) for each in tasks]
            ready()
            await stop.wait()
            for each in beside:
                each.cancel()
            log.info("ending: finishing the steps that were begun")
    if settings.otel:
        from handrail.runtime.tracing import flush  # noqa: PLC0415  # an extra

        await asyncio.to_thread(flush)
    log.info("ended")


async def _begin_stewards(client: Client, fleet: Fleet) -> None:
    try:
        await ensure_stewards(client, fleet.agents)
    except RPCError as error:
        # Without them a stop is in force all the same, and the next order begins them.
        log.warning("the stewards of the agents could not be begun", error=str(error))


async def _say_present(client: Client, ledger: Ledger, agents: Sequence[str]) -> None:
    """Put down each minute that this worker is there: availability is measured by it."""
    versioned = deployment()
    build = versioned.version.build_id if versioned else worker_build()["build_id"]
    while True:
        with contextlib.suppress(LedgerUnavailable):
            await ledger.present(client.identity, agents, build, datetime.now(UTC))
        await asyncio.sleep(MINUTE.total_seconds())


async def _report_heights(client: Client, fleet: Fleet, ledger: Ledger) -> None:
    """Have the stewards look at ledgers that grew: they hold how high they were."""
    told: dict[str, tuple[LedgerMark, float]] = {}
    while True:
        await asyncio.sleep(1)
        now = time.monotonic()
        with contextlib.suppress(RPCError, LedgerUnavailable):
            for agent, mark in (await ledger.marks(list(fleet.agents))).items():
                known, at = told.get(agent, (None, -math.inf))
                if mark != known and now - at >= REPORT.total_seconds():
                    await tell_steward(client, agent, "look")
                    told[agent] = mark, now


def stop_on_signals(stop: asyncio.Event) -> None:
    """Let SIGTERM and SIGINT set `stop`. A second one ends the process at once."""

    def caught(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, caught, number)


def trust_of(settings: Settings) -> Trust:
    """Whose rulings the settings let a worker take for proven."""
    keyring = Keyring(settings.keyring)
    inbox, by_name = settings.inbox_url or "", settings.inbox_dev
    return Trust(keyring=keyring, proof=settings.proof, inbox=inbox, by_name=by_name)


def open_ledger(settings: Settings) -> Ledger:
    """The ledger that the settings name; enter it to use it."""
    if settings.ledger_file is not None:
        # Where that is not allowed, the ledger says so better when it is entered.
        with contextlib.suppress(OSError):
            settings.ledger_file.parent.mkdir(parents=True, exist_ok=True)
    return Ledger(settings.ledger_url.get_secret_value())


def temporal_runtime(port: int | None, setting: str = "HANDRAIL_METRICS_PORT") -> Runtime:
    """Temporal's runtime: its log goes the way of ours, its metrics to Prometheus on `port`.

    Raises:
        ConfigurationError: if the port for the metrics cannot be used.
    """
    metrics = None
    if port is not None:
        buckets = {name: list(bounds) for name, bounds in METRIC_BUCKETS.items()}
        metrics = PrometheusConfig(
            bind_address=f"0.0.0.0:{port}", histogram_bucket_overrides=buckets
        )
    try:
        made = Runtime(telemetry=TelemetryConfig(logging=core_logs("WARN"), metrics=metrics))
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(
            f"the metrics cannot be shown on port {port}: {error}; "
            f"fix: set {setting} to a free port, another one for each process"
        ) from error
    if port is not None:
        count_metrics_by(made.metric_meter)
    # For what makes clients and replayers of its own.
    Runtime.set_default(made, error_if_already_set=False)
    return made


def tracing(settings: Settings) -> list[Plugin]:
    """The plugin that sends traces by OpenTelemetry, if the settings ask for it.

    Raises:
        ConfigurationError: if what it needs is not installed.
    """
    if not settings.otel:
        return []
    needed = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.grpc")
    if any(_lacks(name) for name in needed):
        raise ConfigurationError(
            "HANDRAIL_OTEL=1 needs `pip install 'handrail[otel]'`, or unset HANDRAIL_OTEL"
        )
    from handrail.runtime.tracing import plugin  # noqa: PLC0415  # an extra

    return [plugin()]


def _lacks(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is None
    except ModuleNotFoundError:
        return True


async def _require_sound(fleet: Fleet, settings: Settings) -> None:
    """See that nothing is known to be wrong with the agents, or with what their steps are made of.

    What is to run outside of Temporal's sandbox must load in it.
    """
    agents = fleet.agents.values()
    faults = [fault for agent in agents for fault in agent.faults()]
    if not faults and settings.sandbox == "off":
        runner: Any = fleet.plugin(settings.payload_dir).workflow_runner
        faults = [each for agent in agents for each in sandbox_faults(agent.workflow, runner(None))]
    if faults := faults or await contract_faults(fleet):
        raise ConfigurationError("\n".join(faults))


async def _connected(fleet: Fleet, settings: Settings) -> Client:
    """A client of the server, by which the fleet's workers run."""
    own = fleet.plugin(settings.payload_dir, sandbox=settings.sandbox == "on")
    client = await connect(
        settings,
        plugins=[own, *fleet.plugins, *tracing(settings)],
        runtime=temporal_runtime(settings.metrics_port),
        patience=PATIENCE,
    )
    await register_search_attributes(client)
    return client


async def contract_faults(fleet: Fleet) -> list[str]:
    """How outside systems differ from what steps were made of, each with its fix."""
    steps = (step for agent in fleet.agents.values() for step in agent.steps)
    contracts = dict.fromkeys(step.contract for step in steps if step.contract is not None)
    found = await asyncio.gather(*(contract() for contract in contracts))
    return [fault for faults in found for fault in faults]


async def look_at_misfits(
    client: Client, fleet: Fleet, settings: Settings, ledger: Ledger, *, anyway: bool = False
) -> frozenset[str]:
    """The agents whose workers do not start: most of their open cases do not replay.

    Any other case that does not is named, made an incident, and left alone.
    """
    found = await fleet.replays(client, settings.payload_dir)
    for agent, each in found.items():
        for case, why in each.misfits:
            what = f"it does not replay with the code of today: {first_line(why)[:300]}"
            log.error("a case does not replay, and stands still", case=case, why=what, fix=_FIX)
            row = IncidentRow(f"{case} misfit", agent, "", case, "", "misfit", what, server_time())
            await ledger.incident(row)
    bad = {agent: each for agent, each in found.items() if each.mostly_misfits}
    if anyway or not bad:
        return frozenset()
    if len(bad) == len(fleet.agents):
        raise UnreplayableCases([case for each in bad.values() for case in each.misfits])
    log.error("most open cases do not replay: no worker for these agents", agents=sorted(bad))
    return frozenset(bad)
