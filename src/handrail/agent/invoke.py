"""How a workflow runs a step that writes nothing, and the engine's own activities.

Workflow code: the order of its commands is a wire format.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    RetryState,
    is_cancelled_exception,
)

from handrail.agent.steps import LOCAL_RETRY, NOTIFY_RETRY, RETRY, Posture, Step

HEARTBEAT = timedelta(seconds=3)
"""How long an ordinary activity may be silent before its worker is taken for dead."""

PROVE_ACTIVITY = "handrail.prove"
"""The activity that proves rulings: `Proving` to a `Proof` of each."""

ROLE_ACTIVITY = "handrail.whom"
"""The activity that says whom an agent's own question asks: `Whom` to a `Verdict`."""

NOTIFY_ACTIVITY = "handrail.call"
"""The activity that has people told of a gate by message: a `Call`."""

_ENGINE = timedelta(seconds=10)
_PATIENCE = timedelta(minutes=2)


async def perform(step: Step[..., Any], args: Sequence[Any], returns: Any) -> Any:
    """Run a step that writes nothing, and read what it returned.

    It is read here and not by Temporal, whose error would end the case with nothing undone.

    Raises:
        ActivityError: if the step raised `Final`, or is broken; or on a cancellation.
        ApplicationError: if what it returned did not survive the way through JSON.
    """
    raw = await _raw(step, args)
    try:
        return workflow.payload_converter().from_payload(raw.payload, returns)
    except (ValueError, TypeError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ApplicationError(
            f"{step.name}: what it returned is not {returns} any more after its way through "
            f"JSON: {first}; return a model that reads back what it writes",
            type="StepError",
            non_retryable=True,
        ) from error


async def engine(name: str, given: Any, returns: Any, summary: str) -> Any:
    """Run one of the engine's own activities, openly if it fails inside the workflow task.

    Raises:
        ActivityError: if it goes on failing for two minutes.
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
        schedule_to_close_timeout=_PATIENCE,
        retry_policy=RETRY,
        summary=summary,
    )


async def _raw(step: Step[..., Any], args: Sequence[Any]) -> RawValue:
    """Run it inside the workflow task if it is short, else openly."""
    summary = f"{step.posture}: {step.summary}"
    if step.local:
        try:
            return await workflow.execute_local_activity(
                step.name,
                args=args,
                result_type=RawValue,
                start_to_close_timeout=step.timeout + timedelta(seconds=1),
                retry_policy=LOCAL_RETRY,
                summary=summary,
            )
        # Unlike the error of an ordinary activity, a local one's comes as it is.
        except ApplicationError as error:
            if error.non_retryable:
                raise _wrapped(step, error) from error
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
    return await workflow.execute_activity(
        step.name,
        args=args,
        result_type=RawValue,
        start_to_close_timeout=step.timeout + timedelta(seconds=1),
        heartbeat_timeout=HEARTBEAT,
        retry_policy=NOTIFY_RETRY if step.posture is Posture.NOTIFY else RETRY,
        summary=summary,
    )


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
