"""`handrail check`: every fault of every policy and step, before anything runs."""

from __future__ import annotations

from typing import Any

from handrail.cli import words
from handrail.cli.context import load_fleet, settings
from handrail.cli.output import Code, Output
from handrail.exceptions import ConfigurationError
from handrail.runtime import Agent, Fleet


def check(out: Output, name: str | None) -> int:
    """Check the fleet of that name, or the one that the settings name."""
    name = name or settings().fleet
    try:
        fleet = load_fleet(name)
    except ConfigurationError as error:
        out.say(f"handrail: {error}", "red")
        out.data({"ok": False, "fleet": name, "faults": [str(error)], "agents": []})
        return Code.FAILED
    agents = [_agent(agent) for agent in fleet.agents.values()]
    faults = [fault for agent in agents for fault in agent["faults"]]
    out.data({"ok": not faults, "fleet": name, "faults": faults, "agents": agents})
    if not out.json:
        _print(out, fleet, agents)
    return Code.FAILED if faults else Code.DONE


def _agent(agent: Agent) -> dict[str, Any]:
    faults = agent.faults()
    return {
        "agent": agent.name,
        "workflow": agent.workflow.__name__,
        "event": agent.event.__name__,
        "policy": str(agent.policy),
        "steps": {step.name: step.posture.value for step in agent.steps},
        "checks": [each.name for each in agent.checks],
        "faults": faults,
        "notes": [] if faults else agent.notes(),
    }


def _print(out: Output, fleet: Fleet, agents: list[dict[str, Any]]) -> None:
    from rich.text import Text  # noqa: PLC0415  # only for people

    for found in agents:
        steps = ", ".join(f"{name} ({posture})" for name, posture in found["steps"].items())
        out.show(Text(f"{found['agent']}  {found['workflow']}({found['event']})", "bold"))
        out.show(words.label("policy", found["policy"]), words.label("steps", steps))
        if found["checks"]:
            out.show(words.label("checks", ", ".join(found["checks"])))
        for note in found["notes"]:
            out.show(words.label("note", words.plain(note)))
        for fault in found["faults"]:
            out.show(Text(fault, "red"))
    count = sum(len(found["faults"]) for found in agents)
    text = f"{count} faults" if count else f"no faults in {len(fleet.agents)} agents"
    out.show(Text(text, "red" if count else "green"))
