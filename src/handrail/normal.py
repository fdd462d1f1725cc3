"""What is normal for an agent, and what is outside of it: figures that can be explained. Pure.

Each watched thing is one small model, fitted to the agent's own writes; each says in words what
is normal now and from where on it flags. Two conditions must both be met before anything is:

- a method of its own says that it is far outside: a robust z, a Poisson-gamma rate, a p-chart;
- of the history itself at most one in 500 (`RARE`) was as far out. By exchangeability this
  alone bounds how often an agent is flagged that goes on as it did, whatever the distribution
  of its figures is (Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005).

What must not teach what is normal (what people rejected, took back or found wrong) is for the
caller to leave out.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean, median, variance
from typing import TYPE_CHECKING, Literal

from handrail.chance import beta_binomial_tail, poisson_gamma_tail, t_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RARE = 1 / 500
"""At most this share of the history may be as far out as what is flagged."""

UNLIKELY = 1e-4
"""Rates and shares are flagged when they are less likely than this."""

UNLIKELY_HOUR = 1e-3
"""Times of day are flagged when all that are as unusual are together less likely than this."""

UNLIKELY_TARGET = 1 / 400
"""A target is flagged when all that are as rare are together less likely than this."""

UNLIKELY_BOTH = 1e-3
"""The same of a target that was never seen, together with how high the number is."""

LAST = 50
"""Shares are looked at among so many, the latest."""

FLOOR = 0.1
"""The least spread of a number, on the log scale: a tenth of it. So a fee that was always the
same is not flagged for a cent, nor before it is about half as much again."""

FLOOR_OF_CONFIDENCE = 0.02
"""The least spread of a confidence."""

HOURS_AT_LEAST = 12
DAYS_AT_LEAST = 7
"""Of fewer hours, or days, in which it wrote at all, no rate is normal yet."""

_BINS = 96
_KERNEL = timedelta(minutes=45) / timedelta(days=1)
_PRIOR_OF_TIME = 0.5
_MAD = 1.4826
_MEAN_AD = 1.2533
_EFFICIENCY = 0.37
_TELLING = 50
_EVEN = 1 + 1e-9


@dataclass(frozen=True)
class Figure:
    """What is normal of one watched thing, in words.

    `of`: from how many writes (of rates: hours or days) it was learned. `usual`: what is normal.
    `flags`: what would be flagged; empty while it is not known yet.
    """

    what: str
    of: int
    usual: str
    flags: str = ""


# Numbers


@dataclass(frozen=True)
class Spread:
    """A number: its middle and its bounds. What is below `low` or above `high` is flagged."""

    what: str
    values: tuple[float, ...]
    centre: float
    low: float
    high: float
    z: float

    def flag(self, value: float) -> str | None:
        """Why a value is outside, in words; None if it is not."""
        if self.low <= value <= self.high:
            return None
        way, bound = ("above", self.high) if value > self.high else ("below", self.low)
        return (
            f"{self.what} {number(value)} is far {way} what is normal: the median of the last "
            f"{len(self.values)} is {number(self.centre)}, nine in ten were "
            f"{self._ninety()}, and {way} {number(bound)} is flagged"
        )

    def at_least(self, value: float) -> float:
        """How likely a value is that is as high: the share of those seen, this one counted."""
        above = len(self.values) - bisect_left(self.values, value)
        return (above + 1) / (len(self.values) + 1)

    def figure(self) -> Figure:
        """The same for people."""
        low = [f"below {number(self.low)}"] if math.isfinite(self.low) else []
        high = [f"above {number(self.high)}"] if math.isfinite(self.high) else []
        usual = f"median {number(self.centre)}, nine in ten are {self._ninety()}"
        return Figure(self.what, len(self.values), usual, " or ".join([*low, *high]))

    def _ninety(self) -> str:
        cut = len(self.values) // 20
        return f"{number(self.values[cut])} to {number(self.values[-1 - cut])}"


def amounts(what: str, values: Iterable[float], z: float) -> Spread:
    """Numbers such as amounts, both ways, on a log scale. `values` must not be empty.

    Amounts spread over magnitudes: 100 and 200 differ as 1,000 and 2,000 do, so that on the
    plain scale the upper tail of honest amounts is flagged all the time. The scale is
    sign(x) log(1 + |x| / u), with u a hundredth of the median of |x|: a logarithm for all that
    is not next to nothing, and defined for zero and credits too.

    The robust z of x is (x - median) / s, with s = 1.4826 MAD, or 1.2533 mean absolute
    deviation where most values are equal (Iglewicz & Hoaglin, How to Detect and Handle
    Outliers, 1993), never below `FLOOR`. From few writes MAD is uncertain: it is worth 37 % of
    a standard deviation (Rousseeuw & Croux 1993), so `z` grows to the t of 0.37 n degrees.
    """
    ordered = sorted(values)
    unit = (median(map(abs, filter(None, ordered))) if any(ordered) else 1.0) / 100
    scaled = [_log(x, unit) for x in ordered]
    centre, reach = median(scaled), _reach(scaled, z, FLOOR)
    low, high = _beyond(ordered)
    return Spread(
        what=what,
        values=tuple(ordered),
        centre=median(ordered),
        low=min(low, _exp(centre - reach, unit)),
        high=max(high, _exp(centre + reach, unit)),
        z=z,
    )


def confidences(values: Iterable[float], z: float) -> Spread:
    """How sure the agent is, 0..1, downwards only: by the robust z on the plain scale."""
    ordered = sorted(values)
    low = min(_beyond(ordered)[0], median(ordered) - _reach(ordered, z, FLOOR_OF_CONFIDENCE))
    return Spread("confidence", tuple(ordered), median(ordered), max(low, 0.0), math.inf, z)


def _reach(values: Sequence[float], z: float, floor: float) -> float:
    """How far from the median is still normal."""
    centre = median(values)
    away = [abs(value - centre) for value in values]
    spread = _MAD * median(away)
    spread = spread if spread >= floor else max(_MEAN_AD * fmean(away), floor)
    return t_for(z, max(_EFFICIENCY * len(values), 1)) * spread


def _beyond(ordered: Sequence[float]) -> tuple[float, float]:
    """The values that at most the share `RARE` is beyond, on either side."""
    cut = int(len(ordered) * RARE)
    return ordered[cut], ordered[-1 - cut]


def _log(value: float, unit: float) -> float:
    return math.copysign(math.log1p(abs(value) / unit), value)


def _exp(value: float, unit: float) -> float:
    # Beyond that no amount is, and the exponential is no number.
    return math.copysign(unit * math.expm1(min(abs(value), 700.0)), value)


# Rates


@dataclass(frozen=True)
class Pace:
    """How many writes in an hour, or a day. More than `most` are flagged; None: not known yet."""

    window: Literal["hour", "day"]
    counts: tuple[int, ...]
    mean: float
    most: int | None

    def flag(self, count: int) -> str | None:
        """Why so many in the last hour, or day, are too many, in words; None if they are not."""
        if self.most is None or count <= self.most:
            return None
        return (
            f"{count} writes in the last {self.window}: normal are {self.mean:.1f} in {self._a()} "
            f"in which it writes at all, at most {max(self.counts)} in the last "
            f"{len(self.counts)}, and more than {self.most} are flagged"
        )

    def figure(self) -> Figure:
        """The same for people."""
        what = f"rate per {self.window}"
        if self.most is None:
            usual = f"not known before it wrote in {self._least()} different {self.window}s"
            return Figure(what, len(self.counts), usual)
        usual = f"{self.mean:.1f} in {self._a()} in which it writes, at most {max(self.counts)}"
        return Figure(what, len(self.counts), usual, f"more than {self.most}")

    def _a(self) -> str:
        return "an hour" if self.window == "hour" else "a day"

    def _least(self) -> int:
        return HOURS_AT_LEAST if self.window == "hour" else DAYS_AT_LEAST


def pace(window: Literal["hour", "day"], counts: Iterable[int]) -> Pace:
    """The rate, from the writes of each hour (or day) that had any.

    The writes of such an hour beyond the first are Poisson, with a rate that itself varies by a
    Gamma distribution: its mean and shape by the moments of the counts, its shape also by how
    little has been seen. The posterior predictive is the negative binomial (Gelman et al.,
    Bayesian Data Analysis, 2.6).

    Note:
        Nights and weekends without writes are left out instead of modelled: a rate for each
        hour of the week has 168 cells with a handful of writes in each. Whether it writes at
        that time at all is what `hour` looks at.
    """
    seen = tuple(sorted(each for each in counts if each > 0))
    least = HOURS_AT_LEAST if window == "hour" else DAYS_AT_LEAST
    if len(seen) < least:
        return Pace(window, seen, fmean(seen) if seen else 0.0, None)
    total = sum(seen) - len(seen) + 0.5
    mean = total / len(seen)
    varies = max(0.0, (variance(seen) - mean) / mean**2)
    shape = 1 / (varies + 1 / total)
    most = max(seen[-1 - int(len(seen) * RARE)], _most_of(mean, shape) + 1)
    return Pace(window, seen, fmean(seen), most)


def _most_of(mean: float, shape: float) -> int:
    """The largest count that is not yet unlikely."""
    below, above = 0, 1
    while poisson_gamma_tail(above + 1, mean, shape) >= UNLIKELY:
        below, above = above, above * 2
    while above - below > 1:
        middle = (below + above) // 2
        unlikely = poisson_gamma_tail(middle + 1, mean, shape) < UNLIKELY
        below, above = (below, middle) if unlikely else (middle, above)
    return above


# Times of day


@dataclass(frozen=True)
class Clock:
    """When in the day it writes, UTC: for each quarter of an hour how unusual it is."""

    of: int
    chances: tuple[float, ...]

    def flag(self, at: datetime) -> str | None:
        """Why a time is unusual, in words; None if it is not."""
        chance = self.chances[_bin(at)]
        if chance >= UNLIKELY_HOUR:
            return None
        return (
            f"it is {at.astimezone(UTC):%H:%M} UTC, when it does not write: of its last "
            f"{self.of} writes those at times as unusual are {_percent(chance)}; usual is "
            f"{self._usual()}"
        )

    def figure(self) -> Figure:
        """The same for people."""
        rare = [chance < UNLIKELY_HOUR for chance in self.chances]
        flags = f"{_spans(rare)} UTC" if any(rare) else "no time of the day yet"
        return Figure("hour", self.of, self._usual(), flags)

    def _usual(self) -> str:
        return f"{_spans([chance >= 1 / 20 for chance in self.chances])} UTC"


def clock(times: Sequence[datetime]) -> Clock:
    """The times of day, smoothed around the clock.

    Quarters of an hour, smoothed by a normal kernel of 45 minutes that wraps around midnight,
    with half a write spread evenly over the day as the prior. How unusual a time is: the share
    of all times that are as unlikely or more so, the complement of its highest-density region
    (Hyndman 1996). A change to summer time is within the kernel.
    """
    counts = Counter(_bin(at) for at in times)
    kernel = _kernel()
    whole = len(times) + _PRIOR_OF_TIME
    density = [
        (sum(counts[(b - d) % _BINS] * k for d, k in kernel.items()) + _PRIOR_OF_TIME / _BINS)
        / whole
        for b in range(_BINS)
    ]
    chances = tuple(sum(f for f in density if f <= here * _EVEN) for here in density)
    return Clock(len(times), chances)


def _kernel() -> dict[int, float]:
    """The weights of the quarters around one, by their distance; they sum to 1."""
    half = _BINS // 2
    width = _KERNEL * _BINS
    weights = {d: math.exp(-((d / width) ** 2) / 2) for d in range(-half, half)}
    whole = sum(weights.values())
    return {d: weight / whole for d, weight in weights.items() if weight / whole > UNLIKELY / 100}


def _bin(at: datetime) -> int:
    here = at.astimezone(UTC)
    return (here.hour * 60 + here.minute) * _BINS // 1_440


def _spans(chosen: Sequence[bool]) -> str:
    """Quarters of an hour, as spans of the clock."""
    if all(chosen):
        return "the whole day"
    begins = [b for b in range(_BINS) if chosen[b] and not chosen[b - 1]]
    spans: list[str] = []
    for begin in begins:
        end = next(b for b in range(begin, begin + _BINS) if not chosen[b % _BINS])
        spans.append(f"{_moment(begin)} to {_moment(end % _BINS)}")
    return ", ".join(spans) or "none"


def _moment(quarter: int) -> str:
    return f"{quarter // 4:02}:{quarter % 4 * 15:02}"


# Targets


@dataclass(frozen=True)
class Targets:
    """Whom or what it writes to, how often each; and how likely one as rare is."""

    what: str
    seen: Mapping[str, int]
    of: int
    by_count: Mapping[int, int]

    def chance(self, target: str) -> float:
        """How likely a target is that was seen no more often than this one.

        With this write counted: the share of writes to targets that have at most as many. For
        one never seen this is Good and Turing's share of what is yet to come, (N1 + 1)/(n + 1),
        N1 being the targets seen once (Good 1953). So an agent whose every target is new is not
        flagged for a new one.
        """
        times = self.seen.get(target, 0)
        rarer = sum(n * k for n, k in self.by_count.items() if n <= times + 1)
        return min((rarer + 1) / (self.of + 1), 1.0)

    def flag(self, target: str, with_: Sequence[tuple[Spread, float]] = ()) -> str | None:
        """Why a target is unusual, in words; None if it is not. `with_`: the write's numbers."""
        chance, times = self.chance(target), self.seen.get(target, 0)
        seen = f"was seen {_times(times)} in the last {self.of} writes"
        if chance < UNLIKELY_TARGET:
            return f"{self.what} {_short(target)} {seen}: targets as rare are {_percent(chance)}"
        for spread, value in with_ if times == 0 else ():
            high = spread.at_least(value)
            if chance * high < UNLIKELY_BOTH:
                return (
                    f"{self.what} {_short(target)} {seen}, and {spread.what} {number(value)} is "
                    f"high at once: new targets are {_percent(chance)}, numbers so high "
                    f"{_percent(high)}"
                )
        return None

    def figure(self) -> Figure:
        """The same for people."""
        often = sorted(self.seen.items(), key=lambda each: (-each[1], each[0]))[:3]
        top = ", ".join(f"{_short(name)} ({count / self.of:.0%})" for name, count in often)
        fresh = self.chance("\0never")
        usual = f"{len(self.seen)} different, most often {top}; {_percent(fresh)} are new ones"
        rare = [count for count in range(3) if self._rare(count)]
        if rare:
            flags = f"seen {_times(max(rare))} or less" if max(rare) else "one never seen"
        elif fresh >= 1:
            flags = "none: every target is a new one"
        else:
            share = min(UNLIKELY_BOTH / fresh, 1.0)
            flags = f"one never seen with a number among the highest {_percent(share)}"
        return Figure(f"target: {self.what}", self.of, usual, flags)

    def _rare(self, times: int) -> bool:
        known = [name for name, count in self.seen.items() if count == times]
        return bool(times == 0 or known) and self.chance((known or ["\0never"])[0]) < (
            UNLIKELY_TARGET
        )


def targets(what: str, values: Iterable[str]) -> Targets:
    """Whom or what it writes to, from the targets of its writes."""
    seen = Counter(values)
    return Targets(what, seen, seen.total(), Counter(seen.values()))


# Shares


@dataclass(frozen=True)
class Share:
    """A share among the last so many, as a p-chart has it. More than `most` are flagged.

    `most` is None while it is not known yet.
    """

    what: str
    of: int
    yes: int
    window: int
    most: int | None

    def flag(self, count: int) -> str | None:
        """Why so many of the window are too many, in words; None if they are not."""
        if self.most is None or count <= self.most:
            return None
        return (
            f"{count} of the last {self.window} {self.what}: normal is {_percent(self.usual)}, "
            f"and more than {self.most} are flagged"
        )

    @property
    def usual(self) -> float:
        """The share that is normal, 0..1."""
        return self.yes / self.of if self.of else 0.0

    def figure(self, name: str) -> Figure:
        """The same for people."""
        if self.most is None:
            return Figure(name, self.of, f"not known before {2 * self.window} were seen")
        usual = f"{_percent(self.usual)} {self.what}"
        never = self.most >= self.window
        flags = "no share" if never else f"more than {self.most} of the last {self.window}"
        return Figure(name, self.of, usual, flags)


def share(what: str, past: Sequence[bool], window: int = LAST) -> Share:
    """A share, from the past in its order.

    The upper control limit of a p-chart (Shewhart; Montgomery, Introduction to Statistical
    Quality Control, 7.2), exact instead of by three sigmas: the count of the window is
    beta-binomial, given the past and Jeffreys' prior. What comes in runs varies more than that,
    so that no window of the past may have had more either, but for `RARE` of them.
    """
    of, yes = len(past), sum(past)
    if of < 2 * window:
        return Share(what, of, yes, window, None)
    prior = (yes + 0.5, of - yes + 0.5)
    likely = (x for x in range(window + 1) if beta_binomial_tail(x + 1, window, *prior) < UNLIKELY)
    windows = sorted(_moving(past, window))
    beyond = windows[-1 - int(len(windows) * RARE)]
    return Share(what, of, yes, window, max(next(likely, window), beyond))


def _moving(past: Sequence[bool], window: int) -> list[int]:
    """How many there were in each window of the past."""
    count = sum(past[:window])
    counts = [count]
    for before, after in zip(past, past[window:], strict=False):
        count += after - before
        counts.append(count)
    return counts


# Words


def number(value: float) -> str:
    """A number, as short as it says enough."""
    if value == int(value) and abs(value) < 1e15:  # noqa: PLR2004  # whole numbers are exact up to there
        return f"{int(value)}"
    digits = 2 if abs(value) >= 1 else 4
    return f"{value:.{digits}f}" if 1e-3 <= abs(value) < 1e15 else f"{value:.3g}"  # noqa: PLR2004  # the same


def _percent(share_: float) -> str:
    percent = share_ * 100
    return f"{percent:.0f} %" if percent >= _TELLING / 5 else f"{percent:.2g} %"


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _short(text: str) -> str:
    shown = ascii(text) if not text.isprintable() else repr(text)
    return shown if len(shown) <= _TELLING else f"{shown[:_TELLING]}..."
