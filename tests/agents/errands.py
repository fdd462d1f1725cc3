"""An agent that runs errands with tools that a server lists to each of its cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from handrail import Agent, Fleet
from tests.agents import live_flow, live_steps
from tests.agents.fleets import LEAD


def errands(home: Path) -> Fleet:
    policy = home / "errands.yaml"
    alone = {"autonomy": "full", "irreversible": "a slot is soon given back"}
    known: dict[str, Any] = {"agent": "errands", "version": 1, "owner": "boss@example.com"}
    tools = ["book_slot", "give_back"]
    known |= {"reads": ["free_slots", "held_slots"]}
    known |= {"actions": {"desk_call": alone | {"tools": tools}}}
    policy.write_text(json.dumps(known | {"roles": {"lead": LEAD}}))
    live_steps.desk.server, live_steps.desk.policy = live_steps.server(home), policy
    steps = [live_steps.run_errand, *live_steps.desk.steps]
    return Fleet(Agent("errands", live_flow.ErrandAgent, steps=steps, policy=policy))
