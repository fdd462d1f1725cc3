"""The fleet of the maintenance agent and the stores agent."""

from datetime import datetime, timedelta
from pathlib import Path

import activities.maintenance
import activities.stores
import guardrails.maintenance
import guardrails.stores
from activities.maintenance import Look
from activities.routes import Changed
from activities.stores import SpareNeeded
from handrail import Agent, Fleet, HandsTo, Schedule
from workflows.maintenance import MaintenanceAgent
from workflows.stores import StoresAgent

_POLICIES = Path(guardrails.maintenance.__file__).parent


def round_at(at: datetime) -> Look:
    """The round of a time: a look at every machine."""
    return Look(at=at.replace(minute=0, second=0, microsecond=0))


ROUNDS = Schedule(name="rounds", event=round_at, every=timedelta(hours=24))


def maintenance(*, elsewhere: bool) -> Agent:
    """The agent. `elsewhere`: whether vans are planned for by another fleet, if by any."""
    return Agent(
        "maintenance",
        MaintenanceAgent,
        steps=activities.maintenance,
        policy=_POLICIES / "maintenance.yaml",
        checks=guardrails.maintenance,
        hands_to=[
            HandsTo("maintenance", Look, again=True),  # a round: each machine near a failure
            HandsTo("stores", SpareNeeded),
            HandsTo("routes", Changed, elsewhere=elsewhere),  # where vans bring spares
        ],
        triggers=[ROUNDS],
    )


stores = Agent(
    "stores",
    StoresAgent,
    steps=activities.stores,
    policy=_POLICIES / "stores.yaml",
    checks=guardrails.stores,
)
fleet = Fleet(maintenance(elsewhere=True), stores)
