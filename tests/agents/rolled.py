"""Fleets of an agent that sends parcels, in builds that do it well, and in builds that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handrail import Agent, AgentWorkflow, Fleet
from tests.agents import rolled_flow, rolled_steps
from tests.agents.fleets import ALONE, LEAD, put_policy

AGENT = "parcels"

KINDS: dict[str, type[AgentWorkflow]] = {
    "good": rolled_flow.Good,
    "refused": rolled_flow.Refused,
    "wrong": rolled_flow.Wrong,
    "fails": rolled_flow.Fails,
    "stuck": rolled_flow.Stuck,
}

POLICY: dict[str, Any] = {
    "agent": AGENT,
    "version": 1,
    "owner": "boss@example.com",
    "actions": {
        "send": {
            **ALONE,
            "irreversible": "parcels come back",
            "refuse": [{"when": 'action.to == "nowhere"', "why": "nobody lives there"}],
            "hold": [{"when": "action.valuable", "why": "it is worth much"}],
        }
    },
    "roles": {"lead": LEAD},
}


def built(directory: str, kind: str = "good") -> Fleet:
    """The fleet of a build."""
    path = Path(directory) / f"{AGENT}.yaml"
    if not path.exists():
        put_policy(Path(directory), POLICY)
    return Fleet(Agent(AGENT, KINDS[kind], steps=rolled_steps, policy=path))
