"""The onboarding agent, for a worker of its own."""

from pathlib import Path

import activities.onboarding
import guardrails.onboarding
from handrail import Agent, Fleet
from workflows.onboarding import OnboardingAgent

fleet = Fleet(
    Agent(
        "onboarding",
        OnboardingAgent,
        steps=activities.onboarding,
        policy=Path(guardrails.onboarding.__file__).with_name("onboarding.yaml"),
        checks=guardrails.onboarding,
    )
)
