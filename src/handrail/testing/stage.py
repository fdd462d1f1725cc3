"""A place where a fleet runs in a test: the real server, a namespace of its own, a ledger.

Nothing here stands in for the engine. The server is the one of `handrail dev`; every
`running` gets a namespace and a ledger of its own, so that tests know nothing of each
other's cases. Its clock can be moved for one case at a time: a gate of eight hours is
over in milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper

from handrail.actions import Event, Outcome
from handrail.guardrails import allow_skipped_time
from handrail.ledger import Ledger
from handrail.oversight import CaseView, GateView, Trust
from handrail.runtime import EmbeddedServer, Fleet, register_search_attributes

T = TypeVar("T")

PATIENCE = timedelta(seconds=60)
"""How long a test waits for what should happen at once: long enough for a busy machine."""

POLL = timedelta(milliseconds=25)
"""How often a test looks at first. Each look at a case is work of a worker and of the server."""

_SELDOM = timedelta(milliseconds=250)
_LATER = 8
"""Of the time that it has waited already, a test waits the so-manieth part until it looks again."""

_SKIPPING = {
    "frontend.WorkflowTimeSkippingEnabled": "true",
    # Timers are a second coarse otherwise.
    "history.timerProcessorMaxTimeShift": '"1ms"',
}


def server(directory: Path, dynamic_config: Mapping[str, str] | None = None) -> EmbeddedServer:
    """The real server on free ports, with time that can be skipped.

    Enter or `start` it once for many tests: `running` keeps them apart on it. `dynamic_config`:
    settings of the server's own, in JSON, beside those that skip time.
    """
    port, ui_port = free_ports()
    settings = {**_SKIPPING, **(dynamic_config or {})}
    return EmbeddedServer(directory, port=port, ui_port=ui_port, dynamic_config=settings)


@contextlib.contextmanager
def serving(server: EmbeddedServer) -> Generator[EmbeddedServer]:
    """A server as long as it is needed, for fixtures that have no event loop."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(server.start())
        yield server
        runner.run(server.stop())


def free_ports() -> tuple[int, int]:
    """Two ports of this machine that nobody listens on, and that nobody else is given.

    They lie below those that systems give to connections by themselves (from 32768 on Linux,
    49152 by RFC 6335): one of these can be gone before it is listened on. Until this process
    ends no other call gives them, in any process.
    """
    return _free_port(), _free_port()


def _free_port() -> int:
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with (
            socket.socket() as probe,
            socket.socket(type=socket.SOCK_DGRAM) as lease,
            contextlib.suppress(OSError),
        ):
            probe.bind(("127.0.0.1", port))
            # Whoever listens there does so by TCP. By UDP it is ours, as long as this process is:
            # two servers that start a moment later on one port would answer for each other.
            lease.bind(("127.0.0.1", port))
            lease.detach()
            return port


async def eventually(
    look: Callable[[], Any], *, within: timedelta = PATIENCE, what: str = "it"
) -> Any:
    """Await `look()` again and again until it is true, and return what it gave.

    Raises:
        TimeoutError: if it is not true `within` that time, with what it gave last.
    """
    last, begun = None, time.monotonic()
    try:
        async with asyncio.timeout(within.total_seconds()):
            while not (last := await look()):
                waited = timedelta(seconds=time.monotonic() - begun)
                pause = min(max(POLL, waited / _LATER), _SELDOM)
                await asyncio.sleep(pause.total_seconds())
            return last
    except TimeoutError:
        raise TimeoutError(f"{what} did not happen within {within}; last: {last!r}") from None


async def _answered(asked: Awaitable[T]) -> T | None:
    """What a worker answers; None if none has asked for work lately, as on a busy machine."""
    try:
        return await asked
    except RPCError as error:
        if error.status is RPCStatusCode.FAILED_PRECONDITION:
            return None
        raise


class CaseHandle:
    """One case of a test: look at it, wait for it, move its clock, send it things."""

    def __init__(self, client: Client, case: str, *, duplicate: bool = False) -> None:
        """Take hold of the case of that id. `duplicate`: it had been started before."""
        self.id = case
        self.duplicate = duplicate
        self.handle: WorkflowHandle[Any, Outcome] = client.get_workflow_handle(
            case, result_type=Outcome
        )
        self._skipper = TimeSkipper(client)

    async def view(self) -> CaseView:
        """Everything about the case now: the query `case`."""
        return await self.handle.query("case", result_type=CaseView)

    async def gates(self) -> list[GateView]:
        """The questions that are open now: the query `gates`."""
        return await self.handle.query("gates", result_type=list[GateView])

    async def gate(self, *, but: GateView | None = None) -> GateView:
        """Wait until a question is open, and return it as people see it.

        `but`: another one than this, for a gate that must open again.

        Raises:
            TimeoutError: if none opens in time.
        """
        old = but.gate if but else ""

        async def another() -> GateView | None:
            gates = await _answered(self.gates()) or []
            return next((gate for gate in gates if gate.gate != old), None)

        return await eventually(another, what=f"a gate of {self.id}")

    async def until(self, true: Callable[[CaseView], object]) -> CaseView:
        """Wait until something is true of the case.

        Raises:
            TimeoutError: if it does not come true in time, with the case as it was last.
        """
        last: CaseView | None = None

        async def look() -> CaseView | None:
            nonlocal last
            seen = await _answered(self.view())
            last = seen or last
            return seen if seen is not None and true(seen) else None

        try:
            return await eventually(look)
        except TimeoutError:
            raise TimeoutError(f"it did not come true of {self.id}: {last}") from None

    async def outcome(self, *, within: timedelta = PATIENCE) -> Outcome:
        """Wait for the end, and return how it ended. Of a failed case too: it has an outcome.

        Raises:
            TimeoutError: if it has not ended `within` that time, with its state.
            WorkflowFailureError: if it ended without an outcome: cancelled, or terminated.
        """
        try:
            async with asyncio.timeout(within.total_seconds()):
                return await self.handle.result()
        except WorkflowFailureError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type == "CaseFailed":
                return Outcome.model_validate(cause.details[0])
            raise
        except TimeoutError:
            raise TimeoutError(f"{self.id} has not ended: {await self._last_seen()}") from None

    async def _last_seen(self) -> str:
        try:
            async with asyncio.timeout(2):
                return str(await self.view())
        except (TimeoutError, RPCError) as error:
            return f"and no worker says where it stands ({error})"

    async def pass_time(self, length: timedelta, *, within: timedelta = PATIENCE) -> None:
        """Let the clock of this case run ahead. Other cases and the machine keep theirs.

        Time stands still while an activity runs. Look for a gate before letting its time
        pass: what has not been opened yet has no deadline.

        Raises:
            TimeoutError: if its clock has not moved `within` that time, with its state.
        """
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._skipper.fast_forward(self.handle, length)
        except TimeoutError:
            seen = await self._last_seen()
            raise TimeoutError(f"{length} of {self.id} do not pass: {seen}") from None

    async def send(self, signal: str, *values: Any) -> None:
        """Send a signal with any values at all, good or bad."""
        await self.handle.signal(signal, args=values)

    async def update(self, *values: Any) -> Any:
        """Send the update `rule` with any values; the record of the ruling, as JSON.

        Raises:
            WorkflowUpdateFailedError: if the ruling is refused.
        """
        handle: Any = self.handle
        return await handle.execute_update("rule", args=values)

    async def history(self) -> WorkflowHistory:
        """The history of the latest run."""
        return await self.handle.fetch_history()


UNPROVEN = Trust(proof="unproven")
"""Rulings count although nobody has checked who sent them, unless the policy says otherwise."""


@dataclass(frozen=True)
class Stage:
    """A fleet at work. `directory` holds its ledger and its payloads."""

    fleet: Fleet
    client: Client
    ledger: Ledger
    directory: Path

    async def start(
        self, agent: str, event: Event, *, requested_by: str | None = None
    ) -> CaseHandle:
        """Start the case of an event, as `Fleet.start` does."""
        started = await self.fleet.start(
            self.client, agent, event, requested_by=requested_by, ledger=self.ledger
        )
        return CaseHandle(self.client, started.case, duplicate=started.duplicate)

    def case(self, case: str) -> CaseHandle:
        """Take hold of a case by its id."""
        return CaseHandle(self.client, case)


@contextlib.asynccontextmanager
async def running(
    fleet: Fleet,
    server: EmbeddedServer,
    directory: Path,
    *,
    ledger: str | None = None,
    workers: bool = True,
    trust: Trust = UNPROVEN,
    **options: Any,
) -> AsyncGenerator[Stage]:
    """Run a fleet on a running server, in a new namespace.

    `directory`: for its ledger and payloads; `ledger`: the URL of another ledger. Without
    `workers`, run them elsewhere (`CrashingWorker`) or later (`fleet.running`). `trust`:
    whose rulings are proven; where it is not given, rulings count unproven as long as the
    policy lets them. `options` go to Temporal's `Worker`.
    """
    allow_skipped_time()
    client = await new_namespace(server.address, fleet, directory / "payloads")
    given: dict[str, Any] = {"graceful_shutdown_timeout": timedelta(seconds=1)} | options
    async with Ledger(ledger or f"sqlite:///{directory}/ledger.db") as opened:
        stage = Stage(fleet, client, opened, directory)
        if not workers:
            yield stage
            return
        async with fleet.running(client, opened, trust=trust, **given):
            yield stage


async def new_namespace(address: str, fleet: Fleet, payload_dir: Path) -> Client:
    """A client of a namespace that nobody has used, with the search attributes of Handrail."""
    root = await Client.connect(address)
    name = f"test-{uuid.uuid4().hex[:12]}"
    await root.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=name, workflow_execution_retention_period=Duration(seconds=86_400)
        )
    )
    plugins = [fleet.plugin(payload_dir), *fleet.plugins]
    client = await Client.connect(address, namespace=name, plugins=plugins)
    await register_search_attributes(client)
    return client
