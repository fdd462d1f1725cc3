"""What keeps failing in a case, as the server itself knows it: without a worker or a ledger.

A step that is tried again is a pending activity; code that cannot go on is a workflow task that
failed. The server says which attempt it is at, with what error the last one ended, and when the
next one is; the history says since when.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from temporalio.api.common.v1 import WorkflowExecution as ExecutionId
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from handrail.agent import GOES_ON, OPEN_QUERY, THINKING, describe_execution, executions
from handrail.client.views import FailingStep
from handrail.policy import STUCK_AFTER
from handrail.text import one_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from google.protobuf.timestamp_pb2 import Timestamp
    from temporalio.api.failure.v1 import Failure
    from temporalio.api.history.v1 import HistoryEvent
    from temporalio.api.workflow.v1 import PendingActivityInfo
    from temporalio.client import Client

FAILING_TASK = "workflow task"
"""What stands for a step where the code of the case fails, and no step of it."""

BUSY_QUERY = (
    f"{OPEN_QUERY} AND (HandrailState IN ('working', 'rolling_back', 'paused') "
    "OR TemporalReportedProblems IS NOT NULL)"
)
"""The query for the cases in which a step may be running; the others wait for people or time."""

StuckCase: TypeAlias = tuple[WorkflowExecutionDescription, tuple[FailingStep, ...]]
"""A case, and what goes on failing in it."""

_AT_ONCE = 20
_LONGEST = 1_000
_UNREAD = "Failed decoding arguments"
_AGAIN = 2
_TASK_ENDS = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
}


async def failing(
    client: Client, execution: WorkflowExecutionDescription
) -> tuple[FailingStep, ...]:
    """What keeps failing in one case, the oldest first; empty where nothing does.

    Raises:
        RPCError: if the server does not answer.
    """
    described = execution.raw_description
    steps = [
        each
        for each in described.pending_activities
        if each.HasField("last_failure")
        # Another agent's case that goes on is waited for, and no fault.
        and each.last_failure.application_failure_info.type != GOES_ON
    ]
    task = described.pending_workflow_task
    broken = task.attempt >= _AGAIN
    if not steps and not broken:
        return ()
    began, ended = dict[str, datetime](), None
    wanted = {each.activity_id for each in steps}
    async for event in _events(client, execution):
        if broken and ended is None and event.event_type in _TASK_ENDS:
            ended = event
        scheduled = event.activity_task_scheduled_event_attributes.activity_id
        if scheduled in wanted:
            began[scheduled] = _moment(event.event_time)
        if len(began) == len(wanted) and (ended is not None or not broken):
            break
    found = [_step(each, began.get(each.activity_id)) for each in steps]
    if broken and ended is not None:
        since, why = _moment(ended.event_time), _why_ended(ended)
        found.append(FailingStep(step=FAILING_TASK, attempt=task.attempt, since=since, error=why))
    return tuple(sorted(found, key=lambda each: each.since))


async def thinking(client: Client, execution: WorkflowExecutionDescription) -> str:
    """What a model has said so far in the step of a case that runs; its worker sends it on."""
    for each in execution.raw_description.pending_activities:
        if payloads := each.heartbeat_details.payloads:
            said: Any = None
            # Whoever reaches the server can put anything there.
            with contextlib.suppress(Exception):
                said = (await client.data_converter.decode(payloads))[0]
            if isinstance(said, dict) and THINKING in said:
                return str(cast("dict[str, Any]", said)[THINKING])
    return ""


async def stuck_cases(
    client: Client,
    query: str,
    lasting: timedelta | None = None,
    known: Collection[str] = (),
    limit: int | None = None,
) -> list[StuckCase]:
    """The cases of a query in which something fails for so long already, the newest first.

    `limit`: only the newest so many are looked at.

    Without `lasting`: for `STUCK_AFTER`; and code that fails, and those that are `known` to be
    stuck, for however short a time.

    Raises:
        RPCError: if the server does not answer.
    """
    at_once, now = asyncio.Semaphore(_AT_ONCE), datetime.now(UTC)

    def counts(case: str, each: FailingStep) -> bool:
        soon = lasting is None and (case in known or each.step == FAILING_TASK)
        return soon or now - each.since >= (STUCK_AFTER if lasting is None else lasting)

    async def look(case: str) -> StuckCase | None:
        try:
            async with at_once:
                described = await describe_execution(client, case)
                found = await failing(client, described)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None  # it has just ended
        steps = tuple(each for each in found if counts(case, each))
        return (described, steps) if steps else None

    ids = [each.id async for each in executions(client, query, limit)]
    looked = await asyncio.gather(*map(look, dict.fromkeys([*ids, *known])))
    return [each for each in looked if each is not None]


async def _events(
    client: Client, execution: WorkflowExecutionDescription
) -> AsyncGenerator[HistoryEvent]:
    """The events of a history, the newest first."""
    asked = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=ExecutionId(workflow_id=execution.id, run_id=execution.run_id),
    )
    while True:
        page = await client.workflow_service.get_workflow_execution_history_reverse(
            asked, retry=True
        )
        for event in page.history.events:
            yield event
        if not page.next_page_token:
            return
        asked.next_page_token = page.next_page_token


def _step(pending: PendingActivityInfo, began: datetime | None) -> FailingStep:
    """One step. It is being tried now if no next try is set."""
    waits = pending.HasField("next_attempt_schedule_time")
    return FailingStep(
        step=pending.activity_type.name,
        attempt=pending.attempt,
        since=began or _moment(pending.last_started_time),
        error=_words(pending.last_failure),
        next_try=_moment(pending.next_attempt_schedule_time) if waits else None,
    )


def _why_ended(event: HistoryEvent) -> str:
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
        return "its worker did not answer in time: it died, or its code blocks"
    return _words(event.workflow_task_failed_event_attributes.failure)


def _words(failure: Failure) -> str:
    if failure.message == _UNREAD and failure.HasField("cause"):
        said = f"an argument is another than is declared: {failure.cause.message}"
        return one_line(said, _LONGEST)
    kind = failure.application_failure_info.type
    said = failure.message or kind or "no reason was given"
    named = f"{kind}: {said}" if kind and not said.startswith(kind) else said
    return one_line(named, _LONGEST)


def _moment(at: Timestamp) -> datetime:
    return at.ToDatetime(UTC)
