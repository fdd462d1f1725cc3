"""The tries of a decide step: what counts as one, what it used up, and when the next one is.

A model costs money each time it is asked, so the case counts the tries itself and then asks
people. What keeps the step from being begun at all (no ledger, no budget, a broken policy)
costs nothing, and is retried by Temporal as long as it lasts.
"""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from pydantic import ValidationError
from temporalio.exceptions import ActivityError, ApplicationError

from handrail.actions import Usage
from handrail.text import first_fault, fit_text

TRIES = 5
"""How often a decide step is tried, unless it says otherwise."""

UNDECIDED = "Undecided"
"""The type of the error with which a try of a decide step ends that may be followed by another."""

TAKEN_OVER = "TakenOver"
"""The type of the error of a step that does not run in a task that was perhaps taken over."""

_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(minutes=5)
_MOST_WORDS = 1_000

OVER_BUDGET = "OverBudget"
"""The type of the error of a step that waits until a budget has room again."""

Reserve = Callable[[Usage], Awaitable[None]]
"""Sees that a budget has room for what a request may cost, and takes it from there."""

Keep = Callable[[Usage, Usage | None], object]
"""Begins to keep what was used up, where a death of this process does not lose it; in the place of
what was reserved for it, if anything was. It may be called from any thread."""

_used: ContextVar[list[Usage]] = ContextVar("handrail_used")
_keep: ContextVar[Keep | None] = ContextVar("handrail_keep", default=None)
_reserve: ContextVar[Reserve | None] = ContextVar("handrail_reserve", default=None)


def spent(usage: Usage) -> None:
    """Say in a decide step what a call of a model used up, as soon as it is known.

    It is counted also where the step then raises, its time is over, or its process dies; leave it
    out of the decision's own `usage`. Outside a decide step it does nothing.
    """
    _count(usage, None)


def _count(usage: Usage, reserved: Usage | None) -> None:
    used, keep = _used.get(None), _keep.get()
    if used is not None:
        used.append(usage)
        if keep is not None:
            keep(usage, reserved)


@contextlib.contextmanager
def metered(
    used: list[Usage], reserve: Reserve | None = None, keep: Keep | None = None
) -> Generator[None]:
    """Add what is `spent` meanwhile to `used`. Threads of the same context count too."""
    tokens = _used.set(used), _reserve.set(reserve), _keep.set(keep)
    try:
        yield
    finally:
        _keep.reset(tokens[2])
        _used.reset(tokens[0])
        _reserve.reset(tokens[1])


@contextlib.asynccontextmanager
async def charged(estimate: Usage) -> AsyncGenerator[list[Usage]]:
    """Charge one request to a model: what it may cost before, and what it did cost after.

    Put the latter into the list. Without it the request counts as estimated: nobody knows whether
    it was carried out.

    Raises:
        ApplicationError: if the budget has no room for it; `OVER_BUDGET`.
    """
    reserve = _reserve.get()
    if reserve is not None:
        await reserve(estimate)
    known: list[Usage] = []
    try:
        yield known
    finally:
        _count(total(known) if known else estimate, estimate)


def total(used: list[Usage]) -> Usage:
    """The sum of what was used up."""
    return functools.reduce(operator.add, used) if used else Usage()


def end_try(step: str, error: BaseException, used: list[Usage]) -> NoReturn:
    """End a try that failed, with what it used up.

    Raises:
        ApplicationError: always; what it says of the step's error fits into a history.
    """
    said = words_of(error)
    # What is too long or not readable, or cannot even say what it is, is none for a history.
    plain = len(said) < _MOST_WORDS and said != type(error).__name__ and "\ufffd" not in said
    cause = error if plain else None
    why = f"{step}: {said}"[:_MOST_WORDS]
    raise ApplicationError(why, total(used), type=UNDECIDED) from cause


def words_of(error: BaseException) -> str:
    """What an exception of a step says, cut short; its name where it says nothing."""
    try:
        said = first_fault(error) if isinstance(error, ValidationError) else str(error)
    except Exception:  # noqa: BLE001  # the step's own exception: it may not even say what it is
        said = ""
    return fit_text(said)[:_MOST_WORDS] or type(error).__name__


@dataclass(frozen=True)
class FailedTry:
    """One try of a decide step that failed: why, in words, and what it used up."""

    why: str
    usage: Usage


def failed_try(error: ActivityError) -> FailedTry | None:
    """The try that an activity's error tells of; None if it tells of anything else."""
    cause = error.cause
    if not isinstance(cause, ApplicationError) or cause.type != UNDECIDED:
        return None
    usage = Usage.model_validate(cause.details[0]) if cause.details else Usage()
    return FailedTry(cause.message, usage)


def pause_after(tries: int) -> timedelta:
    """How long to wait after so many tries before the next one."""
    return min(_PAUSE * 2 ** min(tries - 1, 30), _LONGEST_PAUSE)
