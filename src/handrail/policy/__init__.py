"""Policy: what an agent may do alone, and who may allow more; a YAML file, judged before use.

`file` parses it, `compiler` holds it against the steps of the agent, `rules` is the rule engine,
`quorum` counts approvals, and `policy` answers: what an agent may do alone, who may allow more,
and how long they have.
"""

from typing import TYPE_CHECKING

from handrail.faces import on_demand

if TYPE_CHECKING:
    from handrail.policy.alerting import ALARMS, AlertsDoc
    from handrail.policy.business_hours import after_working_time, working_time
    from handrail.policy.describe import describe_policy
    from handrail.policy.file import (
        ActionDoc,
        FileDoc,
        PilotDoc,
        PromoteDoc,
        known_policy,
        read_policy_file,
    )
    from handrail.policy.json_schema import policy_schema
    from handrail.policy.matching import NobodyMayApprove, distinct_people
    from handrail.policy.parts import AgentShape, Breaker, Budget, Facts, Normal, Review, WriteShape
    from handrail.policy.policy import Policy, share_of
    from handrail.policy.policy_file import PolicyFile, parse_policy
    from handrail.policy.quorum import Approval
    from handrail.policy.rule_types import Types
    from handrail.policy.setting import Setting
    from handrail.policy.values import (
        STUCK_AFTER,
        Days,
        Duration,
        TimeOfDay,
        Tolerance,
        Zone,
        written,
    )
    from handrail.policy.worth import MetricDoc, Money, WorthDoc, metric_in_words
    from handrail.policy.yaml import (
        Fault,
        Faults,
        Stamp,
        file_content,
        file_stamp,
        open_file,
        parse_yaml,
    )
else:
    __getattr__ = on_demand(__name__)

__all__ = [
    "ALARMS",
    "STUCK_AFTER",
    "ActionDoc",
    "AgentShape",
    "AlertsDoc",
    "Approval",
    "Breaker",
    "Budget",
    "Days",
    "Duration",
    "Facts",
    "Fault",
    "Faults",
    "FileDoc",
    "MetricDoc",
    "Money",
    "NobodyMayApprove",
    "Normal",
    "PilotDoc",
    "Policy",
    "PolicyFile",
    "PromoteDoc",
    "Review",
    "Setting",
    "Stamp",
    "TimeOfDay",
    "Tolerance",
    "Types",
    "WorthDoc",
    "WriteShape",
    "Zone",
    "after_working_time",
    "describe_policy",
    "distinct_people",
    "file_content",
    "file_stamp",
    "known_policy",
    "metric_in_words",
    "open_file",
    "parse_policy",
    "parse_yaml",
    "policy_schema",
    "read_policy_file",
    "share_of",
    "working_time",
    "written",
]
