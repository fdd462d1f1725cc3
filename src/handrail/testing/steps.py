"""Call a write or notify function itself, for unit tests of what it does outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec

from typing_extensions import TypeVar

from handrail.actions import Action, Effect, Undoes
from handrail.agent import call_directly
from handrail.guardrails import effect_as_current

if TYPE_CHECKING:
    from handrail.agent import Notify, Write

A = TypeVar("A", bound=Action)
P = ParamSpec("P")
R = TypeVar("R")


async def call_write(
    step: Write[A, R], action: A, *, key: str = "test:1/write/1", undoes: Undoes | None = None
) -> R:
    """Call a write step's function, without door, ledger and server.

    Call it twice with one `key` to see that an idempotent one does nothing twice. For an
    undo give `undoes`: the key of the write, and its receipt if there is one.
    """
    effect = _effect(step.name, key, undoes)
    with effect_as_current(effect):
        return await call_directly(step.fn, action, effect)


async def call_find(
    step: Write[Any, R], action: Action, *, key: str = "test:1/write/1"
) -> R | None:
    """Ask the outside world as the door does after a crash: is the effect of `key` there?

    Raises:
        TypeError: if the step was declared without `find`.
    """
    if step.find is None:
        raise TypeError(f"{step.name} has no `find`")
    effect = _effect(step.name, key, None)
    return await call_directly(step.find, action, effect)


async def call_notify(step: Notify[P, R], key: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a notify step's function under a key, without door and server."""
    with effect_as_current(_effect(step.name, key, None)):
        return await call_directly(step.fn, *args, **kwargs)


def _effect(step: str, key: str, undoes: Undoes | None) -> Effect:
    return Effect(key=key, case=key.partition("/")[0], step=step, undoes=undoes)
