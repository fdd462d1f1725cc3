"""@check: a data check that looks at the world right before a write."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, get_type_hints, overload

from typing_extensions import TypeVar

from handrail.actions import Action, Finding, Kind
from handrail.exceptions import StepError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

A = TypeVar("A", bound=Action)

CHECK_TIMEOUT = timedelta(seconds=5)

_abandoned: set[asyncio.Task[tuple[object, str | None]]] = set()


@dataclass(frozen=True, eq=False)
class Check(Generic[A]):
    """A declared check of one kind of action. Call it as the function that it is."""

    fn: Callable[[A], Awaitable[str | None]]
    name: str
    action: type[A]
    timeout: timedelta

    async def __call__(self, action: A) -> str | None:
        """Run the check itself."""
        return await self.fn(action)


@overload
def check(fn: Callable[[A], Awaitable[str | None]], /) -> Check[A]: ...
@overload
def check(
    *, timeout: timedelta = ...
) -> Callable[[Callable[[A], Awaitable[str | None]]], Check[A]]: ...
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
        right = inspect.iscoroutinefunction(fn) and hints.get("return") == str | None
        if not (right and isinstance(action, type) and issubclass(action, Action)):
            raise StepError(
                f"{fn.__name__}: a check is `async def name(action: SomeAction) -> str | None`"
            )
        return Check(fn, fn.__name__, action, timeout)

    return declare if fn is None else declare(fn)


async def look(check: Check[Any], action: Action) -> Finding | None:
    """What a check says of an action; None when all is well.

    It is somebody else's code. Whatever is wrong with it holds the write, and harms no other
    case: it may raise anything, say anything, and go on for ever, even when it is cancelled. Then
    it is left alone. Only one that never gives way to others (`time.sleep`) holds up its worker.
    """
    asked = asyncio.ensure_future(_ask(check, action))
    try:
        await asyncio.wait([asked], timeout=check.timeout.total_seconds())
    finally:
        if not asked.done():
            _abandon(asked)
    if not asked.done():
        return _held(check, f"no answer within {check.timeout.total_seconds():g} s")
    said, fault = asked.result()
    if fault is not None:
        return _held(check, fault)
    if said is None:
        return None
    if not isinstance(said, str):
        return _held(check, f"it says neither None nor a text, but {type(said).__name__}")
    why = _printable(said) or f"{check.name} says no, and not why"
    return Finding(check=f"check: {check.name}", kind=Kind.REFUSE, why=why)


async def _ask(check: Check[Any], action: Action) -> tuple[object, str | None]:
    """What it says, or what it raised, in words. An exit in a task would end the process."""
    try:
        return await check(action), None
    except BaseException as error:  # noqa: BLE001  # its cancellation, too, is nobody else's
        return None, _words(error)


def _abandon(asked: asyncio.Task[tuple[object, str | None]]) -> None:
    """Cancel it, and keep it from being collected as long as it goes on all the same."""
    _abandoned.add(asked)
    asked.add_done_callback(_abandoned.discard)
    asked.cancel()


def _held(check: Check[Any], fault: str) -> Finding:
    why = f"{check.name} could not be checked: {fault}"
    return Finding(check=f"check: {check.name}", kind=Kind.HOLD, why=why)


def _words(error: BaseException) -> str:
    try:
        return _printable(str(error)) or type(error).__name__
    except Exception:  # noqa: BLE001  # an error whose own words raise another
        return type(error).__name__


def _printable(text: str) -> str:
    """As it can be kept: halves of characters cannot."""
    return text.encode(errors="backslashreplace").decode()
