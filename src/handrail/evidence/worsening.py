"""Worse than before: a sequential test whose false alarms are counted over all of its looks. Pure.

The test bets against "no more than this share is bad". Its wealth begins at 1, and while that is
true it cannot be expected to grow, whatever the order of the cases and however they hang
together; so the chance that it ever reaches 1 / error is at most `error` (Ville 1939; Waudby-Smith
and Ramdas 2024, "Estimating means of bounded random variables by betting"). Whoever looks after
every case for years has one chance of `error` of a false alarm, not one at each look.

An agent that was good for a year may turn bad tomorrow. A bet that began a year ago has lost all
by then, and so a part of the wealth is kept aside, and a part of that is put on a fresh bet at
every case: the average over bets that begin at each moment is such a bet too. What that costs
grows with the logarithm of the number of cases before the worsening.

Where the share before was itself only seen in a sample, the test is against the upper end of its
confidence sequence, which has half of the error; the bet has the other half.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from handrail.evidence.estimates import ERROR, ConfidenceSequence

_TIMES_THE_ODDS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""How much worse it may have become: each has a bet of its own, for the same money."""

_FADE = 0.25
"""Of the wealth, (1 + n) ** -_FADE is still aside after n cases."""


@dataclass
class WorseningTest:
    """The bet that more than the share `allowed` is bad, fed with each case in its order.

    `error`: with what chance it ever raises a false alarm. `alarm`: after how many cases it was
    raised; None while it was not. It is not taken back.
    """

    allowed: float
    error: float = ERROR
    n: int = 0
    bad: float = 0.0
    alarm: int | None = None
    _bets: list[float] = field(default_factory=lambda: [0.0] * len(_TIMES_THE_ODDS))
    _sizes: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Size the bets.

        Raises:
            ValueError: if the share or the error is not between 0 and 1.
        """
        for name, share in (("allowed", self.allowed), ("error", self.error)):
            if not 0 < share < 1:
                raise ValueError(f"{name} is more than 0 and less than 1, not {share}")
        self._sizes = tuple(_size(self.allowed, times) for times in _TIMES_THE_ODDS)

    def add(self, bad: float) -> bool:
        """One more case: whether it was bad, or how bad (0 to 1). Whether the alarm is raised."""
        self.n += 1
        self.bad += bad
        if self.alarm is None:
            aside = self.n**-_FADE - (self.n + 1) ** -_FADE
            fresh, gain = aside / len(self._bets), bad - self.allowed
            self._bets = [
                (bet + fresh) * (1 + size * gain)
                for bet, size in zip(self._bets, self._sizes, strict=True)
            ]
            if self.evidence >= 1 / self.error:
                self.alarm = self.n
        return self.alarm is not None

    @property
    def evidence(self) -> float:
        """The wealth (e-value) up to now, or when the alarm was raised: 1 / error raises it."""
        return sum(self._bets) + ((self.alarm or self.n) + 1) ** -_FADE


@dataclass(frozen=True)
class Worsening:
    """What the test says of `n` cases after some other `before`; a share is None of no cases.

    `allowed`: what the share of the bad ones is tested against. `alarm`: after how many of the
    `n` it was raised; None if it is not worse for all that is known.
    """

    n: int
    share: float | None
    before: int
    share_before: float | None
    allowed: float
    error: float
    evidence: float
    alarm: int | None


def worse_than(allowed: float, after: Iterable[float], error: float = ERROR) -> Worsening:
    """Whether more are bad than the share that somebody declared to be allowed.

    Raises:
        ValueError: if the share or the error is not between 0 and 1.
    """
    return _tested(WorseningTest(allowed, error), after, 0, None, error)


def worse_than_before(
    before: Iterable[float], after: Iterable[float], error: float = ERROR, *, margin: float = 0.0
) -> Worsening:
    """Whether more are bad than before, by more than `margin` (a share of the cases).

    `before` is seen once, and not taken anew for each look. Of none before nothing is known, and
    nothing is worse.
    """
    sequence = ConfidenceSequence(error)
    for each in before:
        sequence.add(1.0, wrong=each)
    found = sequence.interval()
    share = found.guess if sequence.writes else None
    allowed = min(found.high + margin, _MOST)
    return _tested(WorseningTest(allowed, error / 2), after, sequence.writes, share, error)


_MOST = 1 - 1e-9
"""A test against 1 is never lost, and divides by nothing."""


def _tested(
    test: WorseningTest,
    after: Iterable[float],
    before: int,
    share_before: float | None,
    error: float,
) -> Worsening:
    for each in after:
        test.add(each)
    share = test.bad / test.n if test.n else None
    return Worsening(
        test.n, share, before, share_before, test.allowed, error, test.evidence, test.alarm
    )


def _size(allowed: float, times: float) -> float:
    """The bet that grows fastest where the odds of a bad one are so many times what is allowed."""
    odds = allowed / (1 - allowed) * times
    return (odds / (1 + odds) - allowed) / (allowed * (1 - allowed))
