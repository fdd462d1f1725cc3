"""What a policy says of worth: read, described, and every way in which it is wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest

from handrail.exceptions import PolicyError
from handrail.policy import Setting, describe_policy
from tests.agents.policies import policy

WORTH = """\
value:
  done: 12.50 EUR
  wrong: -80 EUR
  late: {after: 4h, worth: -5 EUR}
prices: {human minute: 0.80 EUR, infrastructure: 90 EUR per month}
metrics:
  on time: {unit: "%", rate: done, within: 4h}
  rebooked a week: {unit: cases, count: done, per: week, action: Rebook}
  time: {unit: min, mean: minutes, of: late}
"""

BAD = [
    ("12.50 EUR", "12.50", "value.done: 12.50 is no amount of money", "such as 12.50 EUR"),
    ("-80 EUR", "-80 USD", "-80 USD and amounts in EUR cannot be added", "every amount in EUR"),
    ("90 EUR per month", "90 EUR", "90 EUR is no price of infrastructure", "90 EUR per month or"),
    ("0.80", "-0.80", "-0.80 EUR is a price below nothing", "such as 0.80 EUR"),
    ("rate: done", "rate: doen", "doen are no cases", "did you mean done?"),
    ("rate: done", "rate: done, mean: cost", "and this is rate and mean", "keep one"),
    ("rate: done, ", "", "and this is nothing", "keep one"),
    ("action: Rebook", "action: Rebok", "no write of the agent takes Rebok", "mean Rebook?"),
    ("per: week", "per: weak", "weak is no time to count in", "did you mean week?"),
    ("count: done", "mean: cost", "only a count is per time", "remove per:"),
    ("{after: 4h, ", "{", "after is missing in value.late", "such as 4h"),
    ("mean: minutes", "mean: minute", "minute is not a value", "did you mean minutes?"),
    ('unit: "%", ', "", "unit is missing in metrics.on time", "add unit:"),
    ("  late: {after: 4h, worth: -5 EUR}\n", "", "after how long is a case late?", "add late:"),
    ("prices: {", "prices: {minute: 1 EUR, ", "minute is not a key of prices", "human minute"),
]


def test_worth_is_read_and_described() -> None:
    found = policy(("actions:\n", f"{WORTH}actions:\n"))
    assert found.doc.currency == "EUR"
    assert dict(found.doc.amounts())["value", "wrong"].amount == Decimal(-80)
    settings = {step: found.of(step).own for step in found.steps}
    said = [f"{name}: {what}" for name, what in describe_policy(found, settings)[0].lines]
    assert "value: one that takes over 4h: -5 EUR more" in said
    assert "price: infrastructure costs 90 EUR per month" in said
    assert "metric: rebooked a week, in cases: how many cases are done, with Rebook, per week" in (
        said
    )


ALERTS = """\
alerts:
  failures: {over: 3%, in: 30m}
  escalations: {up: 25%}
  cost: {times: 2}
  waiting: {over: 2h}
  silent: {for: 1h}
"""


def test_alerts_are_read_and_described() -> None:
    found = policy(("actions:\n", f"{ALERTS}actions:\n"))
    settings = {step: found.of(step).own for step in found.steps}
    said = [what for name, what in describe_policy(found, settings)[0].lines if name == "alert"]
    assert said == [
        "failures: over 3% of writes in 30m",
        "escalations: up 25% against the 7d before",
        "cost: 95 % of cases below 2 x the baseline, in 7d",
        "waiting: a question waits over 2h",
        "silent: nothing written for 1h",
    ]


@pytest.mark.parametrize(
    ("old", "new", "what", "fix"),
    [
        ("over: 3%", "above: 3%", "above is not a key", "over"),
        ("over: 3%", "over: 3", "3 is not a share", "25%"),
        ("{over: 3%, in: 30m}", "{over: 3%}", "in is missing", "add in:"),
        ("silent: {for: 1h}", "silent: {for: soon}", "soon", "30m"),
        ("times: 2", "times: -2", "-2", "fix:"),
        ("waiting:", "waits:", "waits is not a key", "waiting"),
    ],
)
def test_what_is_wrong_with_alerts_is_said(old: str, new: str, what: str, fix: str) -> None:
    assert ALERTS.count(old) == 1
    with pytest.raises(PolicyError) as fault:
        policy(("actions:\n", f"{ALERTS.replace(old, new)}actions:\n"))
    assert what in str(fault.value)
    assert fix in str(fault.value)


def test_a_policy_without_worth_reckons_with_nothing() -> None:
    found = policy()
    assert (found.doc.currency, found.doc.metrics, found.doc.value.done) == (None, {}, None)
    assert isinstance(found.of("rebook").own, Setting)


@pytest.mark.parametrize(("old", "new", "what", "fix"), BAD, ids=lambda each: str(each)[:30])
def test_what_is_wrong_with_it_is_said_with_its_fix(
    old: str, new: str, what: str, fix: str
) -> None:
    assert WORTH.count(old) == 1
    with pytest.raises(PolicyError) as fault:
        policy(("actions:\n", f"{WORTH.replace(old, new)}actions:\n"))
    assert what in str(fault.value)
    assert fix in str(fault.value)
    assert str(fault.value).count("fix:") == 1, "one fault, said once"
