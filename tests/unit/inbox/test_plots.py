"""What plots say beside their bars."""

from __future__ import annotations

import re
from datetime import date, timedelta

from handrail.inbox.web.plots import Series, pareto, stacked

DAYS = [date(2026, 11, 1) + timedelta(days=n) for n in range(3)]


def axis(*values: float) -> list[str]:
    drawn = stacked("x", DAYS, [Series("done", values, "c-done")], [])
    return re.findall(r'text-anchor="end">([^<]+)</text>', drawn)[:-1]


def test_there_is_no_half_of_a_case() -> None:
    assert axis(1, 0, 1) == ["0", "1"]
    assert axis(3, 0, 2) == ["0", "3"]
    assert axis(4, 0, 2) == ["0", "2", "4"]
    assert axis(0.25, 0, 1) == ["0", "0.50", "1"]  # euros


def test_each_bar_says_its_share_and_what_comes_together_above_it() -> None:
    drawn = pareto("x", {"model": 30, "time_out": 50, "bad_data": 20})
    said = re.findall(r'y="\d+">([^<]+)</text>', drawn)
    assert said == ["50 · 50%", "30 · 30%, sum 80%", "20 · 20%, sum 100%"]
