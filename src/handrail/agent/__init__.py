"""Agents: what an agent is written with, and how its case runs as a Temporal workflow."""

from handrail.agent.activities import (
    HOPELESS,
    Activity,
    BadResult,
    as_activity,
    run_step,
    this_case,
    trying,
)
from handrail.agent.decided import recalled
from handrail.agent.execution_info import (
    OPEN_QUERY,
    PAUSED_BY_TEMPORAL,
    describe_execution,
    executions,
    is_paused,
    pause_words,
)
from handrail.agent.heartbeats import Heartbeats, current_heartbeats
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
from handrail.agent.shapes import require_exact
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
from handrail.agent.tries import UNDECIDED, spent, total, words_of
from handrail.agent.visibility import (
    AGENT_ATTRIBUTE,
    DEADLINE_ATTRIBUTE,
    RISK_ATTRIBUTE,
    STATE_ATTRIBUTE,
    WAITING_FOR_ATTRIBUTE,
)
from handrail.agent.workflow import CASE_SIGNALS, AgentWorkflow, takes_changes

__all__ = [
    "AGENT_ATTRIBUTE",
    "CASE_SIGNALS",
    "DEADLINE_ATTRIBUTE",
    "HOPELESS",
    "NOTIFY_ACTIVITY",
    "OPEN_QUERY",
    "PAUSED_BY_TEMPORAL",
    "PROVE_ACTIVITY",
    "RISK_ATTRIBUTE",
    "ROLE_ACTIVITY",
    "SECRETS_DIRECTORY",
    "SECRET_PREFIX",
    "STATE_ATTRIBUTE",
    "UNDECIDED",
    "WAITING_FOR_ATTRIBUTE",
    "Activity",
    "AgentWorkflow",
    "BadResult",
    "Decide",
    "Heartbeats",
    "Notify",
    "Read",
    "Step",
    "StepSecrets",
    "Write",
    "as_activity",
    "current_heartbeats",
    "decide",
    "decided_type",
    "describe_execution",
    "error_in_words",
    "executions",
    "is_paused",
    "notify",
    "pause_words",
    "read",
    "recalled",
    "require_exact",
    "run_step",
    "scrub_secrets",
    "secret",
    "secret_faults",
    "secrets_given",
    "source_finding",
    "spent",
    "takes_changes",
    "this_case",
    "total",
    "trying",
    "unsourced",
    "without_secrets",
    "words_of",
    "write",
]
