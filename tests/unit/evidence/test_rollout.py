"""A new build is judged by the cases of the build before it."""

from __future__ import annotations

import random

import pytest

from handrail.evidence import judge_build
from handrail.evidence.rollout import DECLARED, FEW

GOOD = [0] * 100


def test_it_waits_for_enough_cases_then_lets_it_have_more() -> None:
    assert judge_build(GOOD, [0] * 9, fresh=9, needed=10).verdict == "wait"
    assert judge_build(GOOD, [0] * 10, fresh=10, needed=10).verdict == "within"
    # Those that ended at the share before do not count for this one.
    assert judge_build(GOOD, [0] * 30, fresh=9, needed=10).verdict == "wait"


def test_more_bad_ones_than_the_band_wait_or_take_it_back() -> None:
    assert judge_build(GOOD, [*[0] * 9, 1], fresh=10, needed=10).verdict == "wait"
    assert judge_build(GOOD, [0, 1, 1, 0, 1, 1, 0, 1], fresh=8, needed=5).verdict == "worse"
    # The old build was no better.
    assert judge_build([0, 1] * 50, [0, 1] * 5, fresh=10, needed=10).verdict == "within"


def test_of_a_build_with_few_cases_the_band_is_declared() -> None:
    few = judge_build([0] * (FEW - 1), [0] * 5, fresh=5, needed=5)
    assert (few.declared, few.test.allowed) == (True, DECLARED)
    assert not judge_build([0] * FEW, [0] * 5, fresh=5, needed=5).declared
    said = judge_build(GOOD, [1, 0, 0, 0], fresh=4, needed=4, allowed=0.5)
    assert (said.declared, said.verdict) == (True, "within")


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_a_build_that_is_as_good_is_taken_back_as_seldom_as_stated(share: float) -> None:
    draw = random.Random(7)  # noqa: S311  # no secret
    runs, alarms = 200, 0
    for _ in range(runs):
        before = [int(draw.random() < share) for _ in range(30)]
        after = [int(draw.random() < share) for _ in range(200)]
        # The alarm is never taken back: the last look says whether any look raised it.
        alarms += judge_build(before, after, fresh=0, needed=1).verdict == "worse"
    assert alarms <= 0.05 * runs
