"""The fleet of the sales agent, which makes its round of each pipeline every day."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import activities.sales
import guardrails.sales
from activities.sales_facts import Visit
from activities.sales_rules import STALE
from handrail import Agent, Fleet, HandsTo, Schedule
from workflows.sales import SalesAgent


def rounds_of(pipeline: str) -> Callable[[datetime], Visit]:
    """The rounds of a pipeline: a look at every open deal of it."""

    def round_at(at: datetime) -> Visit:
        return Visit(on=at.date(), pipeline=pipeline)

    return round_at


fleet = Fleet(
    Agent(
        "sales",
        SalesAgent,
        steps=activities.sales,
        policy=Path(guardrails.sales.__file__).with_name("sales.yaml"),
        checks=guardrails.sales,
        hands_to=[HandsTo("sales", Visit, again=True)],  # a round hands on what is due
        triggers=[
            Schedule(name=f"daily-{each}", event=rounds_of(each), every=timedelta(hours=24))
            for each in STALE
        ],
    )
)
