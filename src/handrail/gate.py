"""The approval gate: one open question to humans about one action.

Pure and deterministic: `(gate, ruling or time) -> gate`. It knows nothing of Temporal;
the workflow feeds it and acts on how it closed. Time is always an argument.

A gate asks one or more chains of roles (`Ask`). Each chain stands at a stage; when the
stage's time is over it goes to the next one, and after the last the gate expires. The
people of every stage reached so far may rule. A gate is approved when every chain has
its quorum of distinct people.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue, ValidationError

from handrail.actions import (
    Action,
    Ask,
    Aware,
    Basis,
    Finding,
    Ruled,
    Ruling,
    Stage,
    Verb,
    Wire,
    digest_of,
    fits,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime


class GateKind(StrEnum):
    """What a gate asks."""

    WRITE = "write"
    """May this be done? approve, reject, amend."""
    IN_DOUBT = "in_doubt"
    """Did this happen? answer: happened, do it, drop."""
    UNDO = "undo_failed"
    """An undo failed. approve: try again. reject: leave it."""


ANSWERS = ("happened", "do it", "drop")
"""What may be answered to a gate that is in doubt."""

_VERBS: dict[GateKind, frozenset[str]] = {
    GateKind.WRITE: frozenset({Verb.APPROVE, Verb.REJECT, Verb.AMEND}),
    GateKind.IN_DOUBT: frozenset({Verb.ANSWER}),
    GateKind.UNDO: frozenset({Verb.APPROVE, Verb.REJECT}),
}


class Question(Wire):
    """What is asked: the exact action, and why a human must say."""

    kind: GateKind
    step: str
    title: str
    action: dict[str, JsonValue]
    digest: str
    why: str
    asks: tuple[Ask, ...]
    findings: tuple[Finding, ...] = ()
    basis: Basis | None = None
    requester: str | None = None
    given: tuple[Ruled, ...] = ()
    risk: str = ""
    policy: str = ""


class Leg(Wire):
    """Where one chain stands: the stage it reached, since when, and reminders sent in it."""

    ask: Ask
    since: Aware
    stage: int = 0
    reminded: int = 0

    @property
    def reached(self) -> tuple[Stage, ...]:
        """The stages whose people may rule."""
        return self.ask.stages[: self.stage + 1]

    @property
    def now_asked(self) -> Stage:
        """The stage that is being asked."""
        return self.ask.stages[self.stage]

    @property
    def starts(self) -> tuple[datetime, ...]:
        """Since when each of the stages reached is asked."""
        starts = [self.since]
        for stage in reversed(self.ask.stages[: self.stage]):
            starts.insert(0, starts[0] - stage.after)
        return tuple(starts)

    @property
    def deadline(self) -> datetime:
        """When this stage's time is over."""
        return self.since + self.now_asked.after


class Closing(Wire):
    """How a gate closed."""

    how: Literal["approved", "rejected", "amended", "answered", "expired", "withdrawn"]
    at: Aware
    by: tuple[str, ...] = ()
    why: str = ""
    action: dict[str, JsonValue] | None = None
    answer: str | None = None
    result: JsonValue = None


class Passed(Wire):
    """Something that time alone brought about."""

    what: Literal["reminder", "escalated", "expired"]
    at: Aware
    role: str
    to: str | None = None


class Gate(Wire):
    """One question, how far it got, and the rulings that it took."""

    id: str
    question: Question
    opened: Aware
    legs: tuple[Leg, ...]
    rulings: tuple[Ruled, ...] = ()
    closed: Closing | None = None

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """The roles that still owe an answer, each once."""
        return tuple(dict.fromkeys(leg.now_asked.role for leg in self.owing()))

    @property
    def deadline(self) -> datetime | None:
        """When the first of the owing stages is over. None when closed."""
        return min((leg.deadline for leg in self.owing()), default=None)

    def owing(self) -> tuple[Leg, ...]:
        """The chains that have no quorum yet; none of a closed gate."""
        if self.closed is not None:
            return ()
        said = self.said()
        owing = tuple(leg for leg in self.legs if not _settled(leg, said))
        # Only a ruling closes a gate. Were none owing, it would never be over either.
        return owing or self.legs

    def agreeing(self) -> frozenset[str]:
        """Who agreed to exactly this action, here or before the gate had to open again."""
        return frozenset(by for by, _ in self.said())

    def said(self, answer: str | None = None) -> tuple[tuple[str, datetime], ...]:
        """Who agreed to exactly this action, and when; what was given before, as it opened.

        With `answer`: who gave that answer to a gate in doubt.
        """
        verbs = {Verb.ANSWER} if answer else {Verb.APPROVE, Verb.AMEND}
        return tuple(
            (r.by, max(r.at, self.opened))
            for r in (*self.question.given, *self.rulings)
            if r.accepted
            and r.verb in verbs
            and r.digest == self.question.digest
            and r.answer == answer
        )


def open_gate(gate_id: str, question: Question, now: datetime) -> Gate:
    """Open a gate under an id that was never used before."""
    legs = tuple(Leg(ask=ask, since=now) for ask in question.asks)
    return Gate(id=gate_id, question=question, opened=now, legs=legs)


def person(address: str) -> str:
    """One spelling for one person."""
    return address.strip().casefold()


def next_moment(gate: Gate) -> datetime | None:
    """When time will next do something to the gate. None when it is closed."""
    moments = [min(leg.deadline, _reminder(leg) or leg.deadline) for leg in gate.owing()]
    return min(moments, default=None)


def pass_time(gate: Gate, now: datetime) -> tuple[Gate, tuple[Passed, ...]]:
    """Let it be `now`: reminders, escalations and at last the end that is never an approval."""
    if gate.closed is not None:
        return gate, ()
    passed: list[Passed] = []
    legs: list[Leg] = []
    owing = gate.owing()
    for leg in gate.legs:
        aged, events = _age(leg, now) if leg in owing else (leg, ())
        legs.append(aged)
        passed.extend(events)
    gate = gate.model_copy(update={"legs": tuple(legs)})
    expired = next((p for p in passed if p.what == "expired"), None)
    if expired is not None:
        why = f"nobody of {expired.role} answered in time"
        gate = _close(gate, Closing(how="expired", at=expired.at, why=why))
    return gate, tuple(passed)


def rule(  # noqa: PLR0917  # the four facts of a ruling, and how to judge it
    gate: Gate,
    verb: str,
    ruling: Ruling,
    now: datetime,
    model: type[Action],
    result_fault: Callable[[JsonValue], str | None] = lambda _: None,
    proven: Callable[[Ruling], bool] = lambda _: False,
) -> tuple[Gate, Ruled]:
    """Judge one ruling at `now`. The record says whether it was accepted, and why not.

    Time passes first, so a ruling after the deadline finds the gate expired. `model` is
    the action's own class, against which an amendment is validated; `result_fault` says
    what is wrong with the result of a write that is said to have happened. Never raises.
    """
    gate, _ = pass_time(gate, now)
    by = person(ruling.by)
    refusal = _refusal(gate, verb, ruling, by)
    amended: Action | None = None
    if refusal is None and verb == Verb.AMEND:
        amended, refusal = _amended(gate, ruling, model)
    if refusal is None and ruling.answer == "happened":
        refusal = result_fault(ruling.result)
    record = Ruled(
        verb=verb,
        gate=gate.id,
        by=by,
        at=now,
        accepted=refusal is None,
        note=refusal or "accepted",
        why=ruling.why,
        digest=_allowed(gate, amended),
        role=_role_of(gate, by),
        answer=ruling.answer,
        proven=proven(ruling),
    )
    if refusal is not None:
        return gate, record
    gate = gate.model_copy(update={"rulings": (*gate.rulings, record)})
    return _decide(gate, verb, ruling, record, amended), record


def withdraw(gate: Gate, now: datetime, why: str) -> Gate:
    """Close a gate that nobody needs answered any more (the case stopped, say)."""
    if gate.closed is not None:
        return gate
    return _close(gate, Closing(how="withdrawn", at=now, why=why))


def entitled(gate: Gate) -> tuple[str, ...]:
    """Everybody who may rule on the gate now."""
    return tuple(dict.fromkeys(p for leg in gate.legs for s in leg.reached for p in s.people))


def _refusal(gate: Gate, verb: str, ruling: Ruling, by: str) -> str | None:
    if ruling.gate != gate.id:
        return f"it names the gate {ruling.gate}, this is {gate.id}"
    if gate.closed is not None:
        return f"the gate is closed: {gate.closed.how} at {gate.closed.at:%Y-%m-%d %H:%M:%S} UTC"
    if verb not in _VERBS[gate.question.kind]:
        wanted = ", ".join(sorted(_VERBS[gate.question.kind]))
        return f"this gate does not take `{verb}`; send one of: {wanted}"
    if not fits(gate.question.digest, ruling.digest):
        return f"its digest is not that of the action asked about ({gate.question.digest[:12]})"
    if _role_of(gate, by) is None:
        return f"{by} holds none of the roles asked ({', '.join(_roles(gate))})"
    if by == person(gate.question.requester or "") and verb != Verb.REJECT:
        return f"{by} asked for this case and may not approve it"
    if _has_ruled(gate, by):
        return f"{by} has ruled on this gate already"
    if verb != Verb.ANSWER and ruling.answer is not None:
        return f"`answer` goes with the signal `answer`, not with `{verb}`"
    if verb == Verb.ANSWER and ruling.answer not in ANSWERS:
        return f"`answer` must be one of: {', '.join(ANSWERS)}"
    return None


def _amended(gate: Gate, ruling: Ruling, model: type[Action]) -> tuple[Action | None, str | None]:
    if ruling.action is None:
        return None, "an amendment needs the whole `action` as it shall be"
    try:
        action = model.model_validate(ruling.action)
        digest = digest_of(gate.question.step, action.model_dump(mode="json"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "action"
        return None, f"the amended action is not valid: {where}: {first['msg']}"
    if digest == gate.question.digest:
        return None, "the amendment changes nothing; approve instead"
    return action, None


def _allowed(gate: Gate, amended: Action | None) -> str:
    if amended is None:
        return gate.question.digest
    return digest_of(gate.question.step, amended.model_dump(mode="json"))


def _decide(gate: Gate, verb: str, ruling: Ruling, record: Ruled, amended: Action | None) -> Gate:
    if verb == Verb.REJECT:
        return _close(gate, _closing("rejected", record))
    if verb == Verb.AMEND and amended is not None:
        action = amended.model_dump(mode="json")
        return _close(gate, _closing("amended", record).model_copy(update={"action": action}))
    said = gate.said(ruling.answer)
    if not all(_settled(leg, said) for leg in gate.legs):
        return gate
    by = tuple(sorted({who for who, _ in said}))
    closing = Closing(how="approved", at=record.at, by=by, why=ruling.why)
    if verb == Verb.ANSWER:
        answer = {"how": "answered", "answer": ruling.answer, "result": ruling.result}
        closing = closing.model_copy(update=answer)
    return _close(gate, closing)


def _closing(how: Literal["rejected", "amended"], record: Ruled) -> Closing:
    return Closing(how=how, at=record.at, by=(record.by,), why=record.why)


def _close(gate: Gate, closing: Closing) -> Gate:
    return gate.model_copy(update={"closed": closing})


def _settled(leg: Leg, said: Iterable[tuple[str, datetime]]) -> bool:
    """Whether one of the stages reached has its quorum.

    A person counts for the own stage and for earlier ones: an approval from above
    completes a quorum below, one from below never fills a quorum above. What was said
    before a stage was reached was not said for it: otherwise time alone would approve.
    """
    given = tuple(said)
    counting: set[str] = set()
    for stage, start in zip(reversed(leg.reached), reversed(leg.starts), strict=True):
        people = _people(stage)
        counting |= {by for by, at in given if at >= start and by in people}
        if len(counting) >= stage.quorum:
            return True
    return False


def _has_ruled(gate: Gate, by: str) -> bool:
    """Whether they have ruled, and have not been asked as somebody else since."""
    here = [r.at for r in gate.rulings if r.accepted and r.by == by]
    times = [*here, *(at for who, at in gate.said() if who == by)]
    if not times:
        return False
    stages = (
        (s, at) for leg in gate.owing() for s, at in zip(leg.reached, leg.starts, strict=True)
    )
    return not any(by in _people(stage) and start > max(times) for stage, start in stages)


def _people(stage: Stage) -> set[str]:
    return {person(p) for p in stage.people}


def _role_of(gate: Gate, by: str) -> str | None:
    stages = (stage for leg in gate.legs for stage in leg.reached)
    return next((stage.role for stage in stages if by in _people(stage)), None)


def _roles(gate: Gate) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.role for leg in gate.legs for s in leg.reached))


def _reminder(leg: Leg) -> datetime | None:
    if leg.now_asked.remind is None:
        return None
    moment = leg.since + leg.now_asked.remind * (leg.reminded + 1)
    return moment if moment < leg.deadline else None


def _age(leg: Leg, now: datetime) -> tuple[Leg, tuple[Passed, ...]]:
    """Age one chain. Reminders that were missed together count as one."""
    events: list[Passed] = []
    while now >= leg.deadline:
        role = leg.now_asked.role
        if leg.stage + 1 == len(leg.ask.stages):
            return leg, (*events, Passed(what="expired", at=leg.deadline, role=role))
        to = leg.ask.stages[leg.stage + 1].role
        events.append(Passed(what="escalated", at=leg.deadline, role=role, to=to))
        leg = Leg(ask=leg.ask, since=leg.deadline, stage=leg.stage + 1)
    moment = _reminder(leg)
    if moment is not None and now >= moment:
        remind = leg.now_asked.remind
        assert remind is not None  # noqa: S101  # _reminder gave a moment
        leg = leg.model_copy(update={"reminded": (now - leg.since) // remind})
        events.append(Passed(what="reminder", at=now, role=leg.now_asked.role))
    return leg, tuple(events)
