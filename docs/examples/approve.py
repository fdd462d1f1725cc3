"""Starts the case of an event, shows what it asks, approves it, and prints the outcome.

python docs/examples/approve.py AGENT 'EVENT AS JSON' KEY WORKFLOW ANA
"""

import asyncio
import json
import sys
from datetime import timedelta

from handrail.client import Operator
from handrail.runtime import operator


async def show_and_approve(ana: Operator, case: str) -> None:
    """Approve exactly what was shown: if it is another action by then, nothing is sent."""
    gate = await ana.find(case)
    print(f"{gate.step}: {gate.title}, because {gate.why}")
    print(json.dumps(gate.action, indent=2))
    ruled = await ana.approve(gate, "I have looked at it")
    print("accepted" if ruled.accepted else ruled.note)


async def main(agent: str, event: str, key: str, workflow: str, who: str) -> None:
    """Start it as a program, and approve it as a person: nobody approves what they asked for."""
    async with operator() as program, operator(by=who) as ana:
        started = await program.start(agent, json.loads(event), key=key, workflow=workflow)
        waits = await program.wait(started.case, timedelta(minutes=1))
        if waits.outcome is None:
            await show_and_approve(ana, started.case)
        over = await program.outcome(started.case, timedelta(minutes=1))
        print(over.model_dump_json(include={"case": True, "state": True, "outcome": {"why"}}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
