"""The routes agent, for a worker of its own."""

from pathlib import Path

import activities.routes
import guardrails.routes
from handrail import Agent, Fleet
from workflows.routes import RoutesAgent

fleet = Fleet(
    Agent(
        "routes",
        RoutesAgent,
        steps=activities.routes,
        policy=Path(guardrails.routes.__file__).with_name("routes.yaml"),
        checks=guardrails.routes,
        triggers=[activities.routes.EVERY_HALF_HOUR],
    )
)
