"""The fleet of the inspection agent, and of those whom a machine that has gone off concerns."""

from pathlib import Path

import activities.inspection
import guardrails.inspection
from activities.maintenance import Look
from handrail import Agent, Fleet, HandsTo
from workers.fleets.maintenance import maintenance, stores
from workflows.inspection import InspectionAgent

inspection = Agent(
    "inspection",
    InspectionAgent,
    steps=activities.inspection,
    policy=Path(guardrails.inspection.__file__).with_name("inspection.yaml"),
    checks=guardrails.inspection,
    hands_to=[HandsTo("maintenance", Look)],
)
fleet = Fleet(inspection, maintenance(elsewhere=True), stores)
