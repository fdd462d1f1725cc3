"""What people are shown of a case and of its questions, as data."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from handrail.actions import (
    DIGEST_PREFIX,
    Aware,
    Finding,
    HandedCase,
    Receipt,
    RulingRecord,
    Transition,
    Usage,
    canonical,
)
from handrail.oversight.gate import DOUBT_ANSWERS, Closing, Gate, entitled, next_moment
from handrail.oversight.questions import Consultation, GateKind
from handrail.policy import after_working_time
from handrail.states import State
from handrail.text import moment_in_words, unproven

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

LARGEST_EVIDENCE = 8_000
"""Characters of evidence that memo and details show."""

_QUOTED = 2_000


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class LogLine(_View):
    """One line of a case's log."""

    at: Aware
    text: str


class StageView(_View):
    """One role of a chain: who may rule in it, and until when it is asked if nobody does."""

    role: str
    people: tuple[str, ...]
    deputies: tuple[str, ...] = ()
    until: Aware
    asked: bool = False


class GivenView(_View):
    """What somebody said to a gate, without what proves it."""

    verb: str
    by: str
    at: Aware
    proven: bool = False
    via: str = ""
    why: str = ""
    stands_for: str | None = None
    to: str | None = None

    @property
    def unproven(self) -> str:
        """What to add to their name, where nobody knows that it was they."""
        return unproven(proven=self.proven, via=self.via)


_given = functools.partial(GivenView.model_validate, from_attributes=True)


class GateView(_View):
    """An open question, complete enough to rule on. This is what the memo holds.

    `people`: who may rule now. `stages`: the whole of the chains that still owe an answer.
    `next`: when time alone next does something to it. `barred`: who may not approve it.
    `chain`: the cases by which it was handed on.
    `proof`: whether only proven rulings count. `inbox`: where people answer. `before`: what
    was proposed before somebody amended it. `units`: what the fields of action and evidence are
    in, each as a rule names it, such as `action.amount`.
    """

    gate: str
    case: str
    kind: GateKind
    step: str
    title: str
    action: dict[str, Any]
    digest: str
    why: str
    waiting_for: tuple[str, ...]
    people: tuple[str, ...]
    opened: Aware
    deadline: Aware | None
    then: tuple[str, ...]
    given: tuple[str, ...] = ()
    rationale: str = ""
    confidence: float | None = None
    evidence: Any = None
    risk: str = ""
    policy: str = ""
    findings: tuple[Finding, ...] = ()
    proof: str = "unproven"
    stages: tuple[StageView, ...] = ()
    rulings: tuple[GivenView, ...] = ()
    asked: tuple[Consultation, ...] = ()
    barred: tuple[str, ...] = ()
    requester: str | None = None
    chain: tuple[str, ...] = ()
    next: Aware | None = None
    inbox: str = ""
    before: dict[str, Any] | None = None
    summary: str = ""
    units: dict[str, str] = Field(default_factory=dict[str, str])

    @property
    def says(self) -> str:
        """What is asked in one line: the action's own words, or what kind of action it is."""
        return self.summary or self.title


class ClosedView(_View):
    """A question that is over: how, when, by whom."""

    gate: str
    step: str
    title: str
    digest: str
    opened: Aware
    closing: Closing
    rulings: tuple[GivenView, ...] = ()
    asked: tuple[Consultation, ...] = ()
    planted: bool = False


class CaseView(_View):
    """Everything about a case: what the query `case` answers."""

    case: str
    agent: str
    title: str
    state: State
    since: Aware
    why: str
    requester: str | None
    gates: tuple[GateView, ...]
    receipts: tuple[Receipt, ...]
    rulings: tuple[RulingRecord, ...]
    moves: tuple[Transition, ...]
    log: tuple[LogLine, ...]
    usage: Usage
    closed: tuple[ClosedView, ...] = ()
    incidents: tuple[str, ...] = ()
    handed: tuple[HandedCase, ...] = ()
    chain: tuple[str, ...] = ()
    outside: bool = False


def gate_view(gate: Gate, case: str, chain: tuple[str, ...] = ()) -> GateView:
    """What people need to see of an open gate."""
    asked = gate.question
    basis = asked.basis
    return GateView(
        gate=gate.id,
        case=case,
        kind=asked.kind,
        step=asked.step,
        title=asked.title,
        action=asked.action,
        digest=asked.digest,
        why=asked.why,
        waiting_for=gate.waiting_for,
        people=entitled(gate),
        opened=gate.opened,
        deadline=gate.deadline,
        then=prospect(gate),
        given=tuple(sorted(gate.agreeing())),
        rationale=basis.rationale[:_QUOTED] if basis else "",
        confidence=basis.confidence if basis else None,
        evidence=_shortened(basis.evidence) if basis else None,
        risk=asked.risk,
        policy=asked.policy,
        findings=asked.findings,
        proof=asked.terms.proof,
        stages=_stages(gate),
        rulings=tuple(map(_given, gate.rulings)),
        asked=gate.asked,
        barred=tuple(sorted(asked.barred)),
        requester=asked.requester,
        chain=chain,
        next=next_moment(gate),
        inbox=asked.terms.inbox,
        before=asked.before,
        summary=asked.summary,
        units=asked.units,
    )


def closed_view(gate: Gate) -> ClosedView | None:
    """What people need to know of a question that is over; None while it is open."""
    if gate.closed is None:
        return None
    return ClosedView(
        gate=gate.id,
        step=gate.question.step,
        title=gate.question.title,
        digest=gate.question.digest,
        opened=gate.opened,
        closing=gate.closed,
        rulings=tuple(map(_given, gate.rulings)),
        asked=gate.asked,
        planted=gate.question.planted,
    )


def _stages(gate: Gate) -> tuple[StageView, ...]:
    """The stages that are asked or will be, each with its end, in the order of the chains."""
    found: list[StageView] = []
    for leg in gate.owing():
        until = leg.deadline
        for number, stage in enumerate(leg.ask.stages[leg.stage :]):
            until = after_working_time(until, stage.after, stage.open) if number else until
            found.append(
                StageView(
                    role=stage.role,
                    people=stage.people,
                    deputies=stage.deputies,
                    until=until,
                    asked=not number,
                )
            )
    return tuple(found)


def _shortened(evidence: Any) -> Any:
    size = len(canonical(evidence))
    if size <= LARGEST_EVIDENCE:
        return evidence
    return {"too large to show here": f"{size} characters; the decide step's result has it all"}


def prospect(gate: Gate) -> tuple[str, ...]:
    """What will happen if nobody answers, in words, with the times."""
    ends = {
        GateKind.UNDO: "it is left as is",
        GateKind.UNDECIDED: "the agent gives up, and the case fails",
        GateKind.READ: "it is not sent",
        GateKind.QUESTION: "the question stays unanswered",
    }
    end = ends.get(gate.question.kind, "the write is not made")
    lines: list[str] = []
    for leg in gate.owing():
        until = leg.deadline
        for stage, following in zip(
            leg.ask.stages[leg.stage :], [*leg.ask.stages[leg.stage + 1 :], None], strict=True
        ):
            what = f"it goes to {following.role}" if following else f"it expires: {end}"
            lines.append(f"if nobody of {stage.role} answers by {moment_in_words(until)}, {what}")
            until = (
                after_working_time(until, following.after, following.open) if following else until
            )
    if any(leg.stopped for leg in gate.owing()):
        lines.append("the clock stands still until the question is answered, at most so long again")
    return tuple(lines)


def how_to_answer(gate: GateView) -> dict[str, str]:
    """For each signal that the gate takes, the exact JSON to send with it."""
    ruling: dict[str, Any] = {
        "gate": gate.gate,
        "digest": gate.digest[:DIGEST_PREFIX],
        "by": "you@example.com",
        "why": "",
    }
    if gate.kind is GateKind.IN_DOUBT:
        return {"answer": json.dumps(ruling | {"answer": " | ".join(DOUBT_ANSWERS)})}
    if gate.kind is GateKind.QUESTION:
        return {"answer": json.dumps(ruling | {"result": {}}), "reject": json.dumps(ruling)}
    signals = {"approve": json.dumps(ruling), "reject": json.dumps(ruling)}
    if gate.kind is GateKind.WRITE:
        signals["amend"] = json.dumps(ruling | {"action": gate.action})
    return signals


def seconds_in_states(moves: Iterable[Transition], until: datetime) -> dict[State, float]:
    """How many seconds a case spent in each state, from its moves."""
    spent: dict[State, float] = {}
    all_moves = list(moves)
    ends = [m.at for m in all_moves[1:]] + [until]
    for move, end in zip(all_moves, ends, strict=True):
        spent[move.state] = spent.get(move.state, 0.0) + (end - move.at).total_seconds()
    return spent
