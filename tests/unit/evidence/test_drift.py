"""The population stability index: by hand, with too few, with values that were never there."""

from __future__ import annotations

import random
from collections import Counter
from math import log
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.evidence import population_stability
from handrail.evidence.drift import stability_of_counts


def test_by_hand() -> None:
    """Half a case is added to each of the two values of both."""
    found = population_stability(["a"] * 100 + ["b"] * 100, ["a"] * 150 + ["b"] * 50)
    then, now = 100.5 / 201, (150.5 / 201, 50.5 / 201)
    by_hand = sum((share - then) * log(share / then) for share in now)
    assert found.index == pytest.approx(by_hand)
    assert found.index is not None
    assert found.index > 0.2
    assert found.chance is not None
    assert found.chance == pytest.approx(10.83 * (1 / 200 + 1 / 200), rel=0.05)
    assert found.drifted


def test_too_few_have_no_index_and_the_need_is_said() -> None:
    few = population_stability([1.0] * 200, [1.0] * 30)
    assert (few.index, few.needed, few.drifted) == (None, 20, False)
    never = population_stability([1.0] * 10, [1.0] * 300)
    assert (never.index, never.needed) == (None, 0)


def test_few_that_moved_by_chance_have_not_drifted_though_the_rule_of_thumb_says_so() -> None:
    chance = random.Random("few")  # noqa: S311  # a simulation
    over = 0
    for _ in range(40):
        then, now = ([chance.gauss(0, 1) for _ in range(60)] for _ in range(2))
        found = population_stability(then, now)
        assert not found.drifted
        over += (found.index or 0) > 0.2
    assert over > 20


def test_numbers_that_moved() -> None:
    chance = random.Random("moved")  # noqa: S311  # a simulation
    then, now = ([chance.gauss(by, 1) for _ in range(400)] for by in (0, 1))
    found = population_stability(then, now)
    assert found.drifted
    assert any(name.startswith("> ") for name in found.new)


def test_amounts_beside_the_few_that_were_there_have_not_moved_and_those_beyond_have() -> None:
    then = [0.9, 0.92, 0.95, 0.97] * 50
    assert not population_stability(then, [0.91, 0.93, 0.95, 0.97] * 50).drifted
    for now in ([0.5, 0.91], [0.95, 0.99], [0.9]):
        assert population_stability(then, now * 100).drifted, now
    # A whole number may be a code: another one is another thing.
    assert population_stability([1, 2] * 100, [1, 2, 3, 3] * 50).drifted


def test_values_that_were_never_there_are_named_also_of_few() -> None:
    found = population_stability(["DE", "FR", None] * 30, ["DE", "XX", "XX"])
    assert found.new == {"XX": 2}
    assert found.index is None


def test_names_that_are_all_different_have_no_bin_each() -> None:
    then = [f"customer-{number}" for number in range(300)]
    assert not population_stability(then, then[:150]).drifted
    assert population_stability(then, [f"other-{number}" for number in range(150)]).drifted


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3))


COUNTS = st.dictionaries(st.text("abc", max_size=2), st.integers(1, 40), max_size=30)


@settings(max_examples=50, deadline=None)
@given(COUNTS, COUNTS)
def test_what_is_counted_has_moved_as_what_is_listed(
    then: dict[str, int], now: dict[str, int]
) -> None:
    listed = [list(Counter(side).elements()) for side in (then, now)]
    assert stability_of_counts(then, now) == population_stability(*listed)


def test_so_many_of_a_few_values_are_counted_and_not_gone_through() -> None:
    """A page waits for it, and everybody else for the page's loop."""
    found = stability_of_counts({"a": 10**12, "b": 10**12}, {"a": 10**12, "c": 1})
    assert (found.n, found.drifted, found.new) == (10**12 + 1, True, {"c": 1})


@settings(max_examples=30, deadline=None)
@given(st.lists(VALUES, min_size=50, max_size=60))
def test_whatever_it_is_beside_itself_it_has_not_moved(values: list[Any]) -> None:
    found = population_stability(values, values)
    assert found.index == pytest.approx(0)
    assert not found.drifted
    assert found.new == {}
