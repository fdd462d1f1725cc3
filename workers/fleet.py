"""Which agents a worker of this repository runs."""

from pathlib import Path

import activities.shipments
import guardrails.shipments
from handrail import Agent, Fleet
from workflows.shipments import ShipmentAgent

_POLICIES = Path(guardrails.shipments.__file__).parent

fleet = Fleet(
    Agent(
        "shipments",
        ShipmentAgent,
        steps=activities.shipments,
        policy=_POLICIES / "shipments.yaml",
        checks=guardrails.shipments,
    )
)
