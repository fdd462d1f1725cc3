"""The situation that a write is judged by, kept for a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from handrail.exceptions import HandrailError
from handrail.ledger import Situation
from handrail.policy import Policy

LATELY = timedelta(milliseconds=500)
"""How old what is known of stops, levels and the policy may be where nothing is written, or where
the transaction of an intent confirms it."""


class StalePolicy(HandrailError):
    """Another policy is in force than the file of this worker: it writes nothing until it is."""

    def __init__(self, policy: Policy, in_force: str) -> None:
        """Say which one this worker has, and which is `in_force`."""
        super().__init__(
            f"this worker has the policy {policy.label}, and {in_force} is in force: give it that "
            "file, or a later one with a higher version; another worker may go on meanwhile"
        )


@dataclass
class SituationCache:
    """What this worker said and saw last: the policy that it loaded, and a situation, when."""

    loaded: str = ""
    at: float = 0.0
    situation: Situation | None = None
