"""Secrets of steps: each reaches the one step that declares it, and never a history."""

from handrail.agent.secrets.values import (
    LARGEST,
    SECRET_PREFIX,
    SECRETS_DIRECTORY,
    SecretMissing,
    StepSecrets,
    declared,
    scrub,
    secret,
    secret_faults,
    secrets_given,
    without_secrets,
)

__all__ = [
    "LARGEST",
    "SECRETS_DIRECTORY",
    "SECRET_PREFIX",
    "SecretMissing",
    "StepSecrets",
    "declared",
    "scrub",
    "secret",
    "secret_faults",
    "secrets_given",
    "without_secrets",
]
