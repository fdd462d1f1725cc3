"""What tests do to cases behind Handrail's back."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.common import RawValue

from handrail.actions import Receipt
from handrail.testing import CaseHandle, Stage


async def by_hand(
    stage: Stage, case: str, *values: Any, workflow: str = "OrderAgent", **more: Any
) -> CaseHandle:
    """Start a case as the Web UI's form does: without summary, memo or search attributes."""
    queue = case.partition(":")[0]
    await stage.client.start_workflow(workflow, args=values, id=case, task_queue=queue, **more)
    return stage.case(case)


async def reset(stage: Stage, case: CaseHandle) -> None:
    """Reset a case to its first workflow task, as an operator does in the Web UI."""
    events = (await case.history()).events
    first = next(
        e.event_id for e in events if e.HasField("workflow_task_completed_event_attributes")
    )
    await stage.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=stage.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=case.id),
            reason="a test",
            workflow_task_finish_event_id=first,
            request_id=str(uuid.uuid4()),
        )
    )


def raw(data: bytes, encoding: str = "json/plain", **metadata: str) -> RawValue:
    """A value exactly as it goes over the wire."""
    tags = {"encoding": encoding, **metadata}
    return RawValue(Payload(metadata={k: v.encode() for k, v in tags.items()}, data=data))


async def reported_problems(case: CaseHandle) -> list[str]:
    """What the server says of a wedged case. Nothing, if it is well."""
    described = await case.handle.describe()
    attributes = described.raw_description.workflow_execution_info.search_attributes
    found = attributes.indexed_fields.get("TemporalReportedProblems")
    return [] if found is None else [found.data.decode()]


async def receipt_comes(stage: Stage, case: CaseHandle) -> None:
    """Keep the receipt of a letter, as an attempt does that was taken for over and goes on."""
    [row] = await stage.ledger.effects(case.id)
    made = Receipt(
        key=row.key,
        step=row.step,
        digest=row.digest,
        at=datetime.now(UTC),
        how="written",
        result="post-1",
    )
    await stage.ledger.finish(made)
