"""Reading what people and programs send to a case. Whatever it is, it is said what is wrong."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, cast

from pydantic import JsonValue, ValidationError

from handrail.actions import Wire
from handrail.exceptions import HandrailError
from handrail.text import exact_number, first_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.common.v1 import Payload

LIFTED_SIGNAL = "lifted"
"""The signal to ask again: a stop is over that a case waits for, or a receipt came late. It carries
nothing, and nobody need prove it: the door is asked in any case."""

EVENT_SIGNAL = "another_event"
"""The signal that another event came under the key of a case. It carries the event."""

HANDED_SIGNAL = "handed"
"""The signal that work was handed to a case that was there already. It carries where it comes
from (`HandOffOrigin`), which only adds to those who may not approve."""

CALL_BACK_SIGNAL = "called_back"
"""The signal that another system answers a write. It carries the key of its effect, and a body."""

MAX_RULING = 64 * 1024
"""Bytes of the largest ruling that is looked at."""


class BadSignal(HandrailError):
    """What a human or a program sent cannot be read."""


class CalledBack(Wire):
    """What another system answered to a write, later."""

    key: str
    body: JsonValue = None


class ControlRequest(Wire):
    """Who asks for a pause, a stop or a roll-back, and why. Both may be left out."""

    by: str = ""
    why: str = ""

    def words(self, what: str) -> str:
        """In words, marked as unproven."""
        who = f" by {self.by} (unproven)" if self.by else ""
        return f"{what}{who}{f': {self.why}' if self.why else ''}"


def read_signal(payloads: Sequence[Payload]) -> dict[str, Any]:
    """Read one JSON object from what came with a signal or update.

    Raises:
        BadSignal: if it is anything else, with what to send instead.
    """
    if len(payloads) != 1:
        raise BadSignal(f"send one JSON object, not {'several' if payloads else 'nothing'}")
    payload = payloads[0]
    encoding = payload.metadata.get("encoding", b"").decode("ascii", "replace")
    if encoding != "json/plain":
        raise BadSignal(f"send JSON, not the encoding {encoding[:40]!r}")
    if len(payload.data) > MAX_RULING:
        raise BadSignal(f"it has {len(payload.data)} bytes; {MAX_RULING} are the most")
    try:
        value = strict_json(payload.data)
    except (ValueError, RecursionError):
        raise BadSignal("it is not JSON") from None
    if not isinstance(value, dict):
        raise BadSignal("send one JSON object with the fields of a ruling")
    return cast("dict[str, Any]", value)


def strict_json(data: bytes) -> Any:
    """Read JSON that can be written again: digests, proofs and views are made of it.

    Raises:
        ValueError: if it is none, a name stands in it twice, a number is without value or
            end, or a text holds half a character.
    """
    value = json.loads(
        data.decode(), object_pairs_hook=_each_once, parse_float=_finite, parse_constant=_finite
    )
    if b"\\u" in data:
        # Only an escape can bring half a character: as bytes it is no UTF-8.
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _finite(text: str) -> float | str:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text} is no number")
    return exact_number(text)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands in it twice")
    return dict(pairs)


def control_request(payloads: Sequence[Payload]) -> ControlRequest:
    """Who asks, and why, from a control signal. An empty one is fine.

    Raises:
        BadSignal: if it is neither empty nor such an object.
    """
    if not payloads:
        return ControlRequest()
    null = payloads[0].metadata.get("encoding") == b"binary/null"
    if len(payloads) == 1 and (null or payloads[0].data in {b"", b"null", b'""'}):
        return ControlRequest()
    try:
        return ControlRequest.model_validate(read_signal(payloads))
    except ValidationError as error:
        raise BadSignal(first_fault(error)) from error
