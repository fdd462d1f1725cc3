"""From measured figures to ratios and verdicts. Nothing here measures anything."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from typing_extensions import override

T = TypeVar("T")


@dataclass(frozen=True)
class Ratio:
    """A ratio of two contenders: the median over paired rounds, and the extremes."""

    median: float
    lowest: float
    highest: float

    @override
    def __str__(self) -> str:
        """As it stands in a table."""
        return f"{self.median:.2f} ({self.lowest:.2f} to {self.highest:.2f})"


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """The ratio of each round's two figures.

    Raises:
        ValueError: if there is no round, or they are not pairs.
    """
    if not ours:
        raise ValueError("no rounds were measured")
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that is at least as large as `percent` of them (nearest rank).

    Raises:
        ValueError: if there are no values.
    """
    if not values:
        raise ValueError("no values were measured")
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(rank, 1) - 1]


def in_turn(contenders: Sequence[T], round_number: int) -> list[T]:
    """The order of a round: each contender comes first, second, ... equally often."""
    start = round_number % len(contenders)
    return [*contenders[start:], *contenders[:start]]


Verdict = Literal["met", "missed"]


@dataclass(frozen=True)
class Goal:
    """A goal of the project: `value` must be at most `limit`."""

    name: str
    limit: float
    value: float
    shown: str

    @property
    def verdict(self) -> Verdict:
        """Whether it is met."""
        return "met" if self.value <= self.limit else "missed"
