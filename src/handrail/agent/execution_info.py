"""Workflow executions as the server has them: one that cannot be read hides no other.

The SDK (1.35) reads a whole page of a list, or fails: at a status that it does not know
(8, which Temporal's own Pause gives), and at a search attribute that is no value of its type
for Python (a deadline in the year 0). Whoever may start workflows can have both.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, TypeVar

from temporalio.api.common.v1 import Payload, SearchAttributes
from temporalio.api.common.v1 import WorkflowExecution as ExecutionId
from temporalio.api.enums.v1 import WorkflowExecutionStatus as RawStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import WorkflowExecution, WorkflowExecutionDescription
from temporalio.converter import decode_search_attributes, decode_typed_search_attributes

from handrail.text import moment_in_words, one_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from temporalio.client import Client

OPEN_QUERY = "CloseTime IS NULL"
"""The query for what has not ended. `Running` is not it: Temporal's own Pause ends that."""

PAUSED_BY_TEMPORAL: Final = "paused (by Temporal)"
"""The state of a case that somebody paused by Temporal itself, as its Web UI does."""

_PAGE = 1_000

E = TypeVar("E", bound=WorkflowExecution)


async def executions(
    client: Client, query: str, limit: int | None = None
) -> AsyncGenerator[WorkflowExecution]:
    """What a query finds, as `Client.list_workflows` gives it, the open ones first.

    Raises:
        RPCError: if the server refuses the query, or does not answer.
    """
    async for info in execution_infos(client, query, limit):
        yield read_execution(info, client)


async def execution_infos(
    client: Client, query: str, limit: int | None = None
) -> AsyncGenerator[WorkflowExecutionInfo]:
    """What a query finds, as the server gives it and unread, the open ones first.

    Raises:
        RPCError: if the server refuses the query, or does not answer.
    """
    token, left = b"", limit
    while left is None or left > 0:
        answer = await client.workflow_service.list_workflow_executions(
            ListWorkflowExecutionsRequest(
                namespace=client.namespace,
                page_size=_PAGE if left is None else min(left, _PAGE),
                next_page_token=token,
                query=query,
            ),
            retry=True,
        )
        for info in answer.executions:
            yield info
        token = answer.next_page_token
        if not token:
            return
        left = None if left is None else left - len(answer.executions)


def read_execution(info: WorkflowExecutionInfo, client: Client) -> WorkflowExecution:
    """An execution of a list, read: as much of it as can be."""
    return _read(WorkflowExecution, info, client)


async def describe_execution(
    client: Client, workflow_id: str, run_id: str = ""
) -> WorkflowExecutionDescription:
    """One execution, as `WorkflowHandle.describe` gives it; the latest of that id without a run.

    Raises:
        RPCError: if there is none of that id, or the server does not answer.
    """
    answer = await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=client.namespace,
            execution=ExecutionId(workflow_id=workflow_id, run_id=run_id),
        ),
        retry=True,
    )
    info = answer.workflow_execution_info
    return _read(WorkflowExecutionDescription, info, client, raw_description=answer)


def is_paused(execution: WorkflowExecution) -> bool:
    """Whether somebody paused it by Temporal itself: signals wait, nothing else goes on."""
    return execution.raw_info.status == RawStatus.WORKFLOW_EXECUTION_STATUS_PAUSED


def pause_words(execution: WorkflowExecutionDescription) -> str:
    """Who paused it by Temporal itself, since when and why, and what ends that."""
    made = execution.raw_description.workflow_extended_info.pause_info
    who = f" by {one_line(made.identity, 200)}" if made.identity else ""
    since = moment_in_words(made.paused_time.ToDatetime(UTC))
    why = f": {one_line(made.reason, 500)}" if made.reason else ""
    return (
        f"paused in Temporal{who} since {since}{why}. Signals and rulings wait in it until it is "
        "unpaused: Unpause on its page in the Web UI, or `temporal workflow unpause`"
    )


def _read(kind: type[E], info: WorkflowExecutionInfo, client: Client, **more: Any) -> E:
    """What can be read of it. `raw_info` is always as the server gave it."""
    known = WorkflowExecutionInfo()
    known.CopyFrom(info)
    if info.status == RawStatus.WORKFLOW_EXECUTION_STATUS_PAUSED:
        # It has not ended, and that is what is asked of a status everywhere.
        known.status = RawStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
    try:
        made = _made(kind, known, client, more)
    except Exception:  # noqa: BLE001  # what decodes search attributes raises anything
        fields = known.search_attributes.indexed_fields
        for name, value in list(fields.items()):
            if not _is_readable(name, value):
                del fields[name]
        made = _made(kind, known, client, more)
    made.raw_info = info
    return made


def _made(kind: type[E], info: WorkflowExecutionInfo, client: Client, more: Mapping[str, Any]) -> E:
    return kind._from_raw_info(  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # there is no public way
        info, namespace=client.namespace, converter=client.data_converter, **more
    )


def _is_readable(name: str, value: Payload) -> bool:
    one = SearchAttributes(indexed_fields={name: value})
    try:
        decode_typed_search_attributes(one)
        decode_search_attributes(one)
    except Exception:  # noqa: BLE001  # as above
        return False
    return True
