"""`handrail inbox`: what waits for a human. It needs no worker."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from handrail.cli import words
from handrail.cli.context import client, settings
from handrail.cli.output import Code, Output
from handrail.client import gates as desk
from handrail.oversight import GateKind

if TYPE_CHECKING:
    from handrail.oversight import GateView

_ASKS = {
    GateKind.WRITE: "May this be done?",
    GateKind.IN_DOUBT: "Did this happen?",
    GateKind.UNDO: "This undo failed. Try it again?",
    GateKind.QUESTION: "The agent asks.",
}


async def inbox(out: Output, *, role: str | None, person: str | None, limit: int) -> int:
    """Show the open gates, the first to expire first."""
    connected = await client(settings())
    gates = [
        gate
        for gate in await desk.open_gates(connected, role)
        if person is None or desk.may_rule(gate, person)
    ]
    shown = gates[:limit]
    out.data({"gates": [as_json(gate) for gate in shown], "total": len(gates)})
    if out.json:
        return Code.DONE
    now = datetime.now(UTC)
    for gate in shown:
        url = desk.case_url(settings().ui_url, connected.namespace, gate.case)
        out.show(*lines(gate, now, url), "")
    if not gates:
        out.show("nothing waits for a human")
    elif len(gates) > len(shown):
        out.say(f"{len(gates) - len(shown)} more; --limit {len(gates)} shows them all")
    return Code.DONE


def as_json(gate: GateView) -> dict[str, Any]:
    """A gate for programs: all of it, and the commands that answer it."""
    return gate.model_dump(mode="json") | {"commands": words.commands(gate)}


def lines(gate: GateView, now: datetime, url: str = "") -> list[Text]:
    """A gate for people."""
    head = Text.assemble(
        (f"{words.plain(gate.case)}  ", "bold"),
        (f"{_ASKS[gate.kind]} ", "bold yellow"),
        words.left(gate.deadline, now),
    )
    found = [head, *what_is_asked(gate)]
    found.append(
        words.label("for", words.plain(f"{', '.join(gate.waiting_for)}: {', '.join(gate.people)}"))
    )
    if gate.given:
        agreed = words.plain(", ".join(gate.given))
        unproven = "" if gate.proof == "required" else " (unproven)"
        found.append(words.label("agreed", f"{agreed}{unproven}"))
    found.append(words.label("until", words.moment(gate.deadline)))
    found += [words.label("then", words.plain(line)) for line in gate.then]
    found += _what_the_agent_says(gate)
    found += _what_was_asked(gate)
    if url:
        found.append(words.label("page", url))
    found += [words.label(name, text) for name, text in words.commands(gate).items()]
    return found


def what_is_asked(gate: GateView) -> list[Text]:
    """The exact action, rendered from the bytes that its digest is of, and why it is held."""
    return [
        words.label("what", f"{words.plain(gate.step)}: {words.plain(gate.title)}"),
        words.code(gate.action),
        words.label("digest", gate.digest[:12]),
        words.label("why held", words.plain(gate.why)),
        *([words.label("risk", words.plain(gate.risk))] if gate.risk else []),
    ]


def _what_the_agent_says(gate: GateView) -> list[Text]:
    found: list[Text] = []
    if gate.rationale:
        sure = "" if gate.confidence is None else f"{gate.confidence:.0%} sure"
        found += [words.label("agent says", sure), words.quotation(gate.rationale)]
    if gate.evidence is not None:
        found += [words.label("evidence", " "), words.code(gate.evidence)]
    return found


def _what_was_asked(gate: GateView) -> list[Text]:
    found: list[Text] = []
    for each in gate.asked:
        to = words.plain(each.to)
        found += [
            words.label("asked", f"by {words.plain(each.by)}, of {to} (--question {each.id})"),
            words.quotation(each.text),
        ]
        if each.answer is not None:
            found += [words.label("answered", to), words.quotation(each.answer)]
    return found
