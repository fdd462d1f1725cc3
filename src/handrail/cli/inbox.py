"""`handrail inbox`: what waits for a human. It needs no worker."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import operator
from handrail.cli.output import (
    PLAIN,
    Output,
    commands,
    exactly,
    label,
    moment,
    plain,
    quotation,
    time_left,
    units_line,
)
from handrail.text import LONGEST_QUOTED, one_line

if TYPE_CHECKING:
    from handrail.client import GateList
    from handrail.oversight import GateView

_ASKS = {
    "write": "May this be done?",
    "in_doubt": "Did this happen?",
    "undo_failed": "This undo failed. Try it again?",
    "undecided": "The agent cannot decide. Try it again?",
    "read": "May this be sent to somebody outside?",
    "question": "The agent asks.",
}


async def inbox(
    *,
    role: Annotated[str | None, Parameter(help="What waits for this role only.")] = None,
    person: Annotated[str | None, Parameter(help="What this person may answer only.")] = None,
    agent: Annotated[str | None, Parameter(help="What this agent asks only.")] = None,
    case: Annotated[str | None, Parameter(help="What this case asks only.")] = None,
    search: Annotated[str, Parameter(help="What all of these words are in only.")] = "",
    risk: Annotated[str | None, Parameter(help="reversible or irreversible only.")] = None,
    kind: Annotated[str | None, Parameter(help="One kind only: write, question, ...")] = None,
    sort: Annotated[
        str, Parameter(help="deadline, newest, oldest, unsure, or a field: largest first.")
    ] = "deadline",
    limit: Annotated[int, Parameter(help="At most so many.")] = 20,
    page: Annotated[int, Parameter(help="The page of so many.")] = 1,
    brief: Annotated[bool, Parameter(negative=(), help="One line a question.")] = False,
    out: Output = PLAIN,
) -> None:
    """Show what waits for a human: what would be done, why it is held, until when."""
    start = (max(page, 1) - 1) * limit
    async with operator(out, ledger="none") as somebody:
        found = await somebody.gates(
            role=role,
            person=person,
            agent=agent,
            case=case,
            text=search,
            risk=risk,
            kind=kind,
            sort=sort,
            limit=limit,
            offset=start,
        )
        pages = [""] * limit if brief else [await somebody.page(g.case) for g in found.gates]
    out.data(found, gates=[as_json(gate, by=person) for gate in found.gates])
    now = datetime.now(UTC)
    for gate, url in zip(found.gates, pages, strict=False):
        paused = gate.case in found.paused
        out.show(
            *(
                [_brief(gate, now)]
                if brief
                else [*lines(gate, now, url, by=person, paused=paused), ""]
            )
        )
    for each in found.unreadable:
        out.show(Text(f"{plain(each.case)}: cannot be read: {plain(each.why)}", "yellow"))
    if not (found.total or found.unreadable):
        out.show("nothing waits for a human")
    elif not out.json and found.total > len(found.gates):
        last = start + len(found.gates)
        out.say(
            f"{start + 1} to {last} of {found.total}{_totals(found)}; --page {max(page, 1) + 1}"
        )


def _brief(gate: GateView, now: datetime) -> Text:
    left = time_left(gate.deadline, now)
    return Text.assemble(
        f"{gate.gate}  ", left, (f"  {plain(gate.case)}  ", "bold"), plain(gate.says)
    )


def _totals(found: GateList) -> str:
    sums = (f"{plain(t.field)} {t.total:,f} {plain(t.currency)}".rstrip() for t in found.totals)
    return "".join(f", {each}" for each in sums)


def as_json(gate: GateView, *, by: str | None = None) -> dict[str, Any]:
    """A gate for programs: all of it, and the commands that answer it, as somebody gives them."""
    return gate.model_dump(mode="json") | {"commands": commands(gate, by)}


def lines(
    gate: GateView, now: datetime, url: str = "", *, by: str | None = None, paused: bool = False
) -> list[Text]:
    """A gate for people. `by`: who reads it; `paused`: Temporal's own Pause holds its case."""
    head = Text.assemble(
        (f"{plain(gate.case)}  ", "bold"),
        (f"{_ASKS[gate.kind]} ", "bold yellow"),
        time_left(gate.deadline, now),
    )
    found = [head, *what_is_asked(gate)]
    if paused:
        said = "paused (by Temporal): answers are kept, and count when somebody unpauses it there"
        found.insert(1, label("state", said, "yellow"))
    found.append(label("for", plain(f"{', '.join(gate.waiting_for)}: {', '.join(gate.people)}")))
    if gate.given:
        from handrail.oversight import unproven_people

        agreed = plain(", ".join(gate.given))
        found.append(label("agreed", f"{agreed}{unproven_people(gate.rulings, gate.given)}"))
    found.append(label("until", moment(gate.deadline)))
    found += [label("then", plain(line)) for line in gate.then]
    found += _what_the_agent_says(gate)
    found += _what_was_asked(gate)
    if url:
        found.append(label("page", url))
    found += [label(name, text) for name, text in commands(gate, by).items()]
    return found


def what_is_asked(gate: GateView) -> list[Text]:
    """The exact action, rendered from the bytes that its digest is of, and why it is held."""
    return [
        label("what", f"{plain(gate.step)}: {plain(gate.says)}"),
        exactly(gate.action),
        *units_line(gate.units, "action"),
        *_changes(gate),
        label("digest", gate.digest[:12]),
        label("why held", plain(gate.why)),
        *([label("risk", plain(gate.risk))] if gate.risk else []),
    ]


def _what_the_agent_says(gate: GateView) -> list[Text]:
    found: list[Text] = []
    if gate.rationale:
        sure = "" if gate.confidence is None else f"{gate.confidence:.0%} sure"
        found += [label("agent says", sure), quotation(gate.rationale)]
    if gate.evidence is not None:
        found += [
            label("evidence", " "),
            exactly(gate.evidence),
            *units_line(gate.units, "evidence"),
        ]
    return found


def _changes(gate: GateView) -> list[Text]:
    """What will be another than it is, or was proposed, side by side."""
    from handrail.oversight import gate_lines, was_called

    was = was_called(gate)
    return [
        label("changes", f"{plain(e.name)}: {was} {_short(e.said_before)}, then {_short(e.said)}")
        for e in ([] if gate.kind == "question" else gate_lines(gate))
        if e.changes
    ]


def _short(text: str) -> str:
    return plain(one_line(text, LONGEST_QUOTED))


def _what_was_asked(gate: GateView) -> list[Text]:
    found: list[Text] = []
    for each in gate.asked:
        to = plain(each.to)
        found += [
            label("asked", f"by {plain(each.by)}, of {to} (--question {each.id})"),
            quotation(each.text),
        ]
        if each.answer is not None:
            found += [label("answered", to), quotation(each.answer)]
    return found
