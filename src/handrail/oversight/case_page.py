"""What the Temporal Web UI shows of a case, in Markdown.

What an approver sees is rendered here from the bytes that will be executed. Text that an agent or
the outside world wrote is shown as a quotation, each character that could disguise it spelt out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from handrail.actions import DIGEST_PREFIX
from handrail.oversight.fields import gate_lines, units_in_words, was_called
from handrail.oversight.page_cuts import cut_values, open_fence
from handrail.oversight.questions import GateKind
from handrail.oversight.rulings import unproven_people
from handrail.oversight.views import how_to_answer
from handrail.states import State
from handrail.text import (
    LONGEST_QUOTED,
    escape_markdown,
    markdown_code,
    markdown_json,
    markdown_quote,
    moment_in_words,
    one_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from handrail.oversight.views import CaseView, GateView

LOG_SHOWN = 20
"""Lines of a case's log in the details; the query `case` has them all."""

LARGEST_PAGE = 18_000
"""Bytes of the details; Temporal takes 20,000."""

LARGEST_SHOWN = 4_000
"""Characters of an action, or of evidence, that a page shows; with several gates less of each."""

LEAST_SHOWN = 400

_NAMED = 50
_MOST_CHANGES = 20


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
    lines += [markdown_json(cut_values(gate.action, most)), "", *_units(gate, "action")]
    return [*lines, *_changes(gate), *_answer_lines(gate, most)]


def _units(gate: GateView, of: str) -> list[str]:
    said = units_in_words(gate.units, of)
    return [f"**Units:** {escape_markdown(said)}", ""] if said else []


def _changes(gate: GateView) -> list[str]:
    """What will be another than it is, or was proposed, side by side."""
    changes = [each for each in gate_lines(gate) if each.changes]
    if not changes or gate.kind is GateKind.QUESTION:
        return []
    before = was_called(gate)
    lines = [
        f"- {escape_markdown(each.name)}: {before} {_short(each.said_before)}, "
        f"then {_short(each.said)}"
        for each in changes[:_MOST_CHANGES]
    ]
    return ["**What changes:**", "", *lines, ""]


def _short(text: str) -> str:
    return markdown_code(text, LONGEST_QUOTED)


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
        lines += ["**Evidence:**", "", markdown_json(evidence), "", *_units(gate, "evidence")]
        lines += _outside(gate.evidence)
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
