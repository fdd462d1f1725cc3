"""The week in lines: figures against the week before, and what needs the owner."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from handrail import Ledger
from handrail.evidence import AgentReport, Metric, ReportDay, ValueReport, week_of, weekly_lines
from handrail.evidence.weekly import bars, lines_of
from handrail.ledger import AlertRow, IncidentRow

NOW = datetime(2026, 3, 9, 6, tzinfo=UTC)


def metric(name: str, title: str, unit: str, value: float | None, **more: Any) -> Metric:
    given: dict[str, Any] = {"n": 40, "of": "cases", "previous": value, "previous_n": 40}
    return Metric(name=name, title=title, unit=unit, value=value, **(given | more))


def report(*metrics: Metric, **more: Any) -> AgentReport:
    days = tuple(
        ReportDay(
            day=date(2026, 3, 2) + timedelta(days=n), tasks=n, models=float(n % 3), median=6.0 + n
        )
        for n in range(7)
    )
    given: dict[str, Any] = {
        "agent": "a",
        "policy": "a v1",
        "since": NOW,
        "until": NOW,
        "previous_since": NOW,
        "made": NOW,
        "tasks": 21,
        "previous_tasks": 19,
        "left_out": {},
        "own": (),
        "previous_net": Decimal(400),
        "days": days,
        "marks": (),
        "metrics": metrics,
        "value": ValueReport(currency="EUR", n=21, needs=0, net=Decimal("412.5")),
    }
    return AgentReport(**(given | more))


def test_each_figure_stands_beside_that_of_the_week_before() -> None:
    found = lines_of(
        report(
            metric("availability", "Availability", "share", 0.5),
            metric("action_success", "Action success", "share", 0.985, previous=0.97),
            metric("escalation", "Cases that ask people", "share", 0.125),
            metric("review_time", "Human review time", "seconds", 120.0),
            metric("cost_per_task", "Cost per task", "EUR", 0.25),
        ),
        {"alert": 1, "open incident": 2, "review": 0},
    )
    assert found == (
        "cases: 21, 19 the week before ▁▂▃▅▆▇█",
        (
            "action success: 98.5 % (n 40), 97.0 % the week before; "
            "cases that ask people: 12.5 % (n 40), 12.5 % the week before"
        ),
        "human review time: 2 min (n 40), 2 min the week before ▅▅▆▆▇▇█",
        "cost per task: 0.25 EUR (n 40), 0.25 EUR the week before ▁▅█▁▅█▁",
        "net value: 412.50 EUR, 400.00 the week before",
        "needs you: 1 alert, 2 open incidents",
    )


def test_too_few_give_no_number() -> None:
    few = metric("escalation", "Cases that ask people", "share", None, needs=7)
    worthless = ValueReport(currency=None, n=3, needs=0)
    found = lines_of(report(few, value=worthless, previous_net=None), {})
    assert found[1] == "cases that ask people: 7 more cases needed"
    assert found[2:] == ("net value: the policy declares none (value:)", "needs you: nothing")


@pytest.mark.parametrize(
    ("numbers", "plot"), [([], ""), ([0, 0], ""), ([1], "█"), ([0, 1, 2, 4], "▁▃▅█")]
)
def test_a_plot_is_a_character_a_day(numbers: list[float], plot: str) -> None:
    assert bars(numbers) == plot


@pytest.mark.parametrize(
    ("at", "week"),
    [
        (NOW, "2026-W11"),
        (NOW - timedelta(hours=7), "2026-W10"),
        (datetime(2027, 1, 1, tzinfo=UTC), "2026-W53"),
    ],
)
def test_weeks_are_those_of_the_standard(at: datetime, week: str) -> None:
    assert week_of(at) == week


async def test_what_waits_is_read_from_the_ledger(ledger: Ledger) -> None:
    found = await weekly_lines(ledger, "a", NOW)
    assert found[0] == "cases: 0, 0 the week before"
    assert found[-1] == "needs you: nothing"
    await ledger.begin_alert(AlertRow("1", "a", "waiting", NOW, "3h", "over 2h"))
    await ledger.incident(IncidentRow("i", "a", "pay", "a:1", "k", "failed", "it did", NOW))
    for n in "23":
        await ledger.begin_alert(AlertRow(n, "a", f"promotion: {n}", NOW, "pilot to full 5%", ""))
    found = await weekly_lines(ledger, "a", NOW)
    assert found[-1] == "needs you: 2 proposals to let it do more, 1 alert, 1 open incident"
