"""What the conductor asks people, and what their answers make of a write. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from typing_extensions import TypeVar

from handrail.actions import (
    Action,
    Attempt,
    Basis,
    DoubtAnswer,
    Kind,
    RulingRecord,
    Verdict,
    WriteResult,
    WriteResultKind,
    canonical,
    digest_of,
)
from handrail.agent.case import UndoEntry
from handrail.agent.steps import Write
from handrail.exceptions import Expired, InDoubt, Refused, Rejected
from handrail.oversight import Closing, GateKind, Question
from handrail.states import State

if TYPE_CHECKING:
    from pydantic import JsonValue

R = TypeVar("R")
A = TypeVar("A", bound=Action)

LARGEST_ACTION = 32_000
"""Characters of the largest action, as JSON: it must fit into memo and details."""

OWN_QUESTION = "ask"
"""What stands for a write step in an agent's own question."""

FRESH = timedelta(minutes=1)
"""How long what the door said of a decision stands for what it would say of the write.

When people work was told from that moment on, so that it is asked again later."""

ASK_AGAIN = timedelta(minutes=1)
"""How long a case that met a stop waits before it asks again; each time twice as long, and at
most `ASK_AGAIN_MOST`. Whoever lifts a stop resumes those that wait for it."""

ASK_AGAIN_MOST = timedelta(hours=1)

_TITLE = 500


def foreseen(verdict: Verdict | None, requester: str | None) -> WriteResult | None:
    """What the door said when the decision was made, if it would not just let it pass.

    It did not know the requester then, so it is asked again where there is one.
    """
    if verdict is None or verdict.kind is Kind.PASS or requester is not None:
        return None
    held = verdict.kind is Kind.HOLD
    return WriteResult(
        kind=WriteResultKind.HELD if held else WriteResultKind.REFUSED, verdict=verdict
    )


def with_sources(basis: Basis | None, unsourced: tuple[str, ...]) -> Basis | None:
    """The basis of a write, saying also what of it has no trusted source."""
    if not unsourced:
        return basis
    return (basis or Basis()).model_copy(update={"unsourced": unsourced})


def digest(step: Write[Any, Any], action: Action) -> str:
    """The digest of an action, if it is small enough to ask people about.

    Raises:
        Refused: if it is not.
    """
    given = action.model_dump(mode="json")
    size = len(canonical(given))
    if size > LARGEST_ACTION:
        raise Refused(
            step.name,
            f"the action has {size} characters and {LARGEST_ACTION} are the most that people can "
            "be asked about; refer to large data by its id",
        )
    return digest_of(step.name, given)


def undo_entry(step: Write[Any, Any], action: Action, attempt: Attempt) -> UndoEntry:
    """What to remember of a write before it begins."""
    return UndoEntry(
        key=attempt.key,
        step=step.name,
        undo=step.undo.name if step.undo else None,
        action=action.model_dump(mode="json"),
        digest=attempt.digest,
        timeout=step.undo.timeout if step.undo else step.timeout,
    )


def about_write(step: Write[A, Any], action: A, answer: WriteResult, attempt: Attempt) -> Question:
    """May this be done? Or, of a write in doubt: did it happen?"""
    doubtful = answer.kind is WriteResultKind.IN_DOUBT
    shown = action.model_dump(mode="json")
    return Question(
        kind=GateKind.IN_DOUBT if doubtful else GateKind.WRITE,
        step=step.name,
        title=(step.action.__doc__ or step.summary).strip().splitlines()[0],
        action=shown,
        digest=digest_of(step.name, shown),
        why=answer.why or answer.verdict.why(),
        asks=answer.verdict.asks,
        findings=answer.verdict.findings,
        basis=attempt.basis,
        requester=attempt.requester,
        drafters=attempt.drafters,
        given=() if doubtful else _heard(attempt.rulings, answer.verdict.heard),
        risk="reversible" if step.undo is not None else "irreversible",
        policy=answer.verdict.policy,
        terms=answer.verdict.terms.model_copy(update={"planted": None}),
    )


def _heard(
    rulings: tuple[RulingRecord, ...], heard: tuple[str, ...] | None
) -> tuple[RulingRecord, ...]:
    """The rulings that count still. Whose do not, may rule again."""
    return rulings if heard is None else tuple(r for r in rulings if r.by in heard)


def planted(step: Write[A, Any], answer: WriteResult, asked: Question) -> Question | None:
    """A bad proposal that is asked about before the real one, and never done; mostly None."""
    bad = answer.verdict.terms.planted
    if bad is None or asked.kind is not GateKind.WRITE or asked.given:
        return None
    changed = {"action": bad, "digest": digest_of(step.name, bad), "planted": True}
    return asked.model_copy(update=changed)


def agents_own(text: str, form: dict[str, Any], evidence: JsonValue, whom: Verdict) -> Question:
    """An agent's own question to people."""
    action: dict[str, JsonValue] = {"question": text, "answer": form.get("title", "an answer")}
    return Question(
        kind=GateKind.QUESTION,
        step=OWN_QUESTION,
        title=text[:_TITLE],
        action=action,
        digest=digest_of(OWN_QUESTION, action),
        why="the agent asks",
        asks=whom.asks,
        basis=Basis(evidence=evidence),
        policy=whom.policy,
        terms=whom.terms,
    )


def about_undo(entry: UndoEntry, attempt: Attempt, answer: WriteResult) -> Question:
    """What to do of an undo that was held, failed, or is in doubt."""
    kinds = {WriteResultKind.FAILED: GateKind.UNDO, WriteResultKind.IN_DOUBT: GateKind.IN_DOUBT}
    return Question(
        kind=kinds.get(answer.kind, GateKind.WRITE),
        step=entry.undo or entry.step,
        title=f"Take back {entry.step}",
        action=entry.action,
        digest=attempt.digest,
        why=answer.why or answer.verdict.why(),
        asks=answer.verdict.asks,
        findings=answer.verdict.findings,
        policy=answer.verdict.policy,
        terms=answer.verdict.terms.model_copy(update={"planted": None}),
    )


def what_next(
    step: Write[A, Any], action: A, closing: Closing, answer: WriteResult, who: str
) -> tuple[A, DoubtAnswer | None]:
    """What to attempt after a gate closed by `who`, in words.

    Raises:
        Rejected: if a human rejected it.
        Expired: if nobody ruled in time.
        InDoubt: if it is left in doubt.
    """
    if closing.how == "approved":
        return action, None
    if closing.how == "amended":
        return step.action.model_validate(closing.action), None
    said = doubt(closing, answer)
    if said is not None:
        return action, said
    if answer.kind is WriteResultKind.IN_DOUBT:
        why = f"nobody knows whether it happened; {closing.how} {', '.join(closing.by)}".rstrip()
        raise InDoubt(step.name, why, State.EXPIRED if closing.how == "expired" else State.REJECTED)
    if closing.how == "rejected":
        raise Rejected(step.name, f"rejected by {who}: {closing.why}".rstrip(": "))
    raise Expired(step.name, closing.why)


def doubt(closing: Closing, answer: WriteResult) -> DoubtAnswer | None:
    """What people said of a write in doubt; None if they said nothing, or to drop it."""
    if closing.how != "answered" or closing.answer == "drop":
        return None
    return DoubtAnswer(
        answer="happened" if closing.answer == "happened" else "do it",
        by=", ".join(closing.by),
        token=answer.token,
        result=closing.result,
    )
