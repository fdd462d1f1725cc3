"""The fleet of the agent that rules on packages, and its policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handrail import Agent, Fleet
from tests.agents import coding_steps
from tests.agents.coding_flow import CodingAgent

OWNER = "owner@example.com"
POLICY: dict[str, Any] = {
    "agent": "coding",
    "version": 1,
    "owner": OWNER,
    "actions": {
        "rule": {
            "autonomy": "pilot",
            "irreversible": "a ruling is put right by hand before the bill is sent",
            "limits": {"count": "1 per day"},
            "pilot": {"class": "ruling", "match": {"package": "ignore"}},
            "promote": {"agreement": "95%", "cases": 200, "days": 30},
        }
    },
    "roles": {"lead": {"people": [OWNER], "deadline": {"after": "8h", "then": "refuse"}}},
    "for": "lead",
}


def coding(directory: Path, top: Mapping[str, Any] | None = None, **more: Any) -> Fleet:
    """A fleet of the one agent, in pilot."""
    rule = POLICY["actions"]["rule"] | more
    path, document = directory / "coding.yaml", {**POLICY, "actions": {"rule": rule}, **(top or {})}
    path.write_text(json.dumps(document), encoding="utf-8")
    return Fleet(Agent("coding", CodingAgent, steps=coding_steps, policy=path))
