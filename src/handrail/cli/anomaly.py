"""`handrail normal`: what is normal for an agent now, as the door knows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from handrail.cli.context import agent_named, ledger_here
from handrail.cli.output import PLAIN, Output, moment, plain
from handrail.client import iso
from handrail.exceptions import InvalidRequest
from handrail.guardrails import AnomalyDetector, Pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handrail.policy import Policy
    from handrail.runtime import Agent


async def normal(agent: str, step: str | None = None, *, out: Output = PLAIN) -> None:
    """Show what is normal for an agent now, and what would be held as unusual.

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    step
        One of its writes, such as rebook; all that are watched if it is left out.
    """
    owner = agent_named(agent)
    policy = owner.policy_file.current()
    steps = _watched(owner, policy, step)
    now = datetime.now(UTC)
    async with ledger_here() as opened:
        watch = AnomalyDetector(owner.name, opened)
        seen = {each: await watch.normal(policy, each, now) for each in steps}
    found = {each: pattern for each, pattern in seen.items() if pattern is not None}
    out.data({"agent": owner.name, "policy": policy.label, "steps": _documents(found)})
    for each, pattern in found.items():
        out.show(*_lines(f"{owner.name}/{each}", pattern))


def _watched(agent: Agent, policy: Policy, step: str | None) -> list[str]:
    if step is not None and step not in agent.shape.writes:
        writes = ", ".join(agent.shape.writes)
        raise InvalidRequest(f"{agent.name} has no write {step}; it has: {writes}")
    asked = [step] if step is not None else list(agent.shape.writes)
    watched = [each for each in asked if policy.of(each).normal is not None]
    if not watched:
        raise InvalidRequest(
            f"the policy of {agent.name} has nothing watched{f' of {step}' if step else ''}; fix: "
            f"add to a write in {agent.policy}: normal: {{watch: [hour, rate, confidence]}}"
        )
    return watched


def _documents(found: Mapping[str, Pattern]) -> dict[str, Any]:
    return {
        step: {
            "learned": pattern.learned,
            "learn": pattern.learn,
            "since": None if pattern.since is None else iso(pattern.since),
            "figures": [
                {"what": f.what, "of": f.of, "usual": f.usual, "flags": f.flags or None}
                for f in pattern.figures()
            ],
        }
        for step, pattern in found.items()
    }


def _lines(name: str, pattern: Pattern) -> list[Table | Text | str]:
    since = "" if pattern.since is None else f", since {moment(pattern.since)}"
    head = Text(f"{plain(name)}  learned from {pattern.learned} writes{since}", "bold")
    if pattern.learned < pattern.learn:
        left = pattern.learn - pattern.learned
        return [head, f"  it is learning: nothing is flagged before {left} more writes are done"]
    table = Table("watched", "learned of", "normal", "flagged", box=None, pad_edge=False)
    for each in pattern.figures():
        cells = (each.what, str(each.of), each.usual, each.flags or "nothing yet")
        table.add_row(*map(plain, cells))
    return [head, table]
