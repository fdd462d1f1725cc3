"""Hand-offs, at the agent that hands work on: nothing leaves it while it is stopped or in pilot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from handrail.agent import HAND_OFF_ACTIVITY, Activity, HandsTo, chain_fault
from handrail.wire import HandOff, HandOffVerdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handrail.guardrails.door import Door


def hand_off_activity(door: Door, declared: Sequence[HandsTo]) -> Activity:
    """The activity that says whether a case may hand work to another agent now."""

    @activity.defn(name=HAND_OFF_ACTIVITY)
    async def may(asked: HandOff) -> HandOffVerdict:
        case, policy = asked.case, door.policy.current()
        refused = door.admission.foreign(case) or chain_fault(
            declared, asked.to, asked.origin.chain
        )
        if refused is not None:
            return HandOffVerdict(kind="refused", why=refused)
        situation = await door.pipeline.situation(policy, case)
        stopped = door.pipeline.halted(policy, situation, case)
        if stopped is not None:
            return HandOffVerdict(kind="stopped", why=stopped)
        why = door.pipeline.piloting(policy, situation)
        if why is None and situation.piloted and await door.ledger.piloted(case):
            why = f"{case} is in pilot"
        return HandOffVerdict(kind="pass" if why is None else "pilot", why=why or "")

    return may
