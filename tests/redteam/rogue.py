"""A process with bare access to Temporal: it can signal cases, and call the fleet's activities.

It has a worker of its own, on a task queue of its own; whatever it wants done by a fleet's
worker it asks for on that one's queue, as an agent that was taken over would.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

if TYPE_CHECKING:
    from temporalio.client import Client

QUEUE = "integrity-rogue"
"""The task queue of the rogue worker."""

_PATIENCE = timedelta(minutes=2)
_ONCE = RetryPolicy(maximum_attempts=1)


@workflow.defn(name="IntegrityRogue", sandboxed=False)
class Rogue:
    """Does what it is told, once."""

    @workflow.run
    async def run(self, queue: str, activity: str, arguments: list[Any]) -> dict[str, Any]:
        """Call an activity of a fleet's worker, and say what it answered."""
        try:
            answer: Any = await workflow.execute_activity(
                activity,
                args=arguments,
                task_queue=queue,
                start_to_close_timeout=timedelta(seconds=30),
                schedule_to_close_timeout=timedelta(seconds=40),
                retry_policy=_ONCE,
            )
        except ActivityError as error:
            return {"kind": "error", "why": str(error.cause or error)}
        return answer if isinstance(answer, dict) else {"kind": "answer", "what": str(answer)}  # pyright: ignore[reportUnknownVariableType]


@workflow.defn(dynamic=True, sandboxed=False)
class Pretender:
    """Does the same under whatever type it is started: as the workflow of an agent."""

    @workflow.run
    async def run(self, arguments: Sequence[RawValue]) -> dict[str, Any]:
        """As `Rogue`."""
        read = workflow.payload_converter().from_payload
        told: list[Any] = [read(each.payload, object) for each in arguments]
        return await Rogue().run(*told)


@workflow.defn(name="IntegrityInsider", sandboxed=False)
class Insider:
    """Signals another case from inside Temporal, as an agent would that approves itself."""

    @workflow.run
    async def run(self, case: str, rulings: list[tuple[str, dict[str, Any]]]) -> int:
        """Send them all; how many were sent."""
        handle = workflow.get_external_workflow_handle(case)
        for verb, ruling in rulings:
            await handle.signal(verb, ruling)
        return len(rulings)


@dataclass(frozen=True)
class Access:
    """Bare access to a namespace, with a worker of one's own."""

    client: Client

    async def call(
        self,
        queue: str,
        activity: str,
        *arguments: Any,
        kind: str = "",
        case: str = "",
        **more: Any,
    ) -> dict[str, Any]:
        """Have an activity of another's worker run; what it answered, or `kind` error.

        By a workflow of the type `kind` with the id `case`, where they are given.
        """
        try:
            return await self.client.execute_workflow(
                kind or "IntegrityRogue",
                args=[queue, activity, list(arguments)],
                id=case or f"rogue:{uuid.uuid4().hex}",
                **more,
                task_queue=QUEUE,
                execution_timeout=_PATIENCE,
            )
        except WorkflowFailureError as error:
            return {"kind": "error", "why": str(error.cause or error)}

    async def signal_from_inside(
        self, case: str, rulings: Sequence[tuple[str, dict[str, Any]]]
    ) -> None:
        """Have a workflow signal a case: verbs, each with its ruling."""
        await self.client.execute_workflow(
            Insider.run,
            args=[case, list(rulings)],
            id=f"insider:{uuid.uuid4().hex}",
            task_queue=QUEUE,
            execution_timeout=_PATIENCE,
        )


@contextlib.asynccontextmanager
async def access(client: Client) -> AsyncGenerator[Access]:
    """Bare access, as long as this context lasts."""
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[Rogue, Insider, Pretender],
        workflow_runner=UnsandboxedWorkflowRunner(),
        build_id="rogue",
    )
    async with worker:
        yield Access(client)
