"""Agents: what an agent is written with, and how its case runs as a Temporal workflow."""

from handrail.agent.activities import (
    HOPELESS,
    Activity,
    BadResult,
    as_activity,
    run_step,
    this_case,
)
from handrail.agent.invoke import NOTIFY_ACTIVITY, PROVE_ACTIVITY, ROLE_ACTIVITY, error_in_words
from handrail.agent.provenance import source_finding, unsourced
from handrail.agent.secrets import (
    SECRET_PREFIX,
    SECRETS_DIRECTORY,
    StepSecrets,
    scrub_secrets,
    secret,
    secret_faults,
    secrets_given,
    without_secrets,
)
from handrail.agent.steps import (
    Decide,
    Notify,
    Read,
    Step,
    Write,
    decide,
    decided_type,
    notify,
    read,
    write,
)
from handrail.agent.tries import end_try, metered, spent, total
from handrail.agent.visibility import (
    AGENT_ATTRIBUTE,
    DEADLINE_ATTRIBUTE,
    RISK_ATTRIBUTE,
    STATE_ATTRIBUTE,
    WAITING_FOR_ATTRIBUTE,
)
from handrail.agent.workflow import CASE_SIGNALS, AgentWorkflow

__all__ = [
    "AGENT_ATTRIBUTE",
    "CASE_SIGNALS",
    "DEADLINE_ATTRIBUTE",
    "HOPELESS",
    "NOTIFY_ACTIVITY",
    "PROVE_ACTIVITY",
    "RISK_ATTRIBUTE",
    "ROLE_ACTIVITY",
    "SECRETS_DIRECTORY",
    "SECRET_PREFIX",
    "STATE_ATTRIBUTE",
    "WAITING_FOR_ATTRIBUTE",
    "Activity",
    "AgentWorkflow",
    "BadResult",
    "Decide",
    "Notify",
    "Read",
    "Step",
    "StepSecrets",
    "Write",
    "as_activity",
    "decide",
    "decided_type",
    "end_try",
    "error_in_words",
    "metered",
    "notify",
    "read",
    "run_step",
    "scrub_secrets",
    "secret",
    "secret_faults",
    "secrets_given",
    "source_finding",
    "spent",
    "this_case",
    "total",
    "unsourced",
    "without_secrets",
    "write",
]
