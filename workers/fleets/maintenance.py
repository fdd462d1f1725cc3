"""The maintenance agent's fleet."""

from datetime import datetime, timedelta
from pathlib import Path

import activities.maintenance
import guardrails.maintenance
from activities.maintenance import Look
from handrail import Agent, Fleet, HandsTo, Schedule
from workflows.maintenance import MaintenanceAgent


def round_at(at: datetime) -> Look:
    """The round of a time: a look at every machine."""
    return Look(at=at.replace(minute=0, second=0, microsecond=0))


ROUNDS = Schedule(name="rounds", event=round_at, every=timedelta(hours=24))

maintenance = Agent(
    "maintenance",
    MaintenanceAgent,
    steps=activities.maintenance,
    policy=Path(guardrails.maintenance.__file__).parent / "maintenance.yaml",
    checks=guardrails.maintenance,
    hands_to=[
        HandsTo("maintenance", Look, again=True)
    ],  # a round hands on each machine near a failure
    triggers=[ROUNDS],
)
fleet = Fleet(maintenance)
