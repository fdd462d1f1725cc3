"""What an agent must have shown before it may do more, and what takes it back."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handrail.actions import Level
from handrail.evidence import (
    ErrorShare,
    PromotionEvidence,
    drift_of,
    measure_agreement,
    next_setting,
    next_step,
    population_stability,
    setting_before,
    slow_ramps,
    why_step_back,
)
from handrail.evidence.estimates import estimate_of
from handrail.policy import ActionDoc, PromoteDoc, Setting

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
RULE = PromoteDoc.model_validate({"agreement": "95%", "wrong": "2%", "caught": "80%"})
GOOD = PromotionEvidence(
    first=NOW - timedelta(days=20),
    agreement=measure_agreement([1] * 300),
    wrong=ErrorShare(0.0, 0.0, 0.015),
    settled=300,
    waiting=5,
    planted=5,
    caught=4,
)
FULL = Level.FULL


@pytest.mark.parametrize(
    ("now", "most", "to", "before"),
    [
        (Setting(Level.PILOT), FULL, "full 5%", None),
        (Setting(Level.SUPERVISED), FULL, "full 5%", None),
        (Setting(FULL, 500), FULL, "full 25%", "supervised"),
        (Setting(FULL, 700), FULL, "full 25%", "full 5%"),
        (Setting(FULL, 5_000), FULL, "full", "full 25%"),
        (Setting(FULL), FULL, None, "full 50%"),
        (Setting(Level.PILOT), Level.SUPERVISED, "supervised", None),
        (Setting(Level.SUPERVISED), Level.SUPERVISED, None, None),
        (Setting(Level.STOP), FULL, None, None),
        (Setting(Level.PILOT), Level.HUMAN_LED, None, None),
    ],
)
def test_the_ramp_goes_up_and_down_step_by_step(
    now: Setting, most: Level, to: str | None, before: str | None
) -> None:
    up, down = next_setting(now, most, RULE.shares), setting_before(now, RULE.shares)
    assert (up and str(up)) == to
    assert (down and str(down)) == before


@pytest.mark.parametrize("now", [Setting(Level.PILOT), Setting(FULL, 500)])
def test_with_all_that_the_policy_wants_it_is_proposed(now: Setting) -> None:
    assert next_step(RULE, now, FULL, GOOD, NOW).due


@pytest.mark.parametrize(
    ("now", "lack", "said"),
    [
        (Level.PILOT, {"agreement": measure_agreement([1] * 100)}, "95% wanted: 5 more that agree"),
        (Level.PILOT, {"agreement": measure_agreement([1] * 300 + [0] * 20)}, "more that agree"),
        (Level.PILOT, {"first": NOW - timedelta(days=9)}, "days: 9, 5 more needed"),
        (Level.PILOT, {"first": None}, "days: 0, 14 more needed"),
        (Level.PILOT, {"open_incidents": 1}, "incidents: 1 open"),
        (Level.PILOT, {"waiting": 6}, "reviews: 6 wait, 5 may"),
        (Level.PILOT, {"caught": 3}, "3 of 5 planted ones caught, 80% wanted"),
        (Level.PILOT, {"planted": 0, "caught": 0}, "0 of 0 planted"),
        (
            FULL,
            {"wrong": ErrorShare(0, 0, 0.03)},
            "at most 3.0%, 2% wanted: 150 more that are right",
        ),
        (FULL, {"wrong": ErrorShare(0, 0, 0.02001)}, "at most 2.1%, 2% wanted: 1 more"),
        (Level.PILOT, {"agreement": measure_agreement([1] * 104)}, "at least 94.9%, 95% wanted"),
        (FULL, {"wrong": None}, "wrong: at most 100.0%"),
        (FULL, {"settled": 99}, "cases: 99, 1 more needed"),
    ],
)
def test_each_thing_that_is_lacking_is_said(now: Level, lack: dict[str, Any], said: str) -> None:
    setting = Setting(now, 500) if now is FULL else Setting(now)
    found = next_step(RULE, setting, FULL, replace(GOOD, **lack), NOW)
    assert not found.due
    assert any(said in each for each in found.lacking), found.lacking


@pytest.mark.parametrize(
    ("now", "lack", "said"),
    [
        (
            Level.PILOT,
            {"agreement": measure_agreement([1] * 60)},
            "45 more that agree, about 15 days",
        ),
        (
            FULL,
            {"wrong": ErrorShare(0, 0, 0.03), "alone": 200},
            "that are right, about 15 days as it",
        ),
        (FULL, {"wrong": ErrorShare(0, 0, 0.03), "alone": 0}, "150 more that are right"),
        (
            FULL,
            {"wrong": ErrorShare(0, 0, 0.03), "alone": 200, "first": NOW - timedelta(hours=20)},
            "150 more that are right",
        ),
    ],
)
def test_how_long_it_takes_is_said_of_what_has_come_for_a_day(
    now: Level, lack: dict[str, Any], said: str
) -> None:
    setting = Setting(now, 500) if now is FULL else Setting(now)
    lacking = next_step(RULE, setting, FULL, replace(GOOD, **lack), NOW).lacking[0]
    assert said in lacking
    assert lacking.endswith(" as it goes") is ("days" in said)


def slow(review: object = None, **promote: Any) -> list[str]:
    doc = {"autonomy": "full", "review": review, "promote": promote}
    named = {key: value for key, value in doc.items() if value is not None}
    return list(slow_ramps({"pay": ActionDoc.model_validate(named)}))


def test_a_ramp_that_takes_too_long_is_remarked_on_with_what_makes_it_short() -> None:
    (said,) = slow("5%")
    n, fewer = (int(each.replace(",", "")) for each in re.findall(r"takes ([\d,]+)", said))
    assert said.startswith("actions.pay.promote: wrong: 2% takes ")
    assert "review: {random: 5%, ramp: 100%}" in said
    # As many as it takes indeed, with none found wrong.
    for share, enough in ((0.05, n), (1.0, fewer)):
        assert (
            estimate_of([(share, enough)], []).high
            <= 0.02
            < estimate_of([(share, enough - 1)], []).high
        )
    assert fewer < 300
    assert n > 5_000
    (said,) = slow()
    assert "nothing that runs alone is looked at" in said
    (said,) = slow("100%", wrong="0%")
    assert "no number of writes" in said
    (said,) = slow("100%", agreement="100%")
    assert "no number of cases" in said
    assert "all agree" in slow("100%", agreement="99.9%")[0]


@pytest.mark.parametrize(
    ("review", "promote"),
    [
        ({"random": "5%", "ramp": "100%"}, {}),
        ("30%", {}),
        (None, {"shares": ["100%"]}),  # from pilot to all: nothing runs alone before
        ("5%", {"wrong": "20%"}),
    ],
)
def test_of_a_ramp_that_can_be_finished_nothing_is_said(
    review: object, promote: dict[str, Any]
) -> None:
    assert slow(review, **promote) == []


def test_it_steps_back_on_incidents_on_more_errors_and_on_drift() -> None:
    good, bad = [False] * 400, [True, False] * 40
    same, moved_on = ["OK"] * 90 + ["NOK"] * 10, ["OK"] * 50 + ["NEW"] * 50
    assert why_step_back(RULE, good, good, [], {"kg": population_stability(same, same)}) is None
    assert why_step_back(RULE, good, [], [], {}) is None
    assert why_step_back(RULE, good, good, ["c1: paid twice"], {}) == "incident: c1: paid twice"
    changed = why_step_back(RULE, good, good, [], {}, contract=["gone\n fix: look", "moved"])
    assert changed == "drift: a contract has changed: moved"
    other = why_step_back(RULE, good, good, [], {}, models=["m-2", "m-3\n"])
    assert other == "drift: another model decides: m-3"
    worse = why_step_back(RULE, good, bad, [], {})
    assert worse is not None
    assert worse.startswith("wrong: 50.0% of 80, before 0.0% of 400")
    # Set by hand, say, with nothing before it: by what the policy lets be wrong.
    assert why_step_back(RULE, [], [True, *good], [], {}) is None
    alone = why_step_back(RULE, [], bad, [], {})
    assert alone is not None
    assert alone.startswith("wrong: 50.0% of 80, nothing before, and 2% is let be")
    moved = {"kg": population_stability(same, same), "class": population_stability(same, moved_on)}
    drift = why_step_back(RULE, good, good, [], moved)
    assert drift is not None
    assert drift.startswith("drift: class has moved")
    assert "new: NEW" in drift


def test_numbers_that_were_counted_drift_by_their_tenths_and_texts_by_their_values() -> None:
    then = {str(n / 4): 1 for n in range(400)}
    assert not drift_of(then, {str(n / 4 + 0.1): 1 for n in range(400)}).drifted
    assert drift_of(then, {str(n / 4 + 60): 1 for n in range(400)}).drifted
    assert not drift_of({"a": 90, "b": 10}, {"a": 85, "b": 15}).drifted
    assert drift_of({"a": 90, "b": 10, "None": 50}, {"a": 20, "b": 80}).drifted
