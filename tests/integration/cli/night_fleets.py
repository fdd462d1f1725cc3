"""The fleets of the operator's night, as workers import them: with nothing else of the tests."""

from pathlib import Path

from handrail import Agent, Fleet
from tests.agents import orders_steps
from tests.agents.fleets import orders_in as as_it_is
from tests.replay.changed_flow import LooksTwice

__all__ = ["as_it_is", "changed"]


def changed(directory: str) -> Fleet:
    """The fleet after a careless change."""
    path = Path(directory) / "orders.yaml"
    return Fleet(Agent("orders", LooksTwice, steps=orders_steps, policy=path))
