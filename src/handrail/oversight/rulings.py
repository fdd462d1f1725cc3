"""How a gate judges what people send: may they, does it fit, and what becomes of the gate.

Pure and deterministic, as the gate is. Whether a ruling is proven comes from outside, as a
`ProofResult`; what a policy demands of it stands in the question's terms.

A ruling is judged three times: here, in the case; for the case, in an activity, by
`Entitlement.prove` of `handrail.guardrails`; and again at the write, by `Entitlement.approvals`,
because what a workflow says of a ruling is not relied upon there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue, ValidationError

from handrail.actions import (
    Action,
    Ruling,
    RulingRecord,
    Verb,
    as_json,
    canonical,
    digest_of,
    fits,
    from_json,
    person,
)
from handrail.oversight.gate import (
    DOUBT_ANSWERS,
    THE_AGENT,
    Closing,
    Gate,
    GateDelegation,
    close,
    pass_time,
    people,
    settled,
)
from handrail.oversight.questions import Consultation, GateKind
from handrail.oversight.signatures import BY_NAME
from handrail.text import first_fault, moment_in_words, unproven
from handrail.wire import ProofResult, RulingReading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from handrail.oversight.views import GivenView

MOST_QUESTIONS = 20
"""Questions that one gate takes."""

_LONGEST = 500
"""Characters of what is said to a ruling."""

_DECIDING = frozenset({Verb.APPROVE, Verb.AMEND, Verb.ANSWER})
_ANY_GATE = frozenset({Verb.ASK, Verb.DELEGATE, Verb.REVOKE})
_VERBS: dict[GateKind, frozenset[str]] = {
    GateKind.WRITE: _ANY_GATE | {Verb.APPROVE, Verb.REJECT, Verb.AMEND},
    GateKind.IN_DOUBT: _ANY_GATE | {Verb.ANSWER},
    GateKind.UNDO: _ANY_GATE | {Verb.APPROVE, Verb.REJECT},
    GateKind.UNDECIDED: _ANY_GATE | {Verb.APPROVE, Verb.REJECT},
    GateKind.READ: _ANY_GATE | {Verb.APPROVE, Verb.REJECT},
    GateKind.QUESTION: _ANY_GATE | {Verb.ANSWER, Verb.REJECT},
}

NOT_PROVEN = (
    "it is not proven who sent it, and this policy counts only proven rulings: rule in "
    "the inbox, or with `handrail approve` and a key of your own"
)
"""What is said to a ruling that brings no proof where one is required."""

UNPROVEN = ProofResult(proven=False)
"""Of a ruling that brings no proof."""


def gate_verbs(kind: GateKind) -> tuple[str, ...]:
    """What a gate of that kind takes."""
    return tuple(sorted(_VERBS[kind]))


def needs_proof(gate: Gate, ruling: Ruling) -> bool:
    """Whether an activity must look at a ruling before it is judged."""
    return ruling.proof is not None or gate.question.terms.proof == "required"


def judge_ruling(
    gate: Gate,
    verb: str,
    ruling: Ruling,
    now: datetime,
    model: type[Action],
    *,
    result_fault: Callable[[JsonValue], str | None] = lambda _: None,
    proof: ProofResult = UNPROVEN,
) -> tuple[Gate, RulingRecord]:
    """Judge one ruling at `now`. The record says whether it was accepted, and why not.

    Time passes first, so a ruling after the deadline finds the gate expired. `model` is
    the action's own class, against which an amendment is validated; `result_fault` says
    what is wrong with a result that a human names. Neither is asked where the `proof` brings
    what they said. Never raises.
    """
    gate, _ = pass_time(gate, now)
    by = person(ruling.by)
    seat = gate.seat_of(by)
    refusal = why_unproven(gate, ruling, proof) or _refusal(gate, verb, ruling, by)
    amended: dict[str, JsonValue] | None = None
    if refusal is None and verb == Verb.AMEND:
        read = proof.reading or read_amendment(model, ruling)
        refusal = _changes(gate, read)
        amended = read.action if refusal is None else None
    if refusal is None and brings_result(gate, verb, ruling):
        refusal = proof.reading.fault if proof.reading else result_fault(ruling.result)
    record = RulingRecord(
        verb=verb,
        gate=gate.id,
        by=by,
        at=now,
        accepted=refusal is None,
        note=(refusal or "accepted")[:_LONGEST],
        why=ruling.why,
        digest=_allowed(gate, amended),
        role=gate.role_of(by),
        answer=None if ruling.question else ruling.answer,
        proven=proof.proven and ruling.via != BY_NAME,
        stands_for=proof.stands_for or (None if seat == by else seat),
        to=person(ruling.to) if ruling.to else None,
        via=ruling.via,
        looked=ruling.looked,
        ruling=ruling if proof.proven else None,
    )
    if refusal is not None:
        return gate, record
    return _take(gate, verb, ruling, record, amended), record


def unproven_people(said: Iterable[GivenView | RulingRecord], people: Iterable[str]) -> str:
    """What to add to several names, where nobody knows of one of them that it was they."""
    best = dict.fromkeys(people, _UNKNOWN[-1])
    for each in said:
        if each.by in best:
            best[each.by] = min(best[each.by], _unknown(each), key=_UNKNOWN.index)
    return max(best.values(), key=_UNKNOWN.index, default="")


def _unknown(each: GivenView | RulingRecord) -> str:
    return unproven(proven=each.proven, via=each.via)


_UNKNOWN = ("", unproven(proven=False, via=BY_NAME), unproven(proven=False, via=""))


def answered_by_agent(gate: Gate, question: str, answer: str, now: datetime) -> Gate:
    """The gate with the agent's own answer to a question."""
    return _answer_question(gate, question, answer, now)


def refused_record(
    verb: str, now: datetime, note: str, ruling: Ruling | None = None
) -> RulingRecord:
    """The record of what was not even judged. Text of strangers is cut short in it."""
    return RulingRecord(
        verb=verb[:40],
        gate=ruling.gate if ruling else "",
        by=person(ruling.by) if ruling else "",
        at=now,
        accepted=False,
        note=note[:_LONGEST],
        why=ruling.why[:200] if ruling else "",
    )


# What is refused


def why_unproven(gate: Gate, ruling: Ruling, proof: ProofResult) -> str | None:
    """Why a ruling does not count for want of proof, or of a right; None if it does."""
    if proof.proven and not proof.entitled:
        return proof.why
    if proof.proven:
        return None
    if ruling.proof is not None:
        return f"its proof does not hold: {proof.why or 'nobody has looked at it'}"
    if gate.question.terms.proof == "required":
        return NOT_PROVEN
    return None


def _refusal(gate: Gate, verb: str, ruling: Ruling, by: str) -> str | None:
    kind = gate.question.kind
    if ruling.gate != gate.id:
        return f"it names the gate {ruling.gate}, this is {gate.id}"
    if gate.closed is not None:
        return f"the gate is closed: {gate.closed.how} at {moment_in_words(gate.closed.at)}"
    if not fits(gate.question.digest, ruling.digest):
        return f"its digest is not that of the action asked about ({gate.question.digest[:12]})"
    if verb == Verb.ANSWER and ruling.question is not None:
        return _wrong_answer(gate, ruling, by)
    if verb not in _VERBS[kind]:
        return f"this gate does not take `{verb}`; send one of: {', '.join(gate_verbs(kind))}"
    if verb == Verb.APPROVE and gate.question.misfit:
        return f"it cannot be done as it is ({gate.question.misfit}); amend or reject it"
    if verb == Verb.REVOKE:
        return None if _revocable(gate, by) else f"{by} has given nothing that could be revoked"
    return _may_not(gate, verb, by) or _wrong_words(gate, verb, ruling, by)


def _may_not(gate: Gate, verb: str, by: str) -> str | None:
    if gate.has_given_away(by):
        return f"{by} has delegated this question; revoke that first"
    if gate.role_of(by) is None:
        return f"{by} holds none of the roles asked ({', '.join(_roles(gate))})"
    if verb in {Verb.REJECT, Verb.ASK}:
        return _ruled_already(gate, by) if verb == Verb.REJECT else None
    if by in gate.question.asked_by:
        return f"{by} asked for this case and may not approve it"
    if by in gate.question.barred and verb != Verb.AMEND:
        return f"{by} wrote this amendment and may not approve it; somebody else must"
    return _ruled_already(gate, by)


def _ruled_already(gate: Gate, by: str) -> str | None:
    return f"{by} has ruled on this gate already" if _has_ruled(gate, by) else None


def _wrong_words(gate: Gate, verb: str, ruling: Ruling, by: str) -> str | None:
    if verb != Verb.ANSWER and ruling.answer is not None:
        return f"`answer` goes with the signal `answer`, not with `{verb}`"
    if verb not in {Verb.ASK, Verb.DELEGATE} and ruling.to is not None:
        return f"`to` goes with the signals `ask` and `delegate`, not with `{verb}`"
    if gate.question.kind is GateKind.IN_DOUBT and verb == Verb.ANSWER:
        known = ", ".join(DOUBT_ANSWERS)
        return None if ruling.answer in DOUBT_ANSWERS else f"`answer` must be one of: {known}"
    if verb == Verb.ASK:
        return _wrong_question(gate, ruling)
    return _wrong_deputy(gate, by, ruling) if verb == Verb.DELEGATE else None


def _wrong_question(gate: Gate, ruling: Ruling) -> str | None:
    to = person(ruling.to or "")
    if not ruling.why.strip():
        return "put the question into `why`"
    if len(gate.asked) >= MOST_QUESTIONS:
        return f"{MOST_QUESTIONS} questions were asked already; approve or reject"
    if to != THE_AGENT and to not in gate.named():
        known = ", ".join(sorted(gate.named()))
        return f"`to` must be `{THE_AGENT}`, or one of the people whom the policy names: {known}"
    return None


def _wrong_deputy(gate: Gate, by: str, ruling: Ruling) -> str | None:
    to = person(ruling.to or "")
    if not to:
        return "say in `to` to whom it is delegated"
    if to == by:
        return f"{by} has it already: nobody delegates to themselves"
    if gate.seat_of(by) != by:
        return f"{by} stands in for {gate.seat_of(by)}, and may not delegate that further"
    seats = [s for leg in gate.legs for s in leg.reached if by in people(s)]
    deputies = {person(p) for stage in seats for p in stage.deputies}
    if to not in deputies:
        known = ", ".join(sorted(deputies)) or "nobody"
        return f"the policy lets {by} delegate to {known}, not to {to}"
    if to in gate.question.barred:
        return f"{to} asked for this, or wrote it, and may not approve it"
    if any(d.to == to for d in gate.delegated) or _has_ruled(gate, to):
        return f"{to} rules on this gate already"
    return None


def _wrong_answer(gate: Gate, ruling: Ruling, by: str) -> str | None:
    asked = next((a for a in gate.asked if a.id == ruling.question), None)
    if asked is None:
        return f"there is no question {ruling.question} at this gate"
    if asked.answer is not None:
        return f"the question {asked.id} is answered already"
    if by != asked.to:
        return f"the question {asked.id} was put to {asked.to}, not to {by}"
    return None if (ruling.answer or "").strip() else "put the answer into `answer`"


def _has_ruled(gate: Gate, by: str) -> bool:
    """Whether they have ruled, and have not been asked as somebody else since."""
    here = [r.at for r in gate.rulings if r.accepted and r.by == by and r.verb != Verb.ASK]
    times = [*here, *(said.at for said in gate.said() if said.by == by)]
    if not times:
        return False
    stages = (
        (s, at) for leg in gate.owing() for s, at in zip(leg.reached, leg.starts, strict=True)
    )
    return not any(by in people(stage) and start > max(times) for stage, start in stages)


def _revocable(gate: Gate, by: str) -> bool:
    given = any(r.by == by and r.verb in _DECIDING for r in (*gate.question.given, *gate.rulings))
    return given or (gate.has_given_away(by) and not _deputy_ruled(gate, by))


def _deputy_ruled(gate: Gate, by: str) -> bool:
    deputies = {d.to for d in gate.delegated if d.by == by}
    return any(r.by in deputies and r.verb in _DECIDING for r in gate.rulings)


def _roles(gate: Gate) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.role for leg in gate.legs for s in leg.reached))


# What is taken


def brings_result(gate: Gate, verb: str, ruling: Ruling) -> bool:
    """Whether a ruling brings what a class of the agent's must take."""
    if verb != Verb.ANSWER or ruling.question is not None:
        return False
    return gate.question.kind is GateKind.QUESTION or ruling.answer == "happened"


def read_amendment(model: type[Action], ruling: Ruling) -> RulingReading:
    """What the class of an action makes of an amendment: the action as it would be done."""
    if ruling.action is None:
        return RulingReading(fault="an amendment needs the whole `action` as it shall be")
    try:
        action = as_json(from_json(model, ruling.action))
        if as_json(from_json(model, action)) != action:
            return RulingReading(fault="the amended action does not read back what it writes")
        canonical(action).encode()
    except ValidationError as error:
        return RulingReading(fault=f"the amended action is not valid: {first_fault(error)}")
    # The agent's own validators: whatever they raise, a ruling must not wedge the case.
    except Exception as error:  # noqa: BLE001
        why = f"the amended action cannot be judged: {type(error).__name__}: {error}"
        return RulingReading(fault=why)
    return RulingReading(action=action)


def _changes(gate: Gate, read: RulingReading) -> str | None:
    """Why an amendment does not count; None if it does."""
    if read.action is None:
        return read.fault or "an amendment needs the whole `action` as it shall be"
    if digest_of(gate.question.step, read.action) == gate.question.digest:
        return "the amendment changes nothing; approve instead"
    return None


def _allowed(gate: Gate, amended: dict[str, JsonValue] | None) -> str:
    return gate.question.digest if amended is None else digest_of(gate.question.step, amended)


def _take(
    gate: Gate,
    verb: str,
    ruling: Ruling,
    record: RulingRecord,
    amended: dict[str, JsonValue] | None,
) -> Gate:
    if verb == Verb.ASK:
        return _ask(gate, ruling, record)
    if verb == Verb.REVOKE:
        return _revoke(gate, record.by)
    if verb == Verb.ANSWER and ruling.question is not None:
        return _answer_question(gate, ruling.question, ruling.answer or "", record.at)
    gate = gate.model_copy(update={"rulings": (*gate.rulings, record)})
    if verb == Verb.DELEGATE:
        given = GateDelegation(by=record.by, to=record.to or "", at=record.at)
        return gate.model_copy(update={"delegated": (*gate.delegated, given)})
    return _decide(gate, verb, ruling, record, amended)


def _ask(gate: Gate, ruling: Ruling, record: RulingRecord) -> Gate:
    asked = Consultation(
        id=f"q{len(gate.asked) + 1}",
        by=record.by,
        to=record.to or THE_AGENT,
        text=ruling.why,
        at=record.at,
    )
    legs = tuple(leg.stop(record.at) for leg in gate.legs)
    return gate.model_copy(update={"asked": (*gate.asked, asked), "legs": legs})


def _answer_question(gate: Gate, question: str, answer: str, now: datetime) -> Gate:
    said = {"answer": answer, "answered": now}
    asked = tuple(a.model_copy(update=said) if a.id == question else a for a in gate.asked)
    gate = gate.model_copy(update={"asked": asked})
    if gate.unanswered():
        return gate
    return gate.model_copy(update={"legs": tuple(leg.go_on(now) for leg in gate.legs)})


def _revoke(gate: Gate, by: str) -> Gate:
    def kept(rulings: tuple[RulingRecord, ...]) -> tuple[RulingRecord, ...]:
        return tuple(r for r in rulings if r.by != by)

    question = gate.question.model_copy(update={"given": kept(gate.question.given)})
    delegated = tuple(d for d in gate.delegated if d.by != by)
    left = {"question": question, "rulings": kept(gate.rulings), "delegated": delegated}
    return gate.model_copy(update=left)


def _decide(
    gate: Gate,
    verb: str,
    ruling: Ruling,
    record: RulingRecord,
    amended: dict[str, JsonValue] | None,
) -> Gate:
    if verb == Verb.REJECT:
        return close(gate, _closing("rejected", record))
    if verb == Verb.AMEND and amended is not None:
        return close(gate, _closing("amended", record).model_copy(update={"action": amended}))
    said = gate.said(ruling.answer)
    if gate.question.kind is GateKind.QUESTION:
        who, why = (record.by,), ruling.why
        closing = Closing(how="answered", at=record.at, by=who, why=why, result=ruling.result)
        return close(gate, closing)
    if not settled(gate.legs, said, apart=gate.question.terms.apart):
        return gate
    by = tuple(sorted({each.by for each in said}))
    closing = Closing(how="approved", at=record.at, by=by, why=ruling.why)
    if verb == Verb.ANSWER:
        answer = {"how": "answered", "answer": ruling.answer, "result": ruling.result}
        closing = closing.model_copy(update=answer)
    return close(gate, closing)


def _closing(how: Literal["rejected", "amended"], record: RulingRecord) -> Closing:
    return Closing(how=how, at=record.at, by=(record.by,), why=record.why)
