"""The shipments agent with a policy of its own, which its tests can count on."""

from __future__ import annotations

from pathlib import Path

import activities.shipments
from handrail import Agent, Fleet
from workflows.shipments import ShipmentAgent

fleet = Fleet(
    Agent(
        "shipments",
        ShipmentAgent,
        steps=activities.shipments,
        policy=Path(__file__).with_name("shippers.yaml"),
    )
)
