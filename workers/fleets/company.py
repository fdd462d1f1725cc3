"""All agents of this repository as one fleet, as a company would run them."""

from pathlib import Path

import activities.refunds
import guardrails.invoices
from handrail import Agent, Fleet
from workers import fleet as freight
from workers.fleets import invoices, maintenance, onboarding, routes
from workers.fleets.support import support
from workflows.refunds import RefundsAgent

_REFUNDS = Agent(
    "refunds",
    RefundsAgent,
    steps=activities.refunds,
    policy=Path(guardrails.invoices.__file__).with_name("refunds.yaml"),
)
_FLEETS = (freight.fleet, invoices.fleet, onboarding.fleet, maintenance.fleet, routes.fleet)

fleet = Fleet(
    *(agent for each in _FLEETS for agent in each.agents.values()),
    support(elsewhere=False),
    _REFUNDS,
)
