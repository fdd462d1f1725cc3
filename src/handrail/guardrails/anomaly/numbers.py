"""What is normal for an agent, and what is outside of it: figures that can be explained. Pure.

Each watched thing is one small model, fitted to the agent's own writes; each says in words what
is normal now and from where on it flags. Two conditions must both be met before anything is:

- a method of its own says that it is far outside: a robust z, a Poisson-gamma rate, a p-chart;
- of the history itself at most one in 1,000 (`RARE`) was as far out. By exchangeability this
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

from handrail.text import escape_hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


RARE = 1 / 1_000
"""At most this share of the history may be as far out as what is flagged."""

UNLIKELY_RATE = 1e-5
"""Rates are flagged when they are less likely: a day that is flagged is so with all its writes."""

UNLIKELY_HOUR = 1e-3
"""Times of day are flagged when all that are as unusual are together less likely than this."""

FLOOR = 0.1
"""The least spread of a number, on the log scale: about a tenth of it.

So a fee that was always the same is not flagged for a cent, nor before it is half as much again.
"""

FLOOR_OF_CONFIDENCE = 0.02
"""The least spread of a confidence."""

HOURS_AT_LEAST = 24
DAYS_AT_LEAST = 14
"""Of fewer hours, or days, in which it wrote at all, no rate is normal yet."""

_BINS = 96
_QUARTER = 900
_KERNEL = timedelta(hours=1) / timedelta(days=1)
_KERNEL_OF = 2_000
_PRIOR_OF_TIME = 0.5
_MAD = 1.4826
_MEAN_AD = 1.2533
_EFFICIENCY = 0.37
_EVEN = 1 + 1e-9
_NOTHING = 1e-6
_EXACT = 1e15
_SHORT = 1e-3


# Numbers


@dataclass(frozen=True)
class Spread:
    """A number: its middle and its bounds. What is below `low` or above `high` is flagged."""

    what: str
    values: tuple[float, ...]
    centre: float
    low: float
    high: float

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

    def edge(self, value: float) -> str | None:
        """That a value is further out than nine in ten, on a side that is watched, in words."""
        cut = len(self.values) // 20
        least, most = self.values[cut], self.values[-1 - cut]
        if math.isfinite(self.high) and value > most:
            return f"{self.what} {number(value)} is higher than 19 in 20 were ({number(most)})"
        if math.isfinite(self.low) and value < least:
            return f"{self.what} {number(value)} is lower than 19 in 20 were ({number(least)})"
        return None

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
    """Numbers such as amounts, upwards on a log scale. `values` must not be empty.

    Amounts spread over magnitudes: 100 and 200 differ as 1,000 and 2,000 do, so that on the
    plain scale the upper tail of honest amounts is flagged all the time. The scale is
    sign(x) log(1 + |x| / u), with u a hundredth of the median of |x|: a logarithm for all that
    is not next to nothing, and defined for zero and credits too. Downwards it is the plain
    scale: there a factor does no harm, and honest small amounts are many factors apart; but what
    was never negative is flagged below zero.

    The robust z of x is (x - median) / s, with s = 1.4826 MAD, or 1.2533 mean absolute
    deviation where most values are equal (Iglewicz & Hoaglin, How to Detect and Handle
    Outliers, 1993), never below `FLOOR`. From few writes MAD is uncertain: it is worth 37 % of
    a standard deviation (Rousseeuw & Croux 1993), so `z` grows to the t of 0.37 n degrees.
    """
    ordered = sorted(values)
    unit = (median(map(abs, filter(None, ordered))) if any(ordered) else 1.0) / 100
    low = -_out([-x for x in ordered], z, FLOOR * unit * 100)
    high = _out([_log(x, unit) for x in ordered], z, FLOOR)
    return Spread(
        what=what,
        values=tuple(ordered),
        centre=median(ordered),
        low=max(low, 0.0) if ordered[0] >= 0 else low,
        high=_exp(high, unit),
    )


def confidences(values: Iterable[float], z: float) -> Spread:
    """How sure the agent is, 0..1, downwards only: by the robust z on the plain scale."""
    ordered = sorted(values)
    low = -_out([-x for x in ordered], z, FLOOR_OF_CONFIDENCE)
    return Spread("confidence", tuple(ordered), median(ordered), max(low, 0.0), math.inf)


def _out(values: Sequence[float], z: float, floor: float) -> float:
    """From where on, upwards, a value is far out.

    Beyond `z` spreads from the median, and a spread beyond all but `RARE` of the values: of
    figures with a heavy tail the next record is otherwise a matter of time.
    """
    centre = median(values)
    away = [abs(value - centre) for value in values]
    spread = _MAD * median(away)
    spread = spread if spread >= floor else max(_MEAN_AD * fmean(away), floor)
    reach = t_for(z, max(_EFFICIENCY * len(values), 1)) * spread
    beyond = sorted(values)[-1 - int(len(values) * RARE)]
    return max(centre + reach, beyond + spread)


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
    Gamma distribution: its mean and shape by the moments of the counts (the variance two standard
    errors up, because few hours underrate it), its shape also by how little has been seen. The
    posterior predictive is the negative binomial (Gelman et al., Bayesian Data Analysis, 2.6).

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
    spread = variance(seen) * (1 + 2 * math.sqrt(2 / (len(seen) - 1)))
    varies = max(0.0, (spread - mean) / mean**2)
    shape = 1 / (varies + 1 / total)
    most = max(seen[-1 - int(len(seen) * RARE)], _most_of(mean, shape) + 1)
    return Pace(window, seen, fmean(seen), most)


def _most_of(mean: float, shape: float) -> int:
    """The largest count that is not yet unlikely."""
    below, above = 0, 1
    while poisson_gamma_tail(above + 1, mean, shape) >= UNLIKELY_RATE:
        below, above = above, above * 2
    while above - below > 1:
        middle = (below + above) // 2
        unlikely = poisson_gamma_tail(middle + 1, mean, shape) < UNLIKELY_RATE
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
            f"it is {at.astimezone(UTC):%H:%M} UTC, when it does not write: by the last {self.of} "
            f"quarters of an hour in which it did, times as unusual are {percent(chance)}; "
            f"usual is {self._usual()}"
        )

    def figure(self) -> Figure:
        """The same for people."""
        rare = [chance < UNLIKELY_HOUR for chance in self.chances]
        if min(self.chances) >= 1:
            return Figure("hour", self.of, "not known yet")
        flags = _spans(rare) if any(rare) else "no time of the day yet"
        return Figure("hour", self.of, self._usual(), flags)

    def _usual(self) -> str:
        return _spans([chance >= 1 / 20 for chance in self.chances])


def clock(times: Iterable[datetime], least: int = 1) -> Clock:
    """The times of day, smoothed around the clock. Of fewer than `least` none is unusual.

    A quarter of an hour in which it wrote counts once, so that a batch is not taken for a habit.
    Quarters of an hour, smoothed by a normal kernel that wraps around midnight, an hour wide for
    2,000 writes and wider for fewer, by n^(-1/5) (Silverman 1986, 3.4), with half a write
    spread evenly over the day as the prior. How unusual a time is: the share
    of all times that are as unlikely or more so, the complement of its highest-density region
    (Hyndman 1996). A change to summer time is within the kernel.
    """
    quarters = {int(at.timestamp()) // _QUARTER for at in times}
    if len(quarters) < least:
        return Clock(len(quarters), (1.0,) * _BINS)
    counts = Counter(quarter % _BINS for quarter in quarters)
    kernel = _kernel(len(quarters))
    whole = len(quarters) + _PRIOR_OF_TIME
    density = [
        (sum(counts[(b - d) % _BINS] * k for d, k in kernel.items()) + _PRIOR_OF_TIME / _BINS)
        / whole
        for b in range(_BINS)
    ]
    chances = tuple(sum(f for f in density if f <= here * _EVEN) for here in density)
    return Clock(len(quarters), chances)


def _kernel(of: int) -> dict[int, float]:
    """The weights of the quarters around one, by their distance; they sum to 1."""
    half = _BINS // 2
    width = _KERNEL * _BINS * (_KERNEL_OF / max(of, 1)) ** 0.2
    weights = {d: math.exp(-((d / width) ** 2) / 2) for d in range(-half, half)}
    all_of_it = sum(weights.values())
    near = {d: weight for d, weight in weights.items() if weight > _NOTHING * all_of_it}
    # What is cut off far away is made up for here: a share of the day would be missing.
    whole = sum(near.values())
    return {d: weight / whole for d, weight in near.items()}


def _bin(at: datetime) -> int:
    return int(at.timestamp()) // _QUARTER % _BINS


def _spans(chosen: Sequence[bool]) -> str:
    """Quarters of an hour, as spans of the clock."""
    if all(chosen):
        return "the whole day"
    begins = [b for b in range(_BINS) if chosen[b] and not chosen[b - 1]]
    spans: list[str] = []
    for begin in begins:
        end = next(b for b in range(begin, begin + _BINS) if not chosen[b % _BINS])
        spans.append(f"{_moment(begin)} to {_moment(end % _BINS)}")
    return f"{', '.join(spans)} UTC" if spans else "none"


def _moment(quarter: int) -> str:
    return f"{quarter // 4:02}:{quarter % 4 * 15:02}"


# In words


_WHOLE = 10
"""Shares of so many percent and more are said without a fraction."""

_TELLING = 50
"""Characters of somebody else's text that are shown."""


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


def number(value: float) -> str:
    """A number, as short as it says enough."""
    if value == int(value) and abs(value) < _EXACT:
        return f"{int(value)}"
    digits = 2 if abs(value) >= 1 else 4
    return f"{value:.{digits}f}" if _SHORT <= abs(value) < _EXACT else f"{value:.3g}"


def percent(share: float) -> str:
    """A share, 0..1, in percent."""
    said = share * 100
    return f"{said:.0f} %" if said >= _WHOLE else f"{said:.2g} %"


def how_often(count: int) -> str:
    """How often."""
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def short(text: str) -> str:
    """Somebody else's text in quotes, with nothing hidden in it."""
    shown = escape_hidden(repr(text))
    return shown if len(shown) <= _TELLING else f"{shown[:_TELLING]}..."


# Probabilities that a person can follow, by hand: two tails, and a correction


_TINY = 1e-300
_CLOSE = 1e-14
_ROUNDS = 10_000


def beta_binomial_tail(count: int, of: int, yes: float, no: float) -> float:
    """P(X >= count) of `of` draws whose share is known only as Beta(yes, no).

    The posterior predictive of a share seen `yes` times and not seen `no` times, prior
    included: the sum of C(of, x) B(x + yes, of - x + no) / B(yes, no) over x >= count.
    """
    whole = _log_beta(yes, no)
    terms = (
        math.exp(_log_choose(of, x) + _log_beta(x + yes, of - x + no) - whole)
        for x in range(max(count, 0), of + 1)
    )
    return min(math.fsum(terms), 1.0)


def poisson_gamma_tail(count: int, mean: float, shape: float) -> float:
    """P(X >= count) of a Poisson whose rate is Gamma distributed with that mean and shape.

    This is the negative binomial: its tail is I_q(count, shape) with q = mean / (mean + shape)
    (DLMF 8.17.24 gives the sum). The smaller the shape the more the rate itself varies.
    """
    if count <= 0:
        return 1.0
    return beta_share(count, shape, mean / (mean + shape)) if mean > 0 else 0.0


def t_for(z: float, freedom: float) -> float:
    """The quantile of Student's t that has the tail that `z` has of a normal.

    The Cornish-Fisher expansion to the second order, Abramowitz & Stegun 26.7.5. It is above
    `z` for few degrees of `freedom`, and comes down to it for many.
    """
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2


def beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), 0..1.

    By its continued fraction (DLMF 8.17.22), evaluated from the front by Lentz's method, on
    the side where it converges fast.
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _ROUNDS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
