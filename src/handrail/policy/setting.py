"""How much an agent does of one write by itself: set in its policy, or at run time."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from handrail.actions import WHOLE, Level
from handrail.text import percent


@dataclass(frozen=True)
class Setting:
    """How much an agent does of one write by itself; `label` says who set it, in words.

    `rollout`: of how many cases in 10,000 with full autonomy; the others are held.
    """

    level: Level
    rollout: int = WHOLE
    label: str = ""

    @override
    def __str__(self) -> str:
        if self.level is not Level.FULL or self.rollout == WHOLE:
            return self.level.value
        return f"{self.level.value} {percent(self.rollout)}"
