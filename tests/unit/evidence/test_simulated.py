"""Whoever looks after every case is deceived no more often than is stated: simulated, seeded.

`python -m benchmarks.evidence` is the long form, with thousands of runs of each.
"""

from __future__ import annotations

import random

import pytest

from benchmarks.evidence import (
    ERROR,
    Look,
    draws,
    promotes,
    promotes_naively,
    simulate,
    steps_back,
    steps_back_from,
    steps_back_naively,
)

RUNS, CASES = 500, 400


def wrongly(share: float, look: Look) -> float:
    found = simulate("as before", "", RUNS, lambda chance: (draws(chance, CASES, share), look))
    return found.acted


@pytest.mark.parametrize("goal", [0.9, 0.98])
def test_who_is_no_better_than_the_goal_is_rarely_promoted(goal: float) -> None:
    assert wrongly(1 - goal, promotes(goal)) <= ERROR


@pytest.mark.parametrize("allowed", [0.02, 0.2])
def test_who_is_no_worse_than_before_is_rarely_stepped_back(allowed: float) -> None:
    assert wrongly(allowed, steps_back(allowed)) <= ERROR


def test_nor_where_the_share_before_was_itself_seen_in_few_cases() -> None:
    def one(chance: random.Random) -> tuple[list[bool], Look]:
        return draws(chance, CASES, 0.1), steps_back_from(draws(chance, 100, 0.1))

    assert simulate("few before", "", RUNS, one).acted <= ERROR


def test_a_real_worsening_is_noticed_also_after_long_good_times() -> None:
    def one(chance: random.Random) -> tuple[list[bool], Look]:
        return draws(chance, 1_000, 0.02) + draws(chance, 600, 0.1), steps_back(0.02)

    found = simulate("worse", "", 60, one, since=1_000)
    assert found.acted <= ERROR
    assert found.half is not None
    assert found.half < 150
    assert found.most is not None
    assert found.most < 300


@pytest.mark.parametrize(
    ("share", "naive"), [(0.1, promotes_naively(0.9)), (0.2, steps_back_naively(0.2))]
)
def test_a_test_that_is_made_for_one_look_would_fail_all_of_this(share: float, naive: Look) -> None:
    assert wrongly(share, naive) > 3 * ERROR
