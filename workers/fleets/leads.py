"""The fleet of the leads agent, which makes its round each night."""

from datetime import datetime, timedelta
from pathlib import Path

import activities.leads
import guardrails.leads
from activities.leads_facts import Visit
from handrail import Agent, Fleet, HandsTo, Schedule
from workflows.leads import LeadsAgent


def round_at(at: datetime) -> Visit:
    """The round of a night: a look at every customer and every record."""
    return Visit(on=at.date())


fleet = Fleet(
    Agent(
        "leads",
        LeadsAgent,
        steps=activities.leads,
        policy=Path(guardrails.leads.__file__).with_name("leads.yaml"),
        checks=guardrails.leads,
        hands_to=[HandsTo("leads", Visit, again=True)],  # a round hands on who is worth it
        triggers=[Schedule(name="nightly", event=round_at, every=timedelta(hours=24))],
    )
)
