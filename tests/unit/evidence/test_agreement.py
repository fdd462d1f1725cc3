"""Agreement over time, and how many more cases a goal takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.evidence import agreement_path, measure_agreement
from handrail.evidence.estimates import estimate


def test_of_no_cases_there_is_no_share_and_the_need_is_known() -> None:
    none = measure_agreement([])
    assert (none.n, none.share, none.low, none.high) == (0, None, 0.0, 1.0)
    assert none.needed(0.95) == 105
    assert measure_agreement([True] * 105).low >= 0.95 > measure_agreement([True] * 104).low


@given(st.lists(st.booleans(), max_size=80), st.sampled_from([0.5, 0.8, 0.95]))
def test_so_many_more_that_agree_are_enough_and_one_fewer_is_not(
    agreed: list[bool], goal: float
) -> None:
    needed = measure_agreement(agreed).needed(goal)
    assert measure_agreement([*agreed, *[True] * needed]).low >= goal - 1e-9
    if needed:
        assert measure_agreement([*agreed, *[True] * (needed - 1)]).low < goal


def test_the_last_of_the_path_is_the_whole_and_it_is_the_sequence_of_errors() -> None:
    agreed = [number % 7 != 0 for number in range(300)]
    path, whole = agreement_path(agreed), measure_agreement(agreed)
    assert path[-1] == whole
    assert [each.n for each in path] == list(range(1, 301))
    errors = estimate((1.0, not each) for each in agreed)
    assert whole.low == pytest.approx(1 - errors.high)
    assert whole.share is not None
    assert whole.low < whole.share < whole.high


def test_how_far_they_agree_may_be_a_part() -> None:
    half = measure_agreement([0.5] * 400)
    assert half.share == pytest.approx(0.5)
    assert half.low > measure_agreement([True, False] * 200).low


@pytest.mark.parametrize("goal", [1.0, 1.5, -0.1])
def test_no_number_of_cases_shows_certainty(goal: float) -> None:
    with pytest.raises(ValueError, match="goal"):
        measure_agreement([True]).needed(goal)
