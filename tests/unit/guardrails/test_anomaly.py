"""What is normal of one thing: bounds, rates, hours, targets and shares, by their definitions."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.guardrails.anomaly.numbers import (
    Pace,
    amounts,
    clock,
    confidences,
    how_often,
    number,
    pace,
    percent,
    short,
)
from handrail.guardrails.anomaly.targets import LAST, run, share, targets

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
EURO = st.decimals(0, 100_000, places=2).map(float)


# Numbers


@pytest.mark.parametrize(("value", "flagged"), [(100.01, False), (140, False), (160, True)])
def test_a_fee_that_was_always_the_same_is_not_flagged_for_a_cent(
    value: float, *, flagged: bool
) -> None:
    assert (amounts("fee", [100.0] * 500, 4).flag(value) is not None) is flagged


def test_fees_of_which_most_are_equal_are_not_flagged_for_one_of_the_others() -> None:
    fees = amounts("fee", ([10.0] * 8 + [25.0, 60.0]) * 20, 4)
    assert fees.flag(60.0) is None
    assert fees.flag(6_000.0) is not None


def test_the_bounds_are_those_of_the_formula() -> None:
    """Log-spaced values: median 100, MAD of the logs known by hand, and no correction for many."""
    values = [100 * 2 ** (n / 10_000) for n in range(-10_000, 10_001)]
    made = amounts("x", values, 4)
    unit, spread = 1.0, 1.4826 * 0.3431  # median of |log((1 + x/u) / (1 + 100/u))|
    assert made.centre == pytest.approx(100)
    assert made.high == pytest.approx((101 * 2.71828 ** (4 * spread)) - unit, rel=0.02)


def test_the_fewer_writes_it_knows_the_further_out_it_flags() -> None:
    few, many = (amounts("x", [90, 100, 110, 120, 95] * n, 4) for n in (6, 400))
    assert few.high > many.high > 120
    assert few.low < many.low < 90


def test_the_scale_makes_no_difference() -> None:
    cents = amounts("x", [n * 100 for n in range(50, 150)], 4)
    euros = amounts("x", list(range(50, 150)), 4)
    assert cents.high == pytest.approx(euros.high * 100)
    assert cents.low == pytest.approx(euros.low * 100)


@given(st.lists(EURO, min_size=2, max_size=300), st.integers(1, 8))
def test_what_was_seen_is_never_flagged_and_the_bounds_are_in_order(
    values: list[float], z: int
) -> None:
    made = amounts("x", values, z)
    assert made.low <= min(values) <= made.centre <= max(values) < made.high
    assert all(made.flag(each) is None for each in values)


def test_what_was_never_negative_is_flagged_below_zero_and_credits_are_not() -> None:
    assert amounts("x", range(100), 4).flag(-0.01) is not None
    assert amounts("x", range(-100, 100), 4).flag(-50) is None


def test_nothing_but_zeros_is_normal_too() -> None:
    zeros = amounts("x", [0.0] * 50, 4)
    assert zeros.flag(0) is None
    assert zeros.flag(1_000) is not None


def test_confidence_is_flagged_downwards_only() -> None:
    sure = confidences([0.9, 0.92, 0.88, 0.91, 0.89] * 20, 4)
    assert sure.flag(1.0) is None
    assert "confidence 0.5000 is far below what is normal" in str(sure.flag(0.5))


@given(st.lists(EURO, min_size=1, max_size=60), EURO)
def test_how_likely_so_high_a_value_is_counts_those_seen_and_itself(
    values: list[float], value: float
) -> None:
    seen = Fraction(sum(each >= value for each in values) + 1, len(values) + 1)
    assert amounts("x", values, 4).at_least(value) == pytest.approx(float(seen))


# Rates


@pytest.mark.parametrize(("window", "least"), [("hour", 24), ("day", 14)])
def test_no_rate_is_normal_before_there_are_enough_of_them(window: str, least: int) -> None:
    few: Pace = pace("hour" if window == "hour" else "day", [5] * (least - 1))
    assert few.most is None
    assert few.flag(10_000) is None
    assert "not known before" in few.figure().usual


def test_a_rate_that_varies_more_is_flagged_later() -> None:
    steady, varied = pace("hour", [9, 10, 11] * 30), pace("hour", [1, 2, 27] * 30)
    assert steady.mean == varied.mean == 10
    assert steady.most is not None
    assert varied.most is not None
    assert 15 < steady.most < 50 < varied.most


def test_hours_without_a_write_are_left_out() -> None:
    assert pace("hour", [10] * 30 + [0] * 300) == pace("hour", [10] * 30)


@given(st.lists(st.integers(1, 500), min_size=24, max_size=200))
def test_no_rate_that_was_seen_is_flagged(counts: list[int]) -> None:
    made = pace("hour", counts)
    assert all(made.flag(each) is None for each in counts)
    assert made.most is not None
    assert made.flag(made.most + 1) is not None


# Times of day


def at(hour: float, day: int = 0) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour)


def test_the_day_is_round() -> None:
    late = clock(at(22.5 + n % 12 / 4, day=n) for n in range(600))
    assert late.flag(at(0.5)) is None
    assert late.flag(at(22)) is None
    assert "when it does not write" in str(late.flag(at(12)))


def test_a_batch_is_one_habit_and_not_many() -> None:
    one = clock([at(3) + timedelta(seconds=n) for n in range(500)], least=30)
    assert one.of == 1
    assert one.flag(at(15)) is None
    assert one.figure().usual == "not known yet"


def test_a_time_is_told_in_utc_whatever_its_zone() -> None:
    office = clock(at(9 + n % 32 / 4, day=n) for n in range(600))
    from datetime import timezone  # noqa: PLC0415  # only here

    tokyo = at(3).astimezone(timezone(timedelta(hours=9)))
    assert "it is 03:00 UTC" in str(office.flag(tokyo))


@given(st.lists(st.floats(0, 24 * 60, exclude_max=True), min_size=1, max_size=80))
def test_the_chances_are_shares_of_the_day_and_the_usual_time_is_the_likeliest(
    hours: list[float],
) -> None:
    made = clock(at(each) for each in hours)
    assert all(0 < each <= 1 + 1e-9 for each in made.chances)
    assert max(made.chances) == pytest.approx(1)


def test_times_all_around_the_clock_make_a_whole_day() -> None:
    """What the kernel leaves out far away was missing: 0.999998 of a day."""
    made = clock(at(hour + quarter / 4) for hour in range(24) for quarter in range(4))
    assert max(made.chances) == pytest.approx(1, abs=1e-9)


# Targets


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60), st.sampled_from("abchxyz"))
def test_the_chance_of_a_target_is_the_share_that_is_as_rare_with_this_one_counted(
    seen: list[str], target: str
) -> None:
    """The conformal p-value, counted out: every write that has no more of its kind than this."""
    counts = Counter([*seen, target])
    as_rare = sum(count for count in counts.values() if count <= counts[target])
    exact = Fraction(as_rare, len(seen) + 1)
    # The others of its own kind count as the history has them.
    assert abs(targets("x", seen).chance(target) - float(exact)) <= counts[target] / len(seen)
    if target not in seen:
        assert targets("x", seen).chance(target) == pytest.approx(float(exact))


def test_a_target_never_seen_is_flagged_where_new_ones_are_rare() -> None:
    eight = targets("carrier", [f"c{n % 8}" for n in range(800)])
    assert eight.flag("c1") is None
    assert eight.flag("new") == (
        "carrier 'new' was seen never in the last 800 writes: targets as rare are 0.12 %"
    )
    always = targets("carrier", [f"c{n}" for n in range(800)])
    assert always.flag("new") is None


def test_a_new_target_is_flagged_with_a_number_that_is_high_at_once() -> None:
    some = targets(
        "customer", [*(f"c{n % 30}" for n in range(285)), *(f"once{n}" for n in range(15))]
    )
    amount = amounts("amount", range(300), 4)
    assert some.flag("new", [(amount, 100.0)]) is None
    assert some.flag("c1", [(amount, 299.0)]) is None
    assert "high at once" in str(some.flag("new", [(amount, 299.0)]))


# Shares


def test_no_share_is_normal_before_two_windows_were_seen() -> None:
    assert share("x", [True] * (2 * LAST - 1)).most is None


def test_more_of_a_window_than_is_likely_is_flagged() -> None:
    rare = share("writes were pay", [n % 20 == 0 for n in range(1_000)])
    assert rare.usual == pytest.approx(0.05)
    assert rare.most == 10
    assert rare.flag(10) is None
    assert rare.flag(11) == (
        "11 of the last 50 writes were pay: normal is 5 %, and more than 10 are flagged"
    )


def test_what_comes_in_runs_is_flagged_only_beyond_its_longest() -> None:
    spread = share("x", [n % 10 == 0 for n in range(1_000)])
    runs = share("x", [n // 30 % 10 == 0 for n in range(1_000)])
    assert spread.most is not None
    assert runs.most is not None
    assert runs.most >= 30 > spread.most


@given(st.lists(st.booleans(), min_size=2 * LAST, max_size=300))
def test_no_window_of_the_past_would_have_been_flagged(past: list[bool]) -> None:
    made = share("x", past)
    windows = [sum(past[n : n + LAST]) for n in range(len(past) - LAST + 1)]
    assert all(made.flag(count) is None for count in windows)


def test_many_high_numbers_in_a_row_are_flagged_though_none_is_far_out() -> None:
    values = [float(n % 10) for n in range(300)]
    calm, high = run("x", values), run("x", [*values, *[9.0] * 6])
    assert calm.flag(9.0) is None
    assert calm.mark == high.mark == 8
    assert str(high.flag(9.0)).startswith("8 of the last 10 writes had x above 8")
    assert high.flag(5.0) is None


# Words


@pytest.mark.parametrize(
    ("value", "said"),
    [(100.0, "100"), (99.5, "99.50"), (0.25, "0.2500"), (1e-9, "1e-09"), (1e20, "1e+20")],
)
def test_numbers_are_short(value: float, said: str) -> None:
    assert number(value) == said


def test_texts_of_others_hide_nothing() -> None:
    assert "\x1b" not in short("a\x1b[31m")
    assert len(short("x" * 1_000)) < 60
    assert (percent(0.5), percent(0.0123), how_often(0), how_often(2)) == (
        "50 %",
        "1.2 %",
        "never",
        "2 times",
    )
