"""Secrets of steps: each reaches the one step that declares it, and never a history."""

from handrail.agent.secrets.values import (
    DIRECTORY,
    LARGEST,
    PREFIX,
    SecretMissing,
    StepSecrets,
    declared,
    faults,
    given,
    masked,
    scrub,
    secret,
)

__all__ = [
    "DIRECTORY",
    "LARGEST",
    "PREFIX",
    "SecretMissing",
    "StepSecrets",
    "declared",
    "faults",
    "given",
    "masked",
    "scrub",
    "secret",
]
