"""The fleet of the reconciliation agent, and of the report that is made each night."""

from datetime import datetime, timedelta
from pathlib import Path

import activities.nightly
import activities.reconciliation
import guardrails.reconciliation
from activities.nightly import ReportDue
from activities.reconciliation import Look
from handrail import Agent, Fleet, HandsTo, Schedule
from workflows.nightly import NightlyAgent
from workflows.reconciliation import ReconciliationAgent

_POLICIES = Path(guardrails.reconciliation.__file__).parent


def round_at(at: datetime) -> Look:
    """The round of a morning: all that the bank has delivered until then."""
    return Look(on=at.date())


def day_before(at: datetime) -> ReportDue:
    """The report of the day that has just ended."""
    return ReportDue(period="day", on=at.date() - timedelta(days=1))


def month_before(at: datetime) -> ReportDue:
    """The report of the month that has just ended."""
    return ReportDue(period="month", on=at.date().replace(day=1) - timedelta(days=1))


reconciliation = Agent(
    "reconciliation",
    ReconciliationAgent,
    steps=activities.reconciliation,
    policy=_POLICIES / "reconciliation.yaml",
    checks=guardrails.reconciliation,
    hands_to=[HandsTo("reconciliation", Look, again=True)],  # a round: each line by itself
    triggers=[Schedule(name="mornings", event=round_at, cron="30 5 * * MON-FRI")],
)
nightly = Agent(
    "nightly",
    NightlyAgent,
    steps=activities.nightly,
    policy=_POLICIES / "nightly.yaml",
    triggers=[
        Schedule(name="daily", event=day_before, cron="10 0 * * *"),
        Schedule(name="monthly", event=month_before, cron="0 6 1 * *"),  # closed by eight
    ],
)
fleet = Fleet(reconciliation, nightly)
