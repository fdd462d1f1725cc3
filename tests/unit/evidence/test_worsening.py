"""Worse than before: the bet by hand, its alarm, and what it is against."""

from __future__ import annotations

from itertools import product

import pytest

from handrail.evidence import WorseningTest, measure_agreement, worse_than, worse_than_before


@pytest.mark.parametrize("allowed", [0.05, 0.3])
def test_the_wealth_is_expected_to_stay_where_the_share_is_what_is_allowed(allowed: float) -> None:
    """Over all ways in which ten cases may end, weighed by their chances: exactly 1."""
    total = 0.0
    for ends in product((False, True), repeat=10):
        test = WorseningTest(allowed, 1e-12)
        for each in ends:
            test.add(each)
        total += test.evidence * allowed ** sum(ends) * (1 - allowed) ** (10 - sum(ends))
    assert total == pytest.approx(1)


def test_the_alarm_says_when_and_is_not_taken_back() -> None:
    test = WorseningTest(0.02)
    for _ in range(12):
        test.add(True)
    raised = test.alarm
    assert raised is not None
    assert raised <= 4
    for _ in range(500):
        assert test.add(False)
    assert test.alarm == raised
    assert test.evidence >= 20


def test_against_a_declared_share() -> None:
    good = worse_than(0.1, [number % 12 == 0 for number in range(600)])
    assert (good.n, good.before, good.share_before, good.allowed) == (600, 0, None, 0.1)
    assert good.alarm is None
    bad = worse_than(0.1, [number % 3 == 0 for number in range(600)])
    assert bad.alarm is not None
    assert bad.alarm < 60


def test_against_what_was_seen_before_it_is_the_upper_end_of_that() -> None:
    before = [number % 20 == 0 for number in range(400)]
    found = worse_than_before(before, [True] * 9)
    assert found.share_before == pytest.approx(0.05)
    assert found.allowed == pytest.approx(1 - measure_agreement(not e for e in before).low)
    assert found.alarm is not None
    assert worse_than_before(before, [True] * 9, margin=0.5).alarm is None


def test_where_nothing_was_before_nothing_is_worse() -> None:
    found = worse_than_before([], [True] * 200)
    assert (found.before, found.share_before, found.alarm) == (0, None, None)
    assert worse_than(0.5, []).share is None


@pytest.mark.parametrize(("allowed", "error"), [(0, 0.05), (1, 0.05), (0.1, 0), (0.1, 1)])
def test_a_test_against_nothing_is_none(allowed: float, error: float) -> None:
    with pytest.raises(ValueError, match="more than 0 and less than 1"):
        WorseningTest(allowed, error)
