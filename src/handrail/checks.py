"""@check: a data check that looks at the world right before a write."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, get_type_hints, overload

from typing_extensions import TypeVar

from handrail.actions import Action
from handrail.exceptions import StepError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

A = TypeVar("A", bound=Action)

CHECK_TIMEOUT = timedelta(seconds=5)


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
