"""Opening a case that has ended again, by Temporal's reset: to try again, or to undo it.

Its new run has the history of the old one up to a point, and so all its receipts, and goes on from
there with the code of today. What was written is not written twice: the ledger knows it by its key.
"""

from __future__ import annotations

import contextlib
import uuid
from datetime import UTC
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel
from temporalio.api.common.v1 import WorkflowExecution as ExecutionId
from temporalio.api.enums.v1 import EventType, ResetReapplyType, WorkflowTaskFailedCause
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from handrail.actions import undo_key
from handrail.exceptions import CaseError, HandrailError
from handrail.states import State
from handrail.text import moment_in_words, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.history.v1 import HistoryEvent
    from temporalio.client import Client, WorkflowExecutionDescription

    from handrail.client.views import CaseState


class _ReceiptKey(BaseModel):
    key: str


class _HasReceipt(BaseModel):
    receipt: _ReceiptKey


RETRIED = frozenset({State.FAILED, State.REFUSED, State.REJECTED, State.EXPIRED})
"""How a case ended that can be tried again."""

UNDONE = RETRIED | {State.DONE}
"""How a case ended whose writes can be undone."""

_RACES = 20
"""How often a case may end again before it hears that it shall be undone."""

_UNDO = undo_key("")
_DECIDED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


async def try_again(
    client: Client, ended: WorkflowExecutionDescription, said: dict[str, str], at: int
) -> None:
    """Have a case go on from one of its workflow tasks.

    Raises:
        CaseError: if the server does not open it again.
    """
    run = await _reset(client, ended, "retry", said, at)
    with contextlib.suppress(RPCError):  # for its log; Temporal's history has it in any case
        await client.get_workflow_handle(ended.id, run_id=run).signal("resume", said)


async def undo_ended(
    client: Client, ended: WorkflowExecutionDescription, said: dict[str, str], at: int
) -> None:
    """Open a case at its last workflow task, and have it rolled back before it ends once more.

    Raises:
        CaseError: if the server does not open it again, or it was faster each time.
    """
    for _ in range(_RACES):
        run = await _reset(client, ended, "roll back", said, at)
        try:
            # A task that would end it fails when this has come meanwhile, and hears of it.
            await client.get_workflow_handle(ended.id, run_id=run).signal("roll_back", said)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise CaseError(f"{ended.id} is open again, and was not told: {error}") from error
        else:
            return
    raise CaseError(f"{ended.id} ended again each time before it was told; try once more")


async def _reset(
    client: Client, ended: WorkflowExecutionDescription, order: str, said: dict[str, str], at: int
) -> str:
    """Open a case again at one of its workflow tasks. Gives its new run."""
    words = f"{order} by {said.get('by', 'somebody')}: {said.get('why', '')}"
    try:
        opened = await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=ExecutionId(workflow_id=ended.id, run_id=ended.run_id),
                reason=words.removesuffix(": "),
                workflow_task_finish_event_id=at,
                request_id=str(uuid.uuid4()),
                # Of events and of who asked it hears again. A ruling comes before its question
                # is asked, and so counts for nothing.
                reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE,
                identity=client.identity,
            )
        )
    except RPCError as error:
        raise CaseError(f"the server does not open {ended.id} again: {error}") from error
    return opened.run_id


async def last_task(client: Client, ended: WorkflowExecutionDescription, state: CaseState) -> int:
    """The workflow task in which a case ended, for undoing what it wrote.

    Raises:
        CaseError: if it ended so that nothing of it can be undone.
    """
    if state not in UNDONE:
        words = {
            State.STOPPED: "it was stopped, which leaves what it wrote as it is",
            State.ROLLED_BACK: "it was rolled back",
            State.PILOTED: "it was in pilot, and wrote nothing",
        }.get(cast("State", state), f"it has ended ({state})")
        raise CaseError(f"{ended.id} is not rolled back: {words}")
    return [each.event_id for each in await _history(client, ended) if _is_task(each)][-1]


async def task_to_retry(
    client: Client,
    ended: WorkflowExecutionDescription,
    state: CaseState,
    *,
    from_start: bool,
) -> int:
    """The workflow task from which a case that came to nothing goes on: after its last receipt.

    Raises:
        CaseError: if there is nothing to try again.
    """
    if state not in RETRIED:
        words = str(state).replace("_", " ")
        raise CaseError(
            f"{ended.id} has ended ({words}), and is not tried again; "
            "fix: what shall be done anew needs an event with another key"
        )
    events = await _history(client, ended)
    receipts = {each.event_id: await _receipt(client, each) for each in events}
    undone = [key for key in receipts.values() if key.endswith(_UNDO)]
    if undone:
        writes = ", ".join(key.removesuffix(_UNDO) for key in undone)
        raise CaseError(
            f"{ended.id} has undone what it wrote ({writes}), which is not done again under the "
            "same key; fix: give its event another key"
        )
    last = max((at for at, key in receipts.items() if key), default=0)
    after = 0 if from_start else last
    later = [each.event_id for each in events if each.event_id > after and _is_task(each)]
    if not later:
        raise CaseError(f"{ended.id} was ended from outside before its first step: start it again")
    return later[0]


async def reset_words(client: Client, execution: WorkflowExecutionDescription) -> str:
    """When, by whom and why a case was last reset, and what that means; else nothing."""
    info = execution.raw_description.workflow_extended_info
    if not info.HasField("last_reset_time"):
        return ""
    at = moment_in_words(info.last_reset_time.ToDatetime(UTC))
    whys = list[str]()
    with contextlib.suppress(CaseError):
        for event in await _history(client, execution):
            failed = event.workflow_task_failed_event_attributes
            if failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW:
                whys.append(one_line(failed.failure.message, 500))
    why = f": {whys[-1]}" if whys else ""
    return (
        f"{at}{why}. What the ledger has of it is not written twice, though people may be asked "
        "again; rulings of before count for nothing"
    )


def _is_task(event: HistoryEvent) -> bool:
    return event.event_type == _DECIDED


async def _receipt(client: Client, event: HistoryEvent) -> str:
    """The key of the write that happened, where this is the end of one; else nothing."""
    if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        return ""
    payloads = event.activity_task_completed_event_attributes.result.payloads
    # Another result, or of an encoding that nobody here knows: it is no receipt of ours.
    with contextlib.suppress(HandrailError, ValueError, LookupError, RuntimeError):
        [result] = await client.data_converter.decode(payloads)
        return _HasReceipt.model_validate(result).receipt.key
    return ""


async def _history(client: Client, ended: WorkflowExecutionDescription) -> Sequence[HistoryEvent]:
    handle = client.get_workflow_handle(ended.id, run_id=ended.run_id)
    try:
        return (await handle.fetch_history()).events
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise CaseError(f"the server has the history of {ended.id} no more") from error
