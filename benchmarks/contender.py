"""The contenders: what is run beside what, and how a client starts and approves a case.

Their code stands in `contenders/`, laid out like a user's project: its modules are
top-level ones, so that the workflow's own module is sandboxed as a user's is.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from typing_extensions import override

from handrail import Event, Fleet, Ledger
from handrail.actions import DIGEST_PREFIX
from handrail.client import TASK_TIMEOUT
from handrail.runtime import GRACE, STICKY
from handrail.testing import UNPROVEN

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

PROJECT = Path(__file__).with_name("contenders")
PASSING = Decimal(20)
"""Extra cost in EUR of a case that nobody needs to see."""
HELD = Decimal(300)
"""Extra cost of a case that waits for a human."""
REFUSED = Decimal(6000)
"""Extra cost that the policy refuses."""

Handle = WorkflowHandle[Any, Any]


def project(module: str) -> Any:
    """A module of the contenders' project."""
    if str(PROJECT) not in sys.path:
        sys.path.insert(0, str(PROJECT))
    return importlib.import_module(module)


def alert(key: str, extra_cost: Decimal) -> Event:
    """The event that starts a case."""
    return project("freight").Alert(
        consignment=key, flight="UA1545", minutes_late=95, extra_cost=extra_cost
    )


@dataclass(frozen=True)
class Contender(ABC):
    """One way of doing the work. `name` is how it is called in the report."""

    name: str
    queue: str

    @abstractmethod
    async def connect(self, address: str, home: Path) -> Client:
        """A client as this contender's users would make it."""

    @abstractmethod
    def working(self, client: Client, home: Path) -> contextlib.AbstractAsyncContextManager[None]:
        """Run its worker in this context."""

    @abstractmethod
    async def start(self, client: Client, key: str, extra_cost: Decimal) -> Handle:
        """Start the case of one alert."""

    @abstractmethod
    async def approval(self, handle: Handle) -> Mapping[str, str] | None:
        """What the signal `approve` must carry; None while the case does not wait."""


class Guarded(Contender):
    """Handrail: an agent, a policy of four rules, the door, and a ledger on disk."""

    @property
    def fleet(self) -> Fleet:
        """The fleet of the contenders' project."""
        return cast("Fleet", project("guarded_fleet").fleet)

    @override
    async def connect(self, address: str, home: Path) -> Client:
        return await Client.connect(address, plugins=[self.fleet.plugin(home / "payloads")])

    @override
    @contextlib.asynccontextmanager
    async def working(self, client: Client, home: Path) -> AsyncGenerator[None]:
        async with (
            Ledger(f"sqlite:///{home / 'ledger.db'}") as ledger,
            self.fleet.running(client, ledger, trust=UNPROVEN),
        ):
            yield

    @override
    async def start(self, client: Client, key: str, extra_cost: Decimal) -> Handle:
        started = await self.fleet.start(client, self.queue, alert(key, extra_cost))
        return client.get_workflow_handle(started.case)

    @override
    async def approval(self, handle: Handle) -> Mapping[str, str] | None:
        gates: list[dict[str, str]] = await handle.query("gates", result_type=list[dict[str, Any]])
        if not gates:
            return None
        gate = gates[0]
        digest = gate["digest"][:DIGEST_PREFIX]
        return {"gate": gate["gate"], "digest": digest, "by": "ana@example.com", "why": "agreed"}


@dataclass(frozen=True)
class Handwritten(Contender):
    """A plain Temporal workflow: the class `workflow` of the module `module`."""

    module: str
    workflow: str

    @override
    async def connect(self, address: str, home: Path) -> Client:
        del home
        return await Client.connect(address, data_converter=pydantic_data_converter)

    @override
    @contextlib.asynccontextmanager
    async def working(self, client: Client, home: Path) -> AsyncGenerator[None]:
        del home
        # As well tuned as Handrail's: models and steps are imported once, not for every case.
        known = SandboxRestrictions.default.with_passthrough_modules(
            "handrail", "freight", "plain_steps", "plain_held"
        )
        async with Worker(
            client,
            task_queue=self.queue,
            workflows=[getattr(project(self.module), self.workflow)],
            activities=cast("tuple[Callable[..., Any], ...]", project("plain_steps").ACTIVITIES),
            workflow_runner=SandboxedWorkflowRunner(restrictions=known),
            sticky_queue_schedule_to_start_timeout=STICKY,
            graceful_shutdown_timeout=GRACE,
        ):
            yield

    @override
    async def start(self, client: Client, key: str, extra_cost: Decimal) -> Handle:
        return await client.start_workflow(
            self.workflow,
            alert(key, extra_cost),
            id=f"{self.queue}:{key}",
            task_queue=self.queue,
            task_timeout=TASK_TIMEOUT,
        )

    @override
    async def approval(self, handle: Handle) -> Mapping[str, str] | None:
        waits = await handle.query("waiting", result_type=bool)
        return {"by": "ana@example.com", "why": "agreed"} if waits else None


HANDRAIL = Guarded("handrail", "guarded")
ORDINARY = Handwritten("ordinary", "ordinary", "ordinary", "OrdinaryFreight")
LEAN = Handwritten("lean", "lean", "lean", "LeanFreight")
LEAN_AGAIN = Handwritten("lean again", "lean-again", "lean", "LeanFreight")
LEAN_HELD = Handwritten("lean, waiting", "lean-held", "lean_held", "LeanHeld")
LEAN_FINDABLE = Handwritten("lean, findable", "lean-findable", "lean_findable", "LeanFindable")

UNHELD = (HANDRAIL, ORDINARY, LEAN, LEAN_AGAIN)
WAITING = (HANDRAIL, LEAN_HELD, LEAN_FINDABLE)
ALL: Mapping[str, Contender] = {c.queue: c for c in (*UNHELD, *WAITING)}

LONGEST = timedelta(seconds=60)
"""After this a case that has not ended counts as broken."""
