"""The policy of an agent: a YAML file that operators edit, judged in full before it is used.

`file` is its model, `judge` holds it against the steps of the agent, `policy` answers: what an
agent may do alone, who may allow more, and how long they have.
"""

from handrail.policy.findings import share_of
from handrail.policy.parts import AgentShape, Facts, Setting, WriteShape
from handrail.policy.policy import NobodyMayApprove, Policy, PolicyFile, load, parse
from handrail.policy.quorum import Approval

__all__ = [
    "AgentShape",
    "Approval",
    "Facts",
    "NobodyMayApprove",
    "Policy",
    "PolicyFile",
    "Setting",
    "WriteShape",
    "load",
    "parse",
    "share_of",
]
