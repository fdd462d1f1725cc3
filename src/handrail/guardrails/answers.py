"""What a door answers an attempt that is neither judged to its end nor made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.actions import Finding, Kind, Level, Verdict
from handrail.exceptions import ContractChanged
from handrail.text import moment_in_words
from handrail.wire import WriteResult, WriteResultKind

if TYPE_CHECKING:
    from datetime import datetime

    from handrail.guardrails.context import WriteContext
    from handrail.guardrails.effects import Doubt
    from handrail.guardrails.pipeline import Pipeline
    from handrail.policy import Policy
    from handrail.wire import Attempt


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


def misfit(pipeline: Pipeline, write: WriteContext) -> WriteResult:
    """The class of its action does not take it any more, so no rule can judge it: people must."""
    finding = Finding(check="changed", kind=Kind.HOLD, why=write.came.misfit)
    verdict = pipeline.asking(write, write.verdict([finding]))
    why = pipeline.stopped(write)
    if why is not None:
        return stopped(verdict, why)
    if write.undoing:
        return WriteResult(kind=WriteResultKind.FAILED, verdict=verdict, why=write.came.misfit)
    if write.attempt.pilot or write.policy.setting(write.facts).level is Level.PILOT:
        return recorded(verdict)
    return held(write, verdict)


def in_doubt(
    pipeline: Pipeline, write: WriteContext, verdict: Verdict, doubt: Doubt
) -> WriteResult:
    """Nobody knows whether it happened."""
    asked, why = pipeline.asking(write, verdict), doubt.words(write)
    return WriteResult(kind=WriteResultKind.IN_DOUBT, verdict=asked, why=why, token=doubt.token)


def failed(
    pipeline: Pipeline, write: WriteContext, verdict: Verdict, error: Exception
) -> WriteResult:
    """It did not happen and cannot, or it is an undo that goes on failing."""
    why = str(error) or type(error).__name__
    asked = pipeline.asking(write, verdict)
    fault = "contract_changed" if isinstance(error, ContractChanged) else ""
    return WriteResult(kind=WriteResultKind.FAILED, verdict=asked, why=why, fault=fault)


def perhaps_sent(answer: WriteResult, attempt: Attempt, since: datetime | None) -> WriteResult:
    """The same, and that it may have been sent `since` then, where only Temporal knows of that."""
    if since is None:
        return answer
    # Whatever people answer, its undo stays known, and the next activity hears of it.
    answer = answer.model_copy(update={"sent": since})
    if answer.kind not in {WriteResultKind.HELD, WriteResultKind.REFUSED}:
        return answer
    why = (
        f"it may have been sent already, since {moment_in_words(since)}, and the ledger does not "
        f"know it: look in the outside system first; its key is {attempt.key}"
    )
    finding = Finding(check="doubt", kind=answer.verdict.kind, why=why)
    said = answer.verdict.model_copy(update={"findings": (finding, *answer.verdict.findings)})
    return answer.model_copy(update={"verdict": said})


def held(write: WriteContext, verdict: Verdict) -> WriteResult:
    """It is not let pass: people are asked about it as it is here, or nobody is."""
    return WriteResult(
        kind=WriteResultKind.HELD if verdict.kind is Kind.HOLD else WriteResultKind.REFUSED,
        verdict=verdict,
        action=write.action,
        digest=write.attempt.digest,
        misfit=write.came.misfit,
        # An intent that is not believed may have been carried out all the same.
        token=write.unbelieved,
    )
