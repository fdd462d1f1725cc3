"""What a door answers an attempt that is neither judged to its end nor made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.actions import Finding, Kind, Verdict
from handrail.wire import WriteResult, WriteResultKind

if TYPE_CHECKING:
    from handrail.policy import Policy


def foreign(policy: Policy, why: str) -> WriteResult:
    """It is of no case that may ask for it."""
    finding = Finding(check="case", kind=Kind.REFUSE, why=why)
    verdict = Verdict(kind=Kind.REFUSE, findings=(finding,), policy=policy.label)
    return WriteResult(kind=WriteResultKind.REFUSED, verdict=verdict)


def stopped(verdict: Verdict, why: str) -> WriteResult:
    """Somebody has stopped it."""
    finding = Finding(check="stop", kind=Kind.REFUSE, why=why)
    said = verdict.model_copy(update={"kind": Kind.REFUSE, "findings": (finding,)})
    return WriteResult(kind=WriteResultKind.STOPPED, verdict=said, why=why)


def recorded(verdict: Verdict) -> WriteResult:
    """It is only recorded, and what the door would have said."""
    would = {Kind.PASS: "let pass", Kind.HOLD: "held", Kind.REFUSE: "refused"}[verdict.kind]
    why = f"in pilot: it would be {would}{f': {verdict.why()}' if verdict.why() else ''}"
    return WriteResult(kind=WriteResultKind.PILOT, verdict=verdict, why=why)
