"""The effect that the running step is making, for the step itself to ask."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextvars import ContextVar

from handrail.actions import Effect

_current: ContextVar[Effect] = ContextVar("handrail_effect")


def current_effect() -> Effect:
    """The effect that the running write, undo or notify step is making.

    Raises:
        LookupError: if no such step is running.
    """
    return _current.get()


@contextlib.contextmanager
def effect_as_current(effect: Effect) -> Generator[None]:
    """Make `effect` the one that `current_effect` returns."""
    token = _current.set(effect)
    try:
        yield
    finally:
        _current.reset(token)
