"""A write that a policy lets pass, as the door hands it to what makes its effect."""

from __future__ import annotations

from handrail.actions import Action
from handrail.guardrails.context import Judgement, WriteContext
from handrail.policy import AgentShape, Facts, WriteShape, parse_policy
from handrail.wire import Attempt

POLICY = """\
agent: {agent}
version: 1
owner: boss@example.com
actions: {{{step}: {{autonomy: full, irreversible: nothing but the tests is changed by it}}}}
roles: {{lead: {{people: [ana@example.com], deadline: {{after: 1h, then: refuse}}}}}}
"""


def passed(step: str, action: Action, attempt: Attempt) -> tuple[WriteContext, Judgement]:
    """The context of a write, and that nothing is said against it."""
    agent = attempt.case.partition(":")[0]
    shape = AgentShape(agent, {step: WriteShape(step, type(action))})
    policy = parse_policy(POLICY.format(agent=agent, step=step), "passed.yaml", shape)
    facts = Facts(step, action, attempt.basis, None, attempt.case, attempt.requester)
    write = WriteContext(agent, policy, facts, attempt)
    return write, Judgement(write.verdict(()))
