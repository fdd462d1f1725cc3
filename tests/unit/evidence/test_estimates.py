"""The confidence sequence: exact where it can be, and true under whoever looks all the time."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import astuple
from math import exp, log, log1p

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.evidence.estimates import (
    ERROR,
    ConfidenceSequence,
    ErrorShare,
    estimate,
    estimate_of,
)

RUNS = 300


def test_of_nothing_nothing_is_known() -> None:
    assert estimate([]) == ErrorShare(0.0, 0.0, 1.0)


def test_the_guess_weighs_each_by_how_many_it_stands_for() -> None:
    """One of 20 drawn, one of 2 drawn where it was unusual: two that are wrong stand for 22."""
    seen = [(0.05, True), (0.5, True), *[(0.05, False)] * 198]
    assert estimate(seen).guess == pytest.approx(22 / 200)


def test_a_few_reviews_say_little_and_many_say_more() -> None:
    highs = [estimate([(1.0, False)] * number).high for number in (5, 50, 500, 5_000)]
    assert highs == sorted(highs, reverse=True)
    assert highs[0] == 1
    assert highs[1] == pytest.approx(0.105, abs=0.001)
    assert highs[3] == pytest.approx(0.00105, abs=0.00001)


def test_what_counts_is_how_many_were_looked_at_not_how_many_there_were() -> None:
    looked = estimate([(1.0, False)] * 100).high
    drawn = estimate([(0.05, False)] * 2_000).high
    assert drawn == pytest.approx(looked)


def test_many_errors_are_certain() -> None:
    found = estimate([(1.0, number % 2 == 0) for number in range(2_000)])
    assert found.guess == 0.5
    assert 0.42 < found.low < 0.5 < found.high < 0.58


def test_the_end_of_the_interval_solves_its_equation() -> None:
    """The upper end without an error, where the mixture is a sum of plain exponentials."""
    away = ConfidenceSequence()
    away.add(1.0, wrong=False)
    below, above = away.away()
    mixture = ((0.95, 0.35), (0.75, 0.25), (0.5, 0.15), (0.3, 0.1), (0.15, 0.07))
    mixture = (*mixture, (0.07, 0.04), (0.03, 0.03), (0.01, 0.01))
    assert sum(part for _, part in mixture) == pytest.approx(1)
    assert sum(part * exp(steep * above) for steep, part in mixture) == pytest.approx(
        1 / (ERROR / 2 * 0.6)
    )
    assert below == above


def test_with_errors_it_solves_its_equation_too() -> None:
    sequence = ConfidenceSequence()
    for wrong in (True, False, True, True):
        sequence.add(0.25, wrong=wrong)
    above = sequence.away()[1] / 4
    terms = (
        0.35 * exp(0.95 * above - 3 * (-log1p(-0.95) - 0.95)),
        0.25 * exp(0.75 * above - 3 * (-log(0.25) - 0.75)),
    )
    assert sum(terms) < 1 / (ERROR / 2 * 0.6)
    assert sequence.total == 12
    assert sequence.square == 48


@given(st.lists(st.tuples(st.sampled_from([0.01, 0.05, 0.5, 1.0]), st.booleans()), max_size=60))
def test_it_is_always_an_interval_around_its_guess(seen: list[tuple[float, bool]]) -> None:
    found = estimate(seen)
    assert 0 <= found.low <= found.guess <= found.high <= 1


@given(st.lists(st.tuples(st.sampled_from([0.01, 0.05, 0.5, 1.0]), st.booleans()), max_size=60))
def test_counts_say_the_same_as_the_writes_in_their_order(seen: list[tuple[float, bool]]) -> None:
    found = estimate_of(
        Counter(share for share, _ in seen).items(), (share for share, wrong in seen if wrong)
    )
    for one, other in zip(astuple(found), astuple(estimate(seen)), strict=True):
        assert one == pytest.approx(other)


@pytest.mark.parametrize(
    ("usual", "odd", "drift"),
    [(0.0, 0.0, 0.0), (0.002, 0.05, 0.0), (0.05, 0.4, 0.0), (0.3, 0.9, 0.0), (0.02, 0.1, 0.2)],
    ids=["never wrong", "rarely", "some", "often", "growing worse"],
)
def test_whoever_looks_after_every_write_is_rarely_deceived(
    usual: float, odd: float, drift: float
) -> None:
    """The share of sequences whose interval is ever wrong stays under the error it names."""
    chance = random.Random(f"{usual} {odd} {drift}")  # noqa: S311  # a simulation
    deceived = sum(_ever_wrong(chance, usual, odd, drift) for _ in range(RUNS))
    assert deceived <= ERROR * RUNS


def _ever_wrong(chance: random.Random, usual: float, odd: float, drift: float) -> bool:
    """Whether the interval misses the truth at any of 1,500 moments.

    Every tenth write is unusual, more often wrong, and drawn ten times as often. Half-way the
    policy halves its share, which an interval that is tuned once would not survive.
    """
    sequence, wrong, expected = ConfidenceSequence(), 0, 0.0
    for number in range(1_500):
        unusual = number % 10 == 0
        share = (0.5 if unusual else 0.05) / (1 if number < 750 else 2)
        likely = min((odd if unusual else usual) + drift * number / 1_500, 1)
        is_wrong = chance.random() < likely
        wrong += is_wrong
        expected += likely
        sequence.add(share, wrong=is_wrong and chance.random() < share)
        below, above = sequence.away()
        # Both truths: the chances of all of them, and what came of them.
        if not all(-below <= true - sequence.total <= above for true in (expected, wrong)):
            return True
    return False


def test_an_interval_that_is_made_for_one_look_does_deceive_who_peeks() -> None:
    """What the sequence is for: the usual interval is wrong far too often when one may choose
    the moment. If it were not, the test above would prove nothing."""
    chance = random.Random("peeking")  # noqa: S311  # a simulation
    deceived = 0
    for _ in range(RUNS):
        wrong = 0
        for number in range(1, 1_001):
            wrong += chance.random() < 0.2
            share = wrong / number
            width = 1.96 * (max(share * (1 - share), 1e-9) / number) ** 0.5
            if number >= 30 and not share - width <= 0.2 <= share + width:
                deceived += 1
                break
    assert deceived > 3 * ERROR * RUNS
