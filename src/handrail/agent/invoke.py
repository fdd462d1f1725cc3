"""How a workflow runs a step that writes nothing, and what it does beside its own run.

Beside it the engine's own activities prove rulings and have people told by message, and the
agent answers what approvers ask it, without keeping the case waiting.

Workflow code: the order of its commands is a wire format.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextvars import ContextVar
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    RetryState,
    is_cancelled_exception,
)

from handrail.agent.case import Case
from handrail.agent.case_notes import error_kind
from handrail.agent.decided import recalled
from handrail.agent.steps import LOCAL_RETRY, NOTIFY_RETRY, RETRY, Posture, Step
from handrail.agent.tries import UNDECIDED, failed_try
from handrail.exceptions import StepError
from handrail.oversight import GateView
from handrail.text import first_fault

STANDS_STILL = timedelta(seconds=30)
"""How long what keeps a step from going on does not count as its own time."""

HEARTBEAT = timedelta(seconds=3)
"""How long an ordinary activity may be silent before its worker is taken for dead."""

PROVE_ACTIVITY = "handrail.prove"
"""The activity that proves rulings: `ProofRequest` to a `ProofResult` of each."""

ROLE_ACTIVITY = "handrail.whom"
"""The activity that says whom an agent's own question asks: `RoleRequest` to a `Verdict`."""

NOTIFY_ACTIVITY = "handrail.call"
"""The activity that has people told of a gate by message: a `NotificationRequest`."""

RECEIPT_ACTIVITY = "handrail.receipt"
"""The activity that says of when the receipt of a write is: `ReceiptRequest` to that, or None."""

LOOKS = timedelta(minutes=1)
"""How soon a receipt that nobody told of is looked for while people are asked; each time twice as
late, and at most `LOOKS_MOST`."""

LOOKS_MOST = timedelta(hours=1)

taken_over: set[str] = set()
"""The runs whose present task was perhaps taken over from a worker that died."""

FRESH = 3
"""Events of a history whose first task begins: started, scheduled, started."""

_ENGINE = timedelta(seconds=10)
_PATIENCE = timedelta(minutes=2)


async def perform(case: Case, step: Step[..., Any], args: Sequence[Any], returns: Any) -> Any:
    """Run a step that writes nothing, and read what it returned.

    It is read here and not by Temporal, whose error would wedge the case. That it can be read was
    seen to where it ran: what cannot is of a class that has changed since.

    Raises:
        ActivityError: if the step raised `Final`, or is broken; or on a cancellation.
    """
    try:
        raw = await _raw(step, args, outdated=case.decisions.outdated)
    except ActivityError as error:
        if failed_try(error) is None:  # whoever makes tries counts them
            keep_failure(case, step.name, error)
        raise
    try:
        return workflow.payload_converter().from_payload(raw.payload, returns)
    # The agent's own validators may raise anything.
    except Exception:  # noqa: BLE001
        case.decisions.outdated = True
        return recalled(returns, workflow.payload_converter().from_payload(raw.payload))


def keep_failure(case: Case, step: str, error: ActivityError) -> None:
    """Keep, for the record of the case, that a step failed for good."""
    if not is_cancelled_exception(error):
        case.notes.failed(step, error_kind(error), error_in_words(error), workflow.now())


async def engine(
    name: str, given: Any, returns: Any, summary: str, patience: timedelta | None = _PATIENCE
) -> Any:
    """Run one of the engine's own activities, openly if it fails inside the workflow task.

    Raises:
        ActivityError: if it goes on failing for `patience`; None is for ever.
    """
    try:
        return await workflow.execute_local_activity(
            name,
            given,
            result_type=returns,
            start_to_close_timeout=_ENGINE,
            retry_policy=LOCAL_RETRY,
            summary=summary,
        )
    except (ApplicationError, ActivityError) as error:
        if is_cancelled_exception(error):
            raise
    return await workflow.execute_activity(
        name,
        given,
        result_type=returns,
        start_to_close_timeout=_ENGINE,
        schedule_to_close_timeout=patience,
        retry_policy=RETRY,
        summary=summary,
    )


async def _raw(step: Step[..., Any], args: Sequence[Any], *, outdated: bool) -> RawValue:
    """Run it inside the workflow task if it is short, else openly.

    What it cannot read ends it, but not where that is `outdated`: it waits for code that can.
    """
    summary = f"{step.posture}: {step.summary}"
    if step.local:
        try:
            with _told_if_taken_over():
                return await workflow.execute_local_activity(
                    step.name,
                    args=args,
                    result_type=RawValue,
                    start_to_close_timeout=step.timeout + STANDS_STILL,
                    retry_policy=LOCAL_RETRY,
                    summary=summary,
                )
        # Unlike the error of an ordinary activity, a local one's comes as it is.
        except ApplicationError as error:
            if error.non_retryable or error.type == UNDECIDED:
                raise _wrapped(step, error) from error
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
    # It would fail there for ever. Looked at here, where steps of a task's own do not come.
    if not outdated and (fault := _unfit(step, args)) and workflow.patched("unfit-arguments"):
        error = ApplicationError(fault, type=StepError.__name__, non_retryable=True)
        raise _wrapped(step, error) from error
    return await workflow.execute_activity(
        step.name,
        args=args,
        result_type=RawValue,
        start_to_close_timeout=step.timeout + STANDS_STILL,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=NOTIFY_RETRY if step.posture is Posture.NOTIFY else RETRY,
        summary=summary,
    )


def _unfit(step: Step[..., Any], args: Sequence[Any]) -> str:
    """Which argument of a call its step cannot read, with what to do; empty if it reads all."""
    converter = workflow.payload_converter()
    # Before them may come what the engine gives.
    for parameter, arg in zip(step.parameters[::-1], args[::-1], strict=False):
        try:
            converter.from_payload(converter.to_payload(arg), parameter.annotation)
        # The agent's own validators may raise anything.
        except Exception as error:  # noqa: BLE001
            why = first_fault(error) if isinstance(error, ValidationError) else str(error)
            return (
                f"{step.name}: its argument `{parameter.name}` was given a {type(arg).__name__}, "
                f"and cannot be read from it: {why}; correct the call"
            )
    return ""


# What each process knows of the runs that it has: how long the history was when it took one.
_taken_at: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def taken() -> bool:
    """Note that this process has the run; whether its first task here is not the run's first.

    Then another worker may have died in this very task: a step that runs within it would be
    lost with it once more, and from the fourth time on the server waits longer and longer
    before it gives the task to somebody else.
    """
    if workflow.unsafe.is_replaying():
        return False
    length = workflow.info().get_current_history_length()
    return _taken_at.setdefault(workflow.instance(), length) == length > FRESH


@contextlib.contextmanager
def _told_if_taken_over() -> Generator[None]:
    """Let the local activities begun here know if their task was perhaps taken over.

    They say so instead of running (`TAKEN_OVER`), which the history keeps, so that a replay
    goes the same way: the task ends at once, and the step goes on as an ordinary activity.
    """
    run = workflow.info().run_id
    if taken():
        taken_over.add(run)
    try:
        yield
    finally:
        taken_over.discard(run)


def _wrapped(step: Step[..., Any], error: ApplicationError) -> ActivityError:
    """The error of a local activity in the form in which those of ordinary ones come."""
    return ActivityError(
        str(error),
        scheduled_event_id=0,
        started_event_id=0,
        identity="",
        activity_type=step.name,
        activity_id="",
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )


def error_in_words(error: BaseException) -> str:
    """What happened, in the words of the step, which say more than what lies beneath them."""
    while isinstance(error, FailureError) and not isinstance(error, ApplicationError):
        if error.cause is None:
            break
        error = error.cause
    return getattr(error, "message", None) or str(error) or type(error).__name__


# Beside the run of a case


Explain = Callable[[str, GateView], Awaitable[str]]
"""How an agent answers an approver's question about an open gate."""

beside: ContextVar[bool] = ContextVar("handrail_beside", default=False)
"""Whether it is an approver's question that is answered: that asks people nothing itself."""
