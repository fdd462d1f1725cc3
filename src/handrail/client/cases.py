"""Cases as the server lists them: what is known without a worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from temporalio.client import (
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import ApplicationError

from handrail.actions import Outcome
from handrail.agent import DEADLINE_ATTRIBUTE, STATE_ATTRIBUTE, WAITING_FOR_ATTRIBUTE
from handrail.client import gates
from handrail.states import ENDS, State


@dataclass(frozen=True)
class CaseRow:
    """One case as a list shows it. `receipts` counts the writes that were proven to happen."""

    case: str
    state: State
    why: str = ""
    waiting_for: tuple[str, ...] = ()
    receipts: int = 0
    started: datetime | None = None
    closed: datetime | None = None
    deadline: datetime | None = None


# Runs that only went on in another run are no cases of their own.
ANY = "HandrailState IS NOT NULL AND ExecutionStatus != 'ContinuedAsNew'"

_CLOSED_AS = {
    WorkflowExecutionStatus.COMPLETED: State.DONE,
    WorkflowExecutionStatus.FAILED: State.FAILED,
    WorkflowExecutionStatus.CANCELED: State.ROLLED_BACK,
    WorkflowExecutionStatus.TERMINATED: State.FAILED,
    WorkflowExecutionStatus.TIMED_OUT: State.FAILED,
}


def query(agent: str | None = None, state: str | None = None, role: str | None = None) -> str:
    """The query for these cases.

    Raises:
        ImpossibleName: if there is no such state, or if a name cannot be one.
    """
    parts = [ANY]
    if agent is not None:
        parts.append(f"HandrailAgent = {gates.quoted(agent, 'agent')}")
    if state is not None:
        known = state.replace("-", "_")
        if known not in set(State):
            raise gates.ImpossibleName(f"no state {state!r}; there are: {', '.join(State)}")
        parts.append(f"HandrailState = '{known}'")
    if role is not None:
        parts.append(f"HandrailWaitingFor = {gates.quoted(role, 'role')} AND {gates.OPEN}")
    return " AND ".join(parts)


def row(execution: WorkflowExecution, outcome: Outcome | None = None) -> CaseRow:
    """One case, with its outcome where it is known."""
    attributes = execution.typed_search_attributes
    is_open = execution.status is WorkflowExecutionStatus.RUNNING
    return CaseRow(
        case=execution.id,
        state=_state(execution),
        why=outcome.why if outcome else _note(execution),
        waiting_for=tuple(attributes.get(WAITING_FOR_ATTRIBUTE) or ()) if is_open else (),
        receipts=len(outcome.receipts) if outcome else 0,
        started=execution.start_time,
        closed=execution.close_time,
        deadline=attributes.get(DEADLINE_ATTRIBUTE) if is_open else None,
    )


def _state(execution: WorkflowExecution) -> State:
    said = execution.typed_search_attributes.get(STATE_ATTRIBUTE)
    state = State(said) if said in set(State) else State.WORKING
    if execution.status is None or state in ENDS:
        return state
    # Ended from outside, or before its first step: the case could not say so itself.
    return _CLOSED_AS.get(execution.status, state)


def _note(execution: WorkflowExecution) -> str:
    notes = {
        WorkflowExecutionStatus.TERMINATED: "terminated through Temporal",
        WorkflowExecutionStatus.TIMED_OUT: "timed out in Temporal",
    }
    return notes.get(execution.status, "") if execution.status else ""


def row_json(case: CaseRow) -> dict[str, Any]:
    """One case for programs."""
    return {
        "case": case.case,
        "agent": case.case.partition(":")[0],
        "state": case.state.value,
        "waiting_for": list(case.waiting_for),
        "deadline": _iso(case.deadline),
        "started": _iso(case.started),
        "closed": _iso(case.closed),
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else iso(at)


def iso(at: datetime) -> str:
    """A time for programs, as the models write it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def outcome_of(handle: WorkflowHandle[Any, Any]) -> Outcome | None:
    """The outcome of a case that has ended; None where it left none (terminated, say)."""
    try:
        result: Any = await handle.result()
    except WorkflowFailureError as error:
        cause = error.cause
        details: Sequence[Any] = cause.details if isinstance(cause, ApplicationError) else ()
        if not details:
            return Outcome(status=State.FAILED, why=_reason(error))
        result = details[0]
    try:
        return Outcome.model_validate(result)
    except ValidationError:
        return None


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return getattr(error, "message", None) or str(error)
