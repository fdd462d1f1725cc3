"""The skeleton of a policy for what was discovered: all of it in pilot, with what was learned."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from handrail.evidence.discovery import END, RARE, Candidate, Predicted
from handrail.text import one_line

_RULES = 8


def policy_skeleton(candidate: Candidate, agent: str, owner: str) -> str:
    """A policy file for an agent that does what people did there, and writes nothing yet.

    Each of the choices is a write; that nothing is done is none. What was learned stands beside it
    as comments: which facts the agent's evidence will have is not known here.
    """
    named = _action_names(candidate)
    quoted = json.dumps(owner, ensure_ascii=False)
    lines = [
        f"# A skeleton, from {_plain(candidate.name)}: {candidate.cases:,} cases.",
        "# Everything is in pilot: what the agent would do is recorded beside what people do, and",
        "# nothing is written. Name the people, write the rules, then set it free by evidence.",
        *(f"# For it: {_plain(each)}." for each in candidate.why),
        *(f"# AGAINST it: {_plain(each)}." for each in candidate.against),
        f"agent: {json.dumps(agent, ensure_ascii=False)}",
        "version: 1",
        f"owner: {quoted}",
        "for: approvers",
        "",
        "actions:",
        *(line for choice, name in named.items() for line in _action(candidate, choice, name)),
        "",
        "roles:",
        "  approvers:",
        f"    people: [{quoted}]",
        "    deadline: {after: 8h, then: refuse}",
        "",
    ]
    return "\n".join(lines)


def _action_names(candidate: Candidate) -> dict[str, str]:
    """The name of the write of each thing that people did, as a policy writes it."""
    found: dict[str, str] = {}
    choices = candidate.choices if candidate.after is not None else _activities(candidate)
    for choice in choices:
        if choice in {END, RARE}:
            continue
        plain = re.sub(r"[^a-z0-9]+", "_", choice.lower()).strip("_")
        name = plain if plain[:1].isalpha() else f"do_{plain}".rstrip("_")
        taken = set(found.values())
        found[choice] = next(
            each
            for each in (name, *(f"{name}_{n}" for n in range(2, len(choices) + 3)))
            if each not in taken
        )
    return found


def _activities(candidate: Candidate) -> dict[str, None]:
    """What is done on the most common ways through a workflow, each once."""
    return dict.fromkeys(each for path in candidate.paths for each in path)


def _action(candidate: Candidate, choice: str, name: str) -> Iterator[str]:
    yield f"  {name}:"
    count = candidate.choices.get(choice)
    if candidate.after is not None and count is not None:
        yield f"    # People did it in {count:,} of {sum(candidate.choices.values()):,}."
        yield from _learned(candidate.predicted, choice)
    yield "    autonomy: pilot"
    yield "    irreversible: say why it cannot be undone, or take this away and give it an undo"


def _learned(predicted: Predicted | None, choice: str) -> Iterator[str]:
    if predicted is None:
        return
    own = [each for each in predicted.rules if each.leaf.choice == choice and each.conditions]
    for rule in own[:_RULES]:
        when = _plain(" and ".join(rule.conditions))
        yield f"    # They mostly do where {when}: {rule.leaf.right:,} of {rule.leaf.n:,}."


def _plain(text: str) -> str:
    """A text of the log on one line: a comment ends with its line."""
    return one_line(text, 300)
