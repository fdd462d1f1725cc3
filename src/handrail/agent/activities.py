"""Steps as Temporal activities: their names and types, their heartbeat, and what is retried."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from datetime import timedelta
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json
from temporalio import activity
from temporalio.exceptions import ApplicationError

from handrail.actions import Usage
from handrail.agent.heartbeats import (
    DEATHS,
    UNANSWERED,
    Heartbeats,
    current_heartbeats,
    heartbeats_begin,
)
from handrail.agent.invoke import taken_over
from handrail.agent.secrets import secrets_given
from handrail.agent.step_calls import LoopEnded, call_step
from handrail.agent.steps import Decide, Posture, Step, Write
from handrail.agent.tries import OVER_BUDGET, TAKEN_OVER, Keep, Reserve, end_try, metered, spent
from handrail.exceptions import ContractChanged, Final, HandrailError, NotKept, StepError
from handrail.failpoints import reached
from handrail.text import first_fault, fit_text
from handrail.wire import Attempt, Notice, fit

BEAT = timedelta(seconds=1)
"""How often a running ordinary activity shows that its worker is alive."""

LONGEST = 4_000
"""Characters of an error's text that go into a history."""

LATEST = timedelta(hours=1)
"""How long a step may put off its next try, whatever its outside system says."""

_LOOKS = 3
"""Seconds for which a step that failed waits to hear whether its outside system has changed."""

Activity = Callable[..., Awaitable[Any]]


async def run_step(step: Step[..., Any], args: Sequence[Any]) -> Any:
    """Run a step's function in its time, and see that it returns what it declares.

    Raises:
        StepError: if it returned something else.
        TimeoutError: if its time is over.
    """
    case = this_case()
    reached(f"{step.posture}:before", case)
    with secrets_given(step.secrets) as held:
        # A notification is not sent again while it may be on its way.
        goes_on = _goes_on if step.posture is Posture.NOTIFY else None
        seconds = step.timeout.total_seconds()
        result: object = await call_step(step.fn, args, seconds, goes_on)
    reached(f"{step.posture}:after", case)
    try:
        held.refuse(step.name, result)
        value: Any = step.adapter.validate_python(_fit(step, result))
        if isinstance(step, Decide):
            step.require_own(value.action)
    except (StepError, ValidationError) as error:
        usage = getattr(result, "usage", None)
        if isinstance(usage, Usage):
            spent(usage)  # whatever is wrong with the rest
        kind = type(result).__name__
        # What a model said, as it came, is no mistake of the program.
        said = step.posture is Posture.DECIDE and kind == "dict"
        if said or isinstance(error, StepError):
            raise
        declared = getattr(step.returns, "__name__", step.returns)
        raise (StepError if step.contract is None else BadAnswer)(
            f"{step.name} is declared to return {declared}, and returned "
            f"{kind}: {first_fault(error)}; correct the step, or its declaration"
        ) from error
    if step.posture is Posture.READ and not isinstance(value, bytes):
        _require_loads(step, value)
    return value


async def spread_deaths(step: Step[..., Any]) -> None:
    """Put an attempt off if too many before it took their workers along.

    Raises:
        ApplicationError: if it is put off; of a decide step that is a try that failed.
    """
    decides = isinstance(step, Decide)
    try:
        await current_heartbeats().spread_deaths(step.name, UNANSWERED if decides else DEATHS)
    except ApplicationError as error:
        if decides:
            end_try(step.name, error, [])
        raise


async def _goes_on(_: float) -> bool:
    return True


def _fit(step: Step[..., Any], result: object) -> Any:
    """What a step returned, made fit for a history, a ledger and a terminal.

    Raises:
        StepError: if it cannot be.
    """
    try:
        return fit(result)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise StepError(f"{step.name} returned what cannot be kept: {why}") from None


def _require_loads(step: Step[..., Any], value: Any) -> None:
    """See that the case can read what a step returned: it must never fail to."""
    try:
        step.adapter.validate_json(to_json(value))
    except ValidationError as error:
        raise StepError(
            f"{step.name}: what it returned is not {step.returns} any more after its way through "
            f"JSON: {first_fault(error)}; return a model that reads back what it writes"
        ) from error


def this_case() -> str:
    """The id of the case whose step is running."""
    return activity.info().workflow_id or ""


def as_activity(step: Step[..., Any], run: Activity, returns: Any) -> Activity:
    """Give `run` the name and the types by which Temporal registers and decodes it."""

    async def entry(*args: Any) -> Any:
        info = activity.info()
        if info.is_local and info.workflow_run_id in taken_over:
            why = f"{step.name} goes on as an activity of its own: its worker may have died"
            raise ApplicationError(why, type=TAKEN_OVER)
        heartbeats = heartbeats_begin()
        with _errors(step):
            async with _beating(heartbeats):
                try:
                    await heartbeats.recall()
                    return await run(*args)
                except BaseException as error:  # whatever ends it, the next attempt must know
                    if isinstance(step, Write) and isinstance(error, Exception):
                        heartbeats.mark_unsent(marked=step.marked)
                    if not info.is_local and not isinstance(error, LoopEnded):
                        heartbeats.mark_ended()
                    if not isinstance(step, Write) and hopeless(error):
                        await require_contract(step, error)
                    raise

    parameters = list(step.parameters)
    if step.posture is Posture.WRITE:
        # As JSON: whether today's class takes it is for the door to say.
        parameters = [_parameter("action", dict[str, Any]), _parameter("attempt", Attempt)]
    elif step.posture is Posture.NOTIFY:
        parameters.insert(0, _parameter("_notice", Notice))
    parameters = [p.replace(default=inspect.Parameter.empty) for p in parameters]
    signed = cast("Any", entry)
    signed.__name__ = step.name
    signed.__doc__ = inspect.getdoc(step.fn)
    signed.__signature__ = inspect.Signature(parameters, return_annotation=returns)
    signed.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": returns}
    return activity.defn(name=step.name)(entry)


def _parameter(name: str, kind: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)


class BadResult(HandrailError):
    """The write happened and its receipt is kept, but what it returned cannot be used."""


class BadAnswer(StepError):
    """An outside system answers otherwise than it describes itself."""


_HOPELESS = (
    Final,
    NotKept,
    StepError,
    BadResult,
    ValidationError,
    PydanticSerializationError,
    TypeError,
    AttributeError,
    NameError,
)
_CONNECTIONS = frozenset({"aiosmtplib", "anyio", "asyncio", "httpcore", "httpcore2"})


def hopeless(error: BaseException) -> bool:
    """Whether trying again cannot help: what a step calls `Final`, or a mistake in the program.

    Not where a library looks at a connection that has just ended: uvloop has no socket of it any
    more, and what asks it for its peer trips over None. That comes back with the system.
    """
    if isinstance(error, AttributeError) and error.obj is None:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        module = str(frames[-1].f_globals.get("__name__")) if frames else ""
        return module.partition(".")[0] not in _CONNECTIONS
    return isinstance(error, _HOPELESS)


async def require_contract(step: Step[..., Any], error: BaseException) -> None:
    """See that a step did not fail for good because its outside system has changed.

    Raises:
        ContractChanged: if it describes itself otherwise now.
    """
    if step.contract is None or isinstance(error, ContractChanged):
        return
    found: Sequence[str] = ()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LOOKS):
            found = await step.contract()
    if found:
        raise ContractChanged(f"{error}; {found[0]}") from error


@contextlib.contextmanager
def trying(
    step: Step[..., Any],
    used: list[Usage],
    reserve: Reserve | None = None,
    keep: Keep | None = None,
) -> Generator[None]:
    """Make a failed try of what a decide step raises, and add to `used` what is `spent` on it.

    Raises:
        ApplicationError: of a failed try (`handrail.agent.tries`). What is hopeless stays as it
            is, but an answer that does not validate is a model's mistake, not the program's.
    """
    with metered(used, reserve, keep):
        try:
            yield
        except BaseException as error:  # a try that is cancelled has cost something, too
            end = hopeless(error) and not isinstance(error, ValidationError)
            end |= isinstance(error, LoopEnded)  # counted as the death of its worker
            end |= isinstance(error, ApplicationError) and (
                error.non_retryable or error.type == OVER_BUDGET
            )
            task = asyncio.current_task()
            ended = isinstance(error, asyncio.CancelledError) and task and task.cancelling()
            if end or ended:
                raise
            end_try(step.name, error, used)


@contextlib.contextmanager
def _errors(step: Step[..., Any]) -> Generator[None]:
    """The one place that tells what is tried again from what is not.

    Outside systems come back, so everything is tried again, except what the step calls
    `Final`, and mistakes in the program.
    """
    try:
        yield
    except Exception as error:  # the step's own, of which Temporal keeps the whole text
        if hopeless(error):
            raise ApplicationError(
                f"{step.name}: {fit_text(str(error))}"[:LONGEST],
                type=type(error).__name__,
                non_retryable=True,
            ) from (error if _is_fit(str(error)) else None)
        if isinstance(error, ApplicationError) and error.next_retry_delay:
            raise _within_bounds(error) from error.__cause__
        if _is_fit(str(error)):
            raise
        # A failure over 2 MiB would wedge the case; nobody reads that much anyway.
        raise ApplicationError(fit_text(str(error))[:LONGEST], type=type(error).__name__) from None


def _within_bounds(error: ApplicationError) -> ApplicationError:
    """The error of a step that says itself when it is tried again, as what it asks may have said.

    Within a workflow task nobody sees that it waits.
    """
    delay = error.next_retry_delay
    return ApplicationError(
        fit_text(error.message)[:LONGEST],
        *error.details,
        type=error.type,
        non_retryable=error.non_retryable,
        next_retry_delay=None if delay is None or activity.info().is_local else min(delay, LATEST),
        category=error.category,
    )


def _is_fit(words: str) -> bool:
    """Whether a history and a log take an error's words as they are."""
    return len(words) < LONGEST and fit_text(words) == words


@contextlib.asynccontextmanager
async def _beating(heartbeats: Heartbeats) -> AsyncGenerator[None]:
    """Heartbeat while an ordinary activity runs, so that the death of its worker shows."""
    info = activity.info()
    if info.is_local or info.heartbeat_timeout is None:
        yield
        return
    beat = asyncio.get_running_loop().create_task(_beat(heartbeats))
    try:
        yield
    finally:
        beat.cancel()


async def _beat(heartbeats: Heartbeats) -> None:
    while True:
        await asyncio.sleep(BEAT.total_seconds())
        activity.heartbeat(*([heartbeats.said] if heartbeats.said else []))
