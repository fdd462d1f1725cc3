"""What every trigger has that takes events from outside, and what comes in by it, raw."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from handrail.actions import Event
from handrail.runtime import Trigger
from handrail.text import exact_json

_UNKEPT = re.compile(
    r"signature|hmac|auth(?!ors?\b)|cookie|session|token|secret|passw|credential|assertion|jwt"
    r"|(api|access|webhook)[-_]?key",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class RawEvent:
    """What came in: its bytes, and its headers by their names in lower case."""

    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        """The body, as JSON; a number that no float keeps is its text, digit by digit.

        Raises:
            ValueError: if it is none.
        """
        return exact_json(self.body)

    def kept_headers(self) -> dict[str, str]:
        """The headers that a mapping may need later; nothing that lets anybody in."""
        return {k: v for k, v in self.headers.items() if not _UNKEPT.search(k)}


EventMapping: TypeAlias = Callable[[RawEvent], Event | None]
"""The author's code that makes an event of what came in; None: it is not for us."""


class EventSource(Trigger, ABC):
    """A trigger that takes events from outside. `source`: how the intake names its kind."""

    source: ClassVar[str]

    @property
    @abstractmethod
    def mapping(self) -> EventMapping | None:
        """What makes an event of what came in; None where that is the event's own JSON."""
