"""Agents: what an agent is written with, and how its case runs as a Temporal workflow."""

from typing import TYPE_CHECKING

from handrail.faces import on_demand

if TYPE_CHECKING:
    from handrail.agent.activities import (
        Activity,
        BadResult,
        as_activity,
        hopeless,
        require_contract,
        run_step,
        spread_deaths,
        this_case,
        trying,
    )
    from handrail.agent.case import Case
    from handrail.agent.case_notes import QuestionNote
    from handrail.agent.decided import recalled
    from handrail.agent.execution_info import (
        OPEN_QUERY,
        PAUSED_BY_TEMPORAL,
        describe_execution,
        execution_infos,
        executions,
        is_paused,
        pause_words,
        read_execution,
    )
    from handrail.agent.handed import GOES_ON, HANDED_FROM, handed_from, handed_to
    from handrail.agent.handoff import (
        DEEPEST,
        HAND_OFF_ACTIVITY,
        OUTCOME_ACTIVITY,
        TAKE_ACTIVITY,
        HandsTo,
        as_event,
        asked_for,
        chain_fault,
    )
    from handrail.agent.heartbeats import Heartbeats, current_heartbeats
    from handrail.agent.invoke import (
        HEARTBEAT,
        NOTIFY_ACTIVITY,
        PROVE_ACTIVITY,
        RECEIPT_ACTIVITY,
        ROLE_ACTIVITY,
        error_in_words,
    )
    from handrail.agent.live_tools import ListedTool, LiveCall, LiveToolbox, ToolListing
    from handrail.agent.objects import has_request
    from handrail.agent.outcomes import OutcomeRead, outcome
    from handrail.agent.prompts import (
        DecisionModel,
        ModelAnswer,
        Prompt,
        ToolCall,
        ToolCalls,
        Turn,
        decision_types,
        require_prompt,
    )
    from handrail.agent.provenance import source_finding, unsourced
    from handrail.agent.provenance_values import closed_answers
    from handrail.agent.round_trip import require_exact
    from handrail.agent.runner import CASE_SIGNALS, CaseRunner
    from handrail.agent.secrets import (
        SECRET_PREFIX,
        SECRETS_DIRECTORY,
        StepSecrets,
        scrub_secrets,
        secret,
        secret_faults,
        secret_in_use,
        secrets_given,
        without_secrets,
    )
    from handrail.agent.step_calls import (
        Extend,
        LoopEnded,
        StepLoop,
        StepTimeout,
        call_directly,
        call_step,
        in_thread,
        steps_on,
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
    from handrail.agent.tool_loop import Converse
    from handrail.agent.tool_plan import PlannedCall, ToolPlan
    from handrail.agent.tries import (
        OVER_BUDGET,
        UNDECIDED,
        charged,
        metered,
        spent,
        total,
        words_of,
    )
    from handrail.agent.units import stated_unit, units_of, unstated_amounts
    from handrail.agent.visibility import (
        AGENT_ATTRIBUTE,
        DEADLINE_ATTRIBUTE,
        INCIDENT,
        PROBLEM_ATTRIBUTE,
        RISK_ATTRIBUTE,
        STATE_ATTRIBUTE,
        THINKING,
        WAITING_FOR_ATTRIBUTE,
    )
    from handrail.agent.workflow import AgentWorkflow, runner_of, takes_changes
else:
    __getattr__ = on_demand(__name__)

__all__ = [
    "AGENT_ATTRIBUTE",
    "CASE_SIGNALS",
    "DEADLINE_ATTRIBUTE",
    "DEEPEST",
    "GOES_ON",
    "HANDED_FROM",
    "HAND_OFF_ACTIVITY",
    "HEARTBEAT",
    "INCIDENT",
    "NOTIFY_ACTIVITY",
    "OPEN_QUERY",
    "OUTCOME_ACTIVITY",
    "OVER_BUDGET",
    "PAUSED_BY_TEMPORAL",
    "PROBLEM_ATTRIBUTE",
    "PROVE_ACTIVITY",
    "RECEIPT_ACTIVITY",
    "RISK_ATTRIBUTE",
    "ROLE_ACTIVITY",
    "SECRETS_DIRECTORY",
    "SECRET_PREFIX",
    "STATE_ATTRIBUTE",
    "TAKE_ACTIVITY",
    "THINKING",
    "UNDECIDED",
    "WAITING_FOR_ATTRIBUTE",
    "Activity",
    "AgentWorkflow",
    "BadResult",
    "Case",
    "CaseRunner",
    "Converse",
    "Decide",
    "DecisionModel",
    "Extend",
    "HandsTo",
    "Heartbeats",
    "ListedTool",
    "LiveCall",
    "LiveToolbox",
    "LoopEnded",
    "ModelAnswer",
    "Notify",
    "OutcomeRead",
    "PlannedCall",
    "Prompt",
    "QuestionNote",
    "Read",
    "Step",
    "StepLoop",
    "StepSecrets",
    "StepTimeout",
    "ToolCall",
    "ToolCalls",
    "ToolListing",
    "ToolPlan",
    "Turn",
    "Write",
    "as_activity",
    "as_event",
    "asked_for",
    "call_directly",
    "call_step",
    "chain_fault",
    "charged",
    "closed_answers",
    "current_heartbeats",
    "decide",
    "decided_type",
    "decision_types",
    "describe_execution",
    "error_in_words",
    "execution_infos",
    "executions",
    "handed_from",
    "handed_to",
    "has_request",
    "hopeless",
    "in_thread",
    "is_paused",
    "metered",
    "notify",
    "outcome",
    "pause_words",
    "read",
    "read_execution",
    "recalled",
    "require_contract",
    "require_exact",
    "require_prompt",
    "run_step",
    "runner_of",
    "scrub_secrets",
    "secret",
    "secret_faults",
    "secret_in_use",
    "secrets_given",
    "source_finding",
    "spent",
    "spread_deaths",
    "stated_unit",
    "steps_on",
    "takes_changes",
    "this_case",
    "total",
    "trying",
    "units_of",
    "unsourced",
    "unstated_amounts",
    "without_secrets",
    "words_of",
    "write",
]
