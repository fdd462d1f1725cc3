"""How a write step says what is done when one of its attempts broke off."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from handrail.exceptions import StepError

if TYPE_CHECKING:
    from collections.abc import Callable

TakeOver = Literal["wait", "ask"]
"""Whether an attempt of another machine that may go on is waited for, or asked about."""


def require_recovery(
    name: str,
    find: Callable[..., Any] | None,
    settles: timedelta | None,
    idempotent: bool | timedelta,  # noqa: FBT001  # as it is declared
    take_over: str,
) -> None:
    """See that it is said, whole, how doubt about a write is dealt with.

    Raises:
        StepError: if it is not, with what to say.
    """
    if idempotent is True and find is not None:
        raise StepError(
            f"{name}: give `idempotent` or `find`, not both; or say for how long a key is known: "
            "`idempotent=timedelta(hours=24), find=...`"
        )
    if find is not None and settles is None:
        raise StepError(
            f"{name}: with `find`, say how long after it was sent a request may take effect: "
            "`settles=timedelta(seconds=30)`; until then it is looked for, and not done again"
        )
    faults = {
        "`settles` is a time, and not negative": settles is not None and settles < timedelta(0),
        "`idempotent` is True, or how long a key is known": isinstance(idempotent, timedelta)
        and idempotent <= timedelta(0),
        f"`take_over` is one of {', '.join(get_args(TakeOver))}": take_over
        not in get_args(TakeOver),
    }
    for fault in (words for words, wrong in faults.items() if wrong):
        raise StepError(f"{name}: {fault}")


def require_verify(name: str, verify: Callable[..., Any] | None) -> None:
    """See that what reads a write back is a coroutine of three arguments.

    Raises:
        StepError: if it is not.
    """
    if verify is None:
        return
    wanted = f"{name}: its `verify` must be `async def name(action, effect, result) -> str | None`"
    if not inspect.iscoroutinefunction(verify):
        raise StepError(wanted)
    try:
        inspect.signature(verify).bind(None, None, None)
    except TypeError as error:
        raise StepError(f"{wanted}: {error}") from error
