"""The research agent, which people ask by a form, the command line or a program."""

from pathlib import Path

import activities.research
import guardrails.research
from handrail import Agent, Fleet, Form
from workflows.research import ResearchAgent

fleet = Fleet(
    Agent(
        "research",
        ResearchAgent,
        steps=activities.research,
        policy=Path(guardrails.research.__file__).with_name("research.yaml"),
        checks=guardrails.research,
        triggers=[Form(name="staff", people=("@example.com",))],
    )
)
