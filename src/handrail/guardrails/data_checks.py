"""Looks at the world: a data check (`@check`) right before a write, reading it back right after.

Both run the agent's own code against an outside system. Before a write, what goes wrong with that
holds it. After one, a receipt only says that the outside system took a request: what it made of
it is seen by reading it. Outside systems show some writes late, so a mismatch is looked at again
too. What cannot be read is not wrong, but not seen yet: a system that is away comes back.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, get_type_hints, overload

from pydantic import ValidationError
from typing_extensions import TypeVar

from handrail.actions import Action, Finding, Kind
from handrail.agent import LoopEnded, StepTimeout, call_directly, call_step
from handrail.exceptions import HandrailError, StepError, fallback
from handrail.guardrails.current import effect_as_current
from handrail.guardrails.machine import server_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from handrail.actions import Effect, Receipt
    from handrail.agent import Write


A = TypeVar("A", bound=Action)

CHECK_TIMEOUT = timedelta(seconds=5)


@dataclass(frozen=True, eq=False)
class Check(Generic[A]):
    """A declared check of one kind of action. Call it as the function that it is."""

    fn: Callable[[A], Awaitable[str | None] | str | None]
    name: str
    action: type[A]
    timeout: timedelta

    async def __call__(self, action: A) -> str | None:
        """Run the check itself."""
        return await call_directly(self.fn, action)


@overload
def check(fn: Callable[[A], Awaitable[str | None] | str | None], /) -> Check[A]: ...
@overload
def check(
    *, timeout: timedelta = ...
) -> Callable[[Callable[[A], Awaitable[str | None] | str | None]], Check[A]]: ...
def check(fn: Callable[..., Any] | None = None, /, *, timeout: timedelta = CHECK_TIMEOUT) -> Any:
    """Declare `async def name(action: SomeAction) -> str | None`, a fresh look at the world.

    None means that all is well. A text says why the write is refused. A check that
    raises, or takes longer than `timeout`, holds the write: it never lets it pass.

    Raises:
        StepError: if the signature is another one.
    """

    def declare(fn: Callable[..., Any]) -> Check[Any]:
        parameters = list(inspect.signature(fn).parameters)
        hints = get_type_hints(fn)
        action = hints.get(parameters[0]) if len(parameters) == 1 else None
        right = hints.get("return") == str | None
        if not (right and isinstance(action, type) and issubclass(action, Action)):
            raise StepError(
                f"{fn.__name__}: a check is `async def name(action: SomeAction) -> str | None`"
            )
        return Check(fn, fn.__name__, action, timeout)

    return declare if fn is None else declare(fn)


async def look(check: Check[Any], action: Action) -> Finding | None:
    """What a check says of an action; None when all is well.

    Whatever is wrong with it holds the write.
    """
    said, fault = await answer(check.fn, (action,), check.timeout.total_seconds())
    if fault is not None:
        return _held(check, fault)
    if said is None:
        return None
    if not isinstance(said, str):
        return _held(check, f"it says neither None nor a text, but {type(said).__name__}")
    why = _printable(said) or f"{check.name} says no, and not why"
    return Finding(check=f"check: {check.name}", kind=Kind.REFUSE, why=why)


async def answer(
    fn: Callable[..., object], args: Sequence[Any], seconds: float
) -> tuple[Any, str | None]:
    """What somebody else's code says in its time, or why it says nothing, in words.

    It harms no other case: it may raise anything, say anything, and go on for ever, even when it
    is cancelled. Then it is left alone.
    """
    try:
        return await call_step(fn, args, seconds), None
    except StepTimeout:
        return None, f"no answer within {seconds:g} s"
    except LoopEnded:  # with its worker: whoever takes the write over asks it anew
        raise
    except BaseException as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Its own cancellation, too, is nobody else's.
        exited = isinstance(error.__cause__, SystemExit | KeyboardInterrupt)
        return None, _words(error.__cause__ if exited else error)


def _held(check: Check[Any], fault: str) -> Finding:
    why = f"{check.name} could not be checked: {fault}"
    return Finding(check=f"check: {check.name}", kind=Kind.HOLD, why=why)


def _words(error: BaseException | None) -> str:
    return fallback("", lambda: _printable(str(error))) or type(error).__name__


def _printable(text: str) -> str:
    """As it can be kept: halves of characters cannot."""
    return text.encode(errors="backslashreplace").decode()


# After a write


PAUSES = (timedelta(milliseconds=300), timedelta(seconds=1))
"""Between the tries, of which there is one more."""

TRY = timedelta(seconds=4)
"""How long one try may take."""

LIMIT = timedelta(seconds=10)
"""How long all of them may take, with the pauses."""

MISMATCH = "mismatch"
"""The kind of the incident of what was read back, and is not as it was meant."""

LONGEST = 1_000
"""Characters of what is said about a mismatch."""


class Unseen(HandrailError):
    """A write happened, and could not be read back yet: it is read again, and not done again."""


@dataclass(frozen=True)
class ReadBack:
    """What reading a write back came to. Nothing: it is as it was meant, or nobody says how to."""

    differs: str = ""
    """What was read, and is not as it was meant."""
    unread: str = ""
    """Why it could not be read."""

    @property
    def wrong(self) -> str:
        """What a human is to look at."""
        return self.differs or self.unread


async def verify(
    step: Write[Any, Any], action: Action, effect: Effect, receipt: Receipt, patience: timedelta
) -> ReadBack:
    """Read a write back: three tries, with short pauses, within ten seconds; the last one counts.

    What it cannot read `patience` after the receipt it gives up. Raises nothing for what the
    step's `verify` does but this:

    Raises:
        Unseen: if it cannot be read yet; call again.
    """
    if step.verify is None:
        return ReadBack()
    try:
        text = json.dumps(receipt.result)
        result = step.adapter.validate_json(text, by_alias=True, by_name=True)
    except ValidationError:
        why = f"could not be read back: its receipt ({receipt.how}) has not what it returns"
        return ReadBack(unread=why)
    found, fault = "", None
    clock = asyncio.get_running_loop().time
    until = clock() + LIMIT.total_seconds()
    for pause in (timedelta(0), *PAUSES):
        await asyncio.sleep(pause.total_seconds())
        left = min(TRY.total_seconds(), until - clock())
        if left <= 0:
            break
        with effect_as_current(effect):
            said, fault = await answer(step.verify, (action, effect, result), left)
        if said is None and fault is None:
            return ReadBack()
        found = str(said) or "it is not as it should be (its `verify` does not say why)"
    if fault is None:
        return ReadBack(differs=found[:LONGEST])
    if server_time() - receipt.at < patience:
        raise Unseen(f"{receipt.key} happened, and is not seen yet: {fault}; it is read again")
    return ReadBack(unread=f"could not be read back within {patience}: {fault}"[:LONGEST])
