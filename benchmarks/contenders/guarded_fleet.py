# ruff: noqa: INP001  # a module of a user's project: its directory is on the path
"""Which agents the worker runs: what `workers/fleet.py` is in a project."""

from pathlib import Path

import guarded_steps
from guarded import GuardedFreight

from handrail import Agent, Fleet

POLICY = Path(__file__).with_name("guarded.yaml")

fleet = Fleet(
    Agent("guarded", GuardedFreight, steps=guarded_steps, policy=POLICY),
    passthrough=["freight"],
)
