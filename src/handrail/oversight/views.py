"""What people read of a case, in Markdown and in words.

What an approver sees is rendered here from the bytes that will be executed. Text that an agent or
the outside world wrote is shown as a quotation, each character that could disguise it spelt out.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

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
from handrail.oversight.gate import (
    DOUBT_ANSWERS,
    Closing,
    Consultation,
    Gate,
    GateKind,
    entitled,
    next_moment,
)
from handrail.oversight.page_cuts import cut_values, open_fence
from handrail.oversight.rulings import unproven_people
from handrail.policy import after_working_time
from handrail.states import State
from handrail.text import (
    escape_markdown,
    markdown_code,
    markdown_json,
    markdown_quote,
    moment_in_words,
    one_line,
    unproven,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

LOG_SHOWN = 20
"""Lines of a case's log in the details; the query `case` has them all."""

LARGEST_EVIDENCE = 8_000
"""Characters of evidence that memo and details show."""

LARGEST_PAGE = 18_000
"""Bytes of the details; Temporal takes 20,000."""

_QUOTED = 2_000
_NAMED = 50

LARGEST_SHOWN = 4_000
"""Characters of an action, or of evidence, that a page shows; with several gates less of each."""

LEAST_SHOWN = 400


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
    was proposed before somebody amended it.
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


def case_markdown(case: CaseView) -> str:
    """The page that the Temporal Web UI shows of a case."""
    lines = [f"### {_headline(case)}", ""]
    most = max(LARGEST_SHOWN // max(len(case.gates), 1), LEAST_SHOWN)
    for gate in case.gates:
        lines += _gate_lines(gate, most)
    for gate in case.gates:
        lines += _more_lines(gate, most)
    if case.incidents:
        lines += [
            "#### Incidents",
            "",
            *(f"- {escape_markdown(what)}" for what in case.incidents),
            "",
        ]
    if case.receipts:
        lines += ["#### Written", ""]
        lines += [
            f"- `{r.step}` {r.how} at {moment_in_words(r.at)}, key {markdown_code(r.key)}"
            for r in case.receipts
        ]
        lines.append("")
    lines += _handed_lines(case)
    lines += ["#### What happened so far", ""]
    if len(case.log) > LOG_SHOWN:
        lines.append(f"- ({len(case.log) - LOG_SHOWN} earlier lines: see the query `case`)")
    lines += [
        f"- {moment_in_words(entry.at)}: {escape_markdown(entry.text)}"
        for entry in case.log[-LOG_SHOWN:]
    ]
    page = "\n".join(lines)
    cut = page.encode()[:LARGEST_PAGE].decode(errors="ignore")
    if len(cut) == len(page):
        return page
    return f"{cut}\n{open_fence(cut)}\n\n(cut short: see the query `case`)"


def _handed_lines(case: CaseView) -> list[str]:
    lines = [f"- handed on by {' -> '.join(map(markdown_code, case.chain))}"] if case.chain else []
    lines += [
        f"- handed to {markdown_code(each.case)}{f': {each.status}' if each.status else ''}"
        for each in case.handed
    ]
    return ["#### Hand-offs", "", *lines, ""] if lines else []


def _headline(case: CaseView) -> str:
    state = case.state.replace("_", " ")
    if case.gates:
        asked = ", ".join(dict.fromkeys(r for gate in case.gates for r in gate.waiting_for))
        waits = "for" if case.state is State.WAITING else "with an open question for"
        state = f"{state} {waits} {asked}"
    return f"{state}{f': {escape_markdown(case.why)}' if case.why else ''}"


def _gate_lines(gate: GateView, most: int) -> list[str]:
    """What is asked and why, of whom, and how to answer: first, whatever else there is."""
    asks = {
        GateKind.WRITE: f"May `{gate.step}` be done?",
        GateKind.IN_DOUBT: f"Did `{gate.step}` happen?",
        GateKind.UNDO: f"The undo `{gate.step}` failed. Try it again?",
        GateKind.QUESTION: "The agent asks",
        GateKind.UNDECIDED: f"`{gate.step}` cannot decide. Try it again?",
        GateKind.READ: f"May `{gate.step}` be sent to somebody outside?",
    }
    own = gate.kind is GateKind.QUESTION
    title = markdown_quote(gate.title) if own else escape_markdown(gate.title)
    lines = [f"#### {asks[gate.kind]}", "", title, ""]
    lines += [f"**{escape_markdown(gate.summary)}**", ""] if gate.summary else []
    lines += [f"**Why a human is asked:** {escape_markdown(gate.why)}", ""]
    lines += [f"**Who may answer:** {_names(gate.people)} ({_names(gate.waiting_for)})", ""]
    if gate.given:
        unknown = unproven_people(gate.rulings, gate.given)
        lines += [f"**Agreed so far{unknown}:** {_names(gate.given)}", ""]
    if gate.barred:
        lines += [f"**Who may not approve it:** {_names(gate.barred)}", ""]
    lines += ["**If nobody answers:**", "", *(f"- {line}" for line in gate.then), ""]
    lines += [markdown_json(cut_values(gate.action, most)), ""]
    return lines + _answer_lines(gate, most)


def _more_lines(gate: GateView, most: int) -> list[str]:
    """What the agent and people say of it."""
    lines: list[str] = []
    if gate.before is not None:
        before = cut_values(gate.before, most)
        lines += ["**Amended. Proposed was:**", "", markdown_json(before), ""]
    if gate.rationale:
        sure = "" if gate.confidence is None else f", {gate.confidence:.0%} sure"
        lines += [f"**What the agent says{sure}:**", "", markdown_quote(gate.rationale), ""]
    if gate.evidence is not None:
        evidence = cut_values(gate.evidence, most)
        lines += ["**Evidence:**", "", markdown_json(evidence), "", *_outside(gate.evidence)]
    for asked in gate.asked:
        lines += [
            f"**{escape_markdown(asked.by)} asks {escape_markdown(asked.to)}:**",
            "",
            markdown_quote(asked.text),
            "",
        ]
        if asked.answer is not None:
            answered = f"**{escape_markdown(asked.to)} answers:**"
            lines += [answered, "", markdown_quote(asked.answer), ""]
    return lines


def _outside(evidence: Any) -> list[str]:
    """What somebody outside wrote of the evidence, as quotations."""
    fields = cast("dict[str, Any]", evidence) if isinstance(evidence, dict) else {}
    lines: list[str] = []
    for name, each in fields.items():
        match each:
            case {"untrusted": str(text)}:
                who = f"**{escape_markdown(name)}, written by somebody outside:**"
                lines += [who, "", markdown_quote(text), ""]
            case _:
                pass
    return lines


def _names(names: Iterable[str]) -> str:
    """People and roles. Who asked for a case is whatever its starters said, and cut by that."""
    every = list(names)
    most = max(2_000 // max(len(every[:_NAMED]), 4), 40)
    shown = ", ".join(escape_markdown(one_line(name, most)) for name in every[:_NAMED])
    return f"{shown} and {len(every) - _NAMED} others" if len(every) > _NAMED else shown


def _answer_lines(gate: GateView, most: int) -> list[str]:
    # Part of a case's id came with its event.
    case = quote(gate.case, safe=":").replace("_", "%5F").replace("~", "%7E")
    page = f"{gate.inbox}/gates/{case}/{gate.gate}"
    lines = [f"**To answer:** {page}", ""] if gate.inbox else []
    if gate.proof == "required":
        why = "Only proven rulings count: a signal that is sent from this page is refused."
        return [*lines, why, "", f"In a shell, with a key of your own: `{_shell(gate)}`", ""]
    return lines + _signal_lines(gate, most)


def _signal_lines(gate: GateView, most: int) -> list[str]:
    lines = [
        (
            "**To answer:** press *More Actions*, *Send a Signal*, choose the signal, "
            "and paste its JSON with your own address in `by`:"
        ),
        "",
    ]
    signals: dict[str, list[str]] = {}
    for signal, ruling in how_to_answer(gate).items():
        if len(ruling) > most:
            # Pasted as it is cut, it would be another action.
            lines += [f"`{signal}`: too long to be shown here; use the inbox or a shell", ""]
            continue
        signals.setdefault(ruling, []).append(f"`{signal}`")
    for ruling, names in signals.items():
        lines += [f"{' or '.join(names)}:", "", markdown_json(json.loads(ruling)), ""]
    return [*lines, f"Or in a shell: `{_shell(gate)}`", ""]


def _shell(gate: GateView) -> str:
    said = {
        GateKind.IN_DOUBT: f"answer {gate.gate} happened",
        GateKind.QUESTION: f"answer {gate.gate} 'JSON'",
    }.get(gate.kind, f"approve {gate.gate}")
    return f"handrail {said} --digest {gate.digest[:DIGEST_PREFIX]} --by you@example.com"


def seconds_in_states(moves: Iterable[Transition], until: datetime) -> dict[State, float]:
    """How many seconds a case spent in each state, from its moves."""
    spent: dict[State, float] = {}
    all_moves = list(moves)
    ends = [m.at for m in all_moves[1:]] + [until]
    for move, end in zip(all_moves, ends, strict=True):
        spent[move.state] = spent.get(move.state, 0.0) + (end - move.at).total_seconds()
    return spent
