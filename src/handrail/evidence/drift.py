"""Drift: whether values are distributed as they were, by the population stability index. Pure.

The index is the sum over bins of (now - then) * ln(now / then), on the shares of both. Numbers
are binned by the tenths of what was there then; anything else by its value. The usual rule (over
0.2 has moved) says nothing of how many were seen: with few, chance alone passes it. Without drift
the index times n * m / (n + m) is nearly chi-squared distributed, with one degree of freedom less
than there are bins (Yurdakul 2018); it has drifted where it passes both.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf, isfinite, log, nextafter
from statistics import NormalDist, quantiles
from typing import Any, TypeAlias

MOVED = 0.2
"""An index over this is taken for a change by whoever uses it."""

LEAST = 50
"""Of fewer, then or now, no index is given."""

ERROR = 0.001
"""How often one look at values that have not drifted says that they have, at most (nearly)."""

_BINS = 10
_MANY = 20
"""So many values have a bin each; whole numbers of no more kinds are taken for values."""
_Counts: TypeAlias = Sequence[tuple[Any, int]]
_NONE, _RARE, _NEVER = "(none)", "(rare)", "(never before)"


@dataclass(frozen=True)
class Drift:
    """How far `n` values have moved from `reference` others.

    `index`: None where there are too few: `needed` more of now, or where `needed` is 0 of then.
    `chance`: what the index reaches without drift, once in 1 / error looks. `new`: values that
    were never there then, and how many of now have them; of numbers, those below the least or
    above the greatest.
    """

    n: int
    reference: int
    index: float | None
    chance: float | None
    drifted: bool
    needed: int
    new: dict[str, int] = field(default_factory=dict[str, int])


def population_stability(
    reference: Sequence[Any], current: Sequence[Any], *, error: float = ERROR, least: int = LEAST
) -> Drift:
    """How far the values of now have moved from those of then (JSON values; None is a value).

    Note: `error` is of one look; whoever looks k times has k times that chance of a false alarm.
    """
    then, now = ([(each, 1) for each in side] for side in (reference, current))
    return _stability(then, now, error=error, least=least)


def stability_of_counts(reference: Mapping[str, int], current: Mapping[str, int]) -> Drift:
    """How far values have moved of which there are so many each, whatever they read as."""
    return _stability([*reference.items()], [*current.items()])


def drift_of(reference: Mapping[str, int], current: Mapping[str, int]) -> Drift:
    """How far counted values have moved; they are numbers where every one reads as one."""
    names = [*reference, *current]
    values: dict[str, Any] = {each: each for each in names}
    with contextlib.suppress(ValueError):
        values = {each: float(each) for each in names if each != str(None)}
    then, now = ([(values.get(v), k) for v, k in side.items()] for side in (reference, current))
    return _stability(then, now)


def _stability(
    reference: _Counts, current: _Counts, *, error: float = ERROR, least: int = LEAST
) -> Drift:
    n, m = (sum(k for _, k in side) for side in (current, reference))
    bins = _Bins(reference)
    news = ((bins.new(each), k) for each, k in current)
    new = dict(_summed((name, k) for name, k in news if name is not None))
    if n < least or m < least:
        return Drift(n, m, None, None, drifted=False, needed=max(least - n, 0), new=new)
    then, now = (_summed((bins.of(each), k) for each, k in side) for side in (reference, current))
    names = then.keys() | now.keys()
    index = sum(_moved(then[name], m, now[name], n, len(names)) for name in names)
    chance = _chi_squared(len(names) - 1, error) * (1 / n + 1 / m)
    return Drift(n, m, index, chance, drifted=index > max(MOVED, chance), needed=0, new=new)


def _summed(counts: Iterable[tuple[str, int]]) -> Counter[str]:
    found = Counter[str]()
    for name, number in counts:
        found[name] += number
    return found


class _Bins:
    """The bins of then: by tenths of the numbers, where they are many, or by value."""

    def __init__(self, reference: _Counts) -> None:
        counts = [(float(each), k) for each, k in reference if _is_number(each)]
        numbers = [each for each, k in counts for _ in range(k)]
        self.cuts: list[float] = []
        self.ends = (min(numbers), max(numbers)) if numbers else (0.0, 0.0)
        if len(set(numbers)) > _MANY:
            self.cuts = sorted(set(quantiles(numbers, n=_BINS)))
        elif len(numbers) > 1 and any(each % 1 for each in numbers):
            # An amount beside those that were there has not moved far; one beyond them has.
            ordered = sorted(numbers)
            tenths = (ordered[len(ordered) * each // _BINS] for each in range(_BINS))
            self.cuts = sorted({*tenths, nextafter(ordered[-1], inf)})
        named = ((each, k) for each, k in reference if not (self.cuts and _is_number(each)))
        counted = _summed((_named(each), k) for each, k in named)
        self.known = frozenset(counted)
        # Were each name or address a bin of its own, nothing would ever be as before.
        self.own = frozenset(name for name, _ in counted.most_common(_MANY))

    def of(self, value: Any) -> str:
        if self.cuts and _is_number(value):
            return f"{bisect_right(self.cuts, float(value)):03}"
        name = _named(value)
        if name in self.own:
            return name
        return _RARE if name in self.known else _NEVER

    def new(self, value: Any) -> str | None:
        """How a value is named that was never there; None where it was."""
        if self.cuts and _is_number(value):
            low, high = self.ends
            if low <= float(value) <= high:
                return None
            return f"< {low:g}" if value < low else f"> {high:g}"
        name = _named(value)
        return None if name in self.known else name


def _is_number(value: Any) -> bool:
    whole = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return whole and isfinite(value)


def _named(value: Any) -> str:
    return _NONE if value is None else str(value)


def _moved(then: int, m: int, now: int, n: int, bins: int) -> float:
    # Half a case is added to each: a bin that is empty on one side would make it endless.
    before, after = (then + 0.5) / (m + 0.5 * bins), (now + 0.5) / (n + 0.5 * bins)
    return (after - before) * log(after / before)


def _chi_squared(freedom: int, error: float) -> float:
    """What a chi-squared variable passes with the chance `error` (Wilson and Hilferty 1931)."""
    if not freedom:
        return 0.0
    part = 2 / (9 * freedom)
    return freedom * (1 - part + NormalDist().inv_cdf(1 - error) * part**0.5) ** 3
