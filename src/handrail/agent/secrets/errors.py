"""Errors that hold a secret, said again without it, and as retryable as they were."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from types import WrapperDescriptorType
from typing import cast

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError
from temporalio.exceptions import ApplicationError

from handrail.exceptions import Final, NotDone, StepError

_WORTH = (asyncio.CancelledError, Final, NotDone, TypeError, AttributeError, NameError)
"""What is treated in its own way where steps are run."""

Scrub = Callable[[str], str]
"""Masks secrets in a text."""


def error_without_secrets(error: BaseException, scrub: Scrub) -> BaseException:
    """The same error if nothing in it, or in what it came from, is a secret; else a like one.

    What it came from is left out of the new one.
    """
    if not any(scrub(text) != text for each in _line(error, set()) for text in _texts(each)):
        return error
    return _again(error, scrub(_said(error))).with_traceback(error.__traceback__)


def _line(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """An error with all that it came from or is made of."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    yield from _line(error.__cause__, seen)
    yield from _line(error.__context__, seen)
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for part in group.exceptions:
            yield from _line(part, seen)


def _texts(error: BaseException) -> Iterator[str]:
    yield _said(error)
    yield from map(_shown, error.args)
    yield from getattr(error, "__notes__", ())
    if isinstance(error, ApplicationError):
        yield from map(_shown, error.details)


def _said(error: BaseException) -> str:
    try:
        return error.message if isinstance(error, ApplicationError) else str(error)
    # Anybody's error may fail to say what it is; it is masked all the same.
    except Exception:  # noqa: BLE001
        return type(error).__name__


def _shown(value: object) -> str:
    try:
        return value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001  # the same
        return type(value).__name__


def _again(error: BaseException, text: str) -> BaseException:
    """An error of the same kind, as far as it matters to who catches it."""
    kind = type(error)
    if isinstance(error, ApplicationError):
        return ApplicationError(
            text,
            type=error.type,
            non_retryable=error.non_retryable,
            next_retry_delay=error.next_retry_delay,
        )
    if isinstance(error, (ValidationError, PydanticSerializationError)):
        return StepError(f"{kind.__name__}: {text}")
    # Only where no code of its own runs: it could put the secret back.
    if isinstance(kind.__init__, WrapperDescriptorType):
        with contextlib.suppress(TypeError):
            return kind(text)
    known = next((k for k in _WORTH if isinstance(error, k)), None)
    return RuntimeError(f"{kind.__name__}: {text}") if known is None else known(text)
