"""The effect that the running step is making, for the step itself to ask, and what it returned."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from handrail.actions import Effect
from handrail.exceptions import HandrailError
from handrail.text import first_line
from handrail.wire import fit

if TYPE_CHECKING:
    from pydantic import JsonValue

    from handrail.agent import StepSecrets, Write

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


class UnfitAnswer(HandrailError):
    """What a `find` answered is no result of its write: whether that happened is not known."""


def as_found(step: Write[Any, Any], found: Any) -> Any:
    """What a write's `find` found: a result of the write.

    No answer of another type is one: an empty list or False would be a write that is never made.

    Raises:
        UnfitAnswer: if it is not; ask again.
    """
    if found is True and step.returns in (None, type(None)):
        return None
    with contextlib.suppress(ValueError, RecursionError):
        step.adapter.validate_python(fit(found), strict=True if isinstance(found, bool) else None)
        return found
    raise UnfitAnswer(
        f"the find of {step.name} answered {type(found).__name__}, which is not "
        f"{step.returns}: whether {step.name} happened is not known, and nothing was done; fix: "
        f"return what {step.name} returns (True where that is nothing), or None if it is not there"
    )


def result_as_json(
    step: Write[Any, Any], result: Any, held: StepSecrets
) -> tuple[JsonValue, str | None]:
    """What a write returned, for its receipt, without secrets; and what is wrong with it."""
    try:
        value = to_jsonable_python(result := fit(result), by_alias=False)
        step.adapter.validate_python(result)
        step.adapter.validate_json(to_json(value), by_alias=True, by_name=True)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        first = first_line(held.scrub(str(error)))
        return None, f"it returned {type(result).__name__}, not {step.returns}: {first}"
    return held.masked(value)
