"""Failures as Temporal keeps them: short enough to be shown.

Of a pending activity whose failure is over 4 KB the server shows "Failure exceeds size
limit." in place of the reason, and a chain of three exceptions with their traces is over
it at once. The traces are cut then, from the innermost frame's end; the log has them whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.converter import DefaultFailureConverter
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

    from temporalio.api.failure.v1 import Failure
    from temporalio.converter import PayloadConverter

LARGEST = 3_500
"""Bytes of messages and traces of one failure with all its causes."""

_TRACE = 400
_MESSAGE = 1_500


class ShortFailures(DefaultFailureConverter):
    """Temporal's own converter, with traces and messages cut where they are too long."""

    @override
    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Convert an exception, and shorten what came of it."""
        super().to_failure(exception, payload_converter, failure)
        for length in (_TRACE, 0):
            if _size(failure) <= LARGEST:
                return
            for part in _chain(failure):
                part.stack_trace = _end(part.stack_trace, length)
        for depth, part in enumerate(_chain(failure)):
            part.message = part.message[: _MESSAGE if depth < 2 else 100]  # noqa: PLR2004
        _cut_chain(failure)


def _chain(failure: Failure) -> Iterator[Failure]:
    part = failure
    yield part
    while part.HasField("cause"):
        part = part.cause
        yield part


def _size(failure: Failure) -> int:
    """Without the details, which are the outcome of a case and no words."""
    return sum(len(p.message.encode()) + len(p.stack_trace.encode()) for p in _chain(failure))


def _end(text: str, length: int) -> str:
    return text if len(text) <= length else text[len(text) - length :]


def _cut_chain(failure: Failure) -> None:
    """Leave out the deepest causes, of which there may be any number."""
    left = LARGEST
    for part in _chain(failure):
        left -= len(part.message.encode())
        if part.HasField("cause") and left - len(part.cause.message.encode()) < 0:
            part.ClearField("cause")
            return
