"""What is normal of what is chosen: whom it writes to, and how often it does which. Pure.

See `handrail.guardrails.anomaly.numbers`, whose two conditions hold here too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from handrail.guardrails.anomaly.numbers import (
    RARE,
    Figure,
    Spread,
    beta_binomial_tail,
    how_often,
    number,
    percent,
    short,
)

UNLIKELY = 1e-4
"""Shares are flagged when they are less likely than this."""

UNLIKELY_TARGET = 1 / 400
"""A target is flagged when all that are as rare are together less likely than this."""

UNLIKELY_BOTH = 1e-3
"""The same of a target that was never seen, together with how high the number is."""

LAST = 50
"""Shares are looked at among so many, the latest."""

RUN = 10
"""Of numbers that are not far out one by one, so many, the latest, are looked at together."""


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
        seen = f"was seen {how_often(times)} in the last {self.of} writes"
        if chance < UNLIKELY_TARGET:
            return f"{self.what} {short(target)} {seen}: targets as rare are {percent(chance)}"
        for spread, value in with_ if times == 0 else ():
            high = spread.at_least(value)
            if chance * high < UNLIKELY_BOTH:
                return (
                    f"{self.what} {short(target)} {seen}, and {spread.what} {number(value)} is "
                    f"high at once: new targets are {percent(chance)}, numbers so high "
                    f"{percent(high)}"
                )
        return None

    def figure(self) -> Figure:
        """The same for people."""
        often = sorted(self.seen.items(), key=lambda each: (-each[1], each[0]))[:3]
        top = ", ".join(f"{short(name)} ({count / self.of:.0%})" for name, count in often)
        fresh = self.chance("\0never")
        usual = f"{len(self.seen)} different, most often {top}; {percent(fresh)} are new ones"
        rare = [count for count in range(3) if self._rare(count)]
        if rare:
            flags = f"seen {how_often(max(rare))} or less" if max(rare) else "one never seen"
        elif fresh >= 1:
            flags = "none: every target is a new one"
        else:
            share = min(UNLIKELY_BOTH / fresh, 1.0)
            flags = f"one never seen with a number among the highest {percent(share)}"
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
class ProportionChart:
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
            f"{count} of the last {self.window} {self.what}: normal is {percent(self.usual)}, "
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
        usual = f"{percent(self.usual)} of {self.what}"
        never = self.most >= self.window
        flags = "no share" if never else f"more than {self.most} of the last {self.window}"
        return Figure(name, self.of, usual, flags)


def share(what: str, past: Sequence[bool], window: int = LAST) -> ProportionChart:
    """A share, from the past in its order.

    The upper control limit of a p-chart (Shewhart; Montgomery, Introduction to Statistical
    Quality Control, 7.2), exact instead of by three sigmas: the count of the window is
    beta-binomial, given the past and Jeffreys' prior. What comes in runs varies more than that,
    so that no window of the past may have had more either, but for `RARE` of them.
    """
    of, yes = len(past), sum(past)
    if of < 2 * window:
        return ProportionChart(what, of, yes, window, None)
    prior = (yes + 0.5, of - yes + 0.5)
    likely = (x for x in range(window + 1) if beta_binomial_tail(x + 1, window, *prior) < UNLIKELY)
    windows = sorted(_moving(past, window))
    beyond = windows[-1 - int(len(windows) * RARE)]
    return ProportionChart(what, of, yes, window, max(next(likely, window), beyond))


def _moving(past: Sequence[bool], window: int) -> list[int]:
    """How many there were in each window of the past."""
    count = sum(past[:window])
    counts = [count]
    for before, after in zip(past, past[window:], strict=False):
        count += after - before
        counts.append(count)
    return counts


# Runs


@dataclass(frozen=True)
class TailRun:
    """How many of the latest values are in the highest tenth, beyond `mark`; or in the lowest.

    So a change is found that is not far out in any single write.
    """

    share: ProportionChart
    mark: float
    lowest: bool
    latest: int

    def flag(self, value: float) -> str | None:
        """Why a value is one too many, in words; None if it is not."""
        odd = value < self.mark if self.lowest else value > self.mark
        return self.share.flag(self.latest + 1) if odd else None


def run(what: str, values: Sequence[float], *, lowest: bool = False) -> TailRun:
    """The runs of a number, from its values in their order: more than `RUN` of them.

    A p-chart of the share in the highest tenth; `lowest`: in the lowest. The latest ones, which
    are looked at, do not say what is normal.
    """
    before, latest = values[:-RUN], values[1 - RUN :]
    ordered = sorted(before)
    cut = len(ordered) // 10
    mark = ordered[cut] if lowest else ordered[-1 - cut]
    way = "below" if lowest else "above"
    name = f"writes had {what} {way} {number(mark)}"
    odd = [value < mark if lowest else value > mark for value in before]
    count = sum(value < mark if lowest else value > mark for value in latest)
    return TailRun(share(name, odd, RUN), mark, lowest, count)
