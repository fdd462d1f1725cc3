"""What the server has of hand-offs: in the memo of a case, and of an activity that waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import ValidationError

from handrail.wire import HandOffOrigin

if TYPE_CHECKING:
    from temporalio.client import WorkflowExecution

GOES_ON: Final = "GoesOn"
"""The type of the error by which that activity is tried again: no fault, the case has not ended."""

HANDED_FROM: Final = "handed_from"
"""The memo of a case that was handed on: its `HandOffOrigin`."""

HANDED_TO: Final = "handed_to"
"""The memo of a case that handed work on: the ids of the cases."""


def origin_in(memo: Any) -> HandOffOrigin:
    """Where a case comes from, by its memo. What is none there adds nothing."""
    try:
        return HandOffOrigin() if memo is None else HandOffOrigin.model_validate(memo)
    except ValidationError:
        return HandOffOrigin()


async def handed_from(found: WorkflowExecution) -> HandOffOrigin:
    """Where a case comes from, as the server has it."""
    return origin_in(await _in_memo(found, HANDED_FROM))


async def handed_to(found: WorkflowExecution) -> tuple[str, ...]:
    """The cases that a case handed work to, as the server has it."""
    said = await _in_memo(found, HANDED_TO)
    ids = cast("list[Any]", said) if isinstance(said, list) else []
    return tuple(each for each in ids if isinstance(each, str))


async def _in_memo(found: WorkflowExecution, name: str) -> Any:
    try:
        return await found.memo_value(name, None)
    # Whoever starts workflows may have put anything there: that adds nothing.
    except Exception:  # noqa: BLE001
        return None
