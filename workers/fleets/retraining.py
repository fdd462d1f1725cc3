"""The fleet of the agent that looks after the others' models, each night."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import activities.retraining
import guardrails.retraining
from activities.retraining import LEARNERS
from activities.retraining_facts import Retraining
from handrail import Agent, Event, Fleet, Schedule
from workflows.retraining import RetrainingAgent


def _of(agent: str) -> Callable[[datetime], Event]:
    def night(at: datetime) -> Event:
        return Retraining(agent=agent, on=at.date())

    return night


retraining = Agent(
    "retraining",
    RetrainingAgent,
    steps=activities.retraining,
    policy=Path(guardrails.retraining.__file__).with_name("retraining.yaml"),
    checks=guardrails.retraining,
    # While a version waits for its owner, the next night is skipped.
    triggers=[Schedule(name=each, event=_of(each), cron="0 3 * * *") for each in LEARNERS],
)
fleet = Fleet(retraining)
