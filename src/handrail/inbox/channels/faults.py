"""Why a message did not go out, in the two ways that matter.

HandrailError
├── Undeliverable    it cannot go out this way: at once the next channel
└── NotNow           it may go out later: try again
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.exceptions import HandrailError

if TYPE_CHECKING:
    from datetime import timedelta


class Undeliverable(HandrailError):
    """A message cannot be delivered by this channel, and trying again is no use."""


class NotNow(HandrailError):
    """A message could not be delivered now. `after`: how long the other side wants to be left."""

    def __init__(self, why: str, after: timedelta | None = None) -> None:
        """Say why, and if the other side said so, when to come back."""
        self.after = after
        super().__init__(why)
