"""The fleet of the clerk, under a policy of its own, for the command line."""

from __future__ import annotations

from pathlib import Path

from handrail import Agent, Fleet
from tests.agents import clerk_flow, clerk_steps

POLICY = Path(__file__).with_name("clerk.yaml")

fleet = Fleet(Agent("clerk", clerk_flow.ClerkAgent, steps=clerk_steps, policy=POLICY))
