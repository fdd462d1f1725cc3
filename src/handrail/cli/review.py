"""`handrail review` and `incidents`: people look at what ran alone, and at what went wrong."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import By, OfAgent, Since, Why, moment_of, operator
from handrail.cli.output import (
    PLAIN,
    Output,
    exactly,
    label,
    moment,
    plain,
    program,
    quotation,
    units_line,
)
from handrail.exceptions import CaseError, InvalidRequest

if TYPE_CHECKING:
    from handrail.client import IncidentView, ReviewDetails, ReviewView

Limit = Annotated[int, Parameter(help="At most so many.")]
Key = Annotated[str, Parameter(help="The key of the write, how it begins, or its case.")]

_COLOURS = {"right": "green", "wrong": "red", "harmless": "yellow"}


async def reviews(
    *,
    agent: OfAgent = None,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Those that were answered, too.")
    ] = False,
    limit: Limit = 50,
    out: Output = PLAIN,
) -> None:
    """List what waits for a look afterwards, the oldest first."""
    async with operator(out, ledger="needed") as somebody:
        found = await somebody.reviews(agent, every=all_, limit=limit)
    out.data(found)
    out.show(*map(line, found.reviews))
    none = "no reviews" if all_ else "nothing waits for a look; --all shows what was said"
    out.show_rest(len(found.reviews), limit, none)


async def show(key: Key, *, out: Output = PLAIN) -> None:
    """Show one write with its reasons, what the guardrails found, and what came of it."""
    async with operator(out, ledger="needed") as somebody:
        found = await somebody.review(key)
        met = (await somebody.incidents(case=found.case)).incidents
    out.data(found)
    if not out.json:
        _print(out, found, [each for each in met if each.key == found.key])


async def answer(key: Key, what: str, *, by: By, why: Why = "", out: Output = PLAIN) -> None:
    """Say whether a write was right, and sign it. You may answer otherwise later; both are kept.

    Parameters
    ----------
    what
        right, wrong, or harmless (wrong, but it does no harm). Say --why of the latter two.
    """
    async with operator(out, by, signs=True, ledger="needed") as somebody:
        said = await somebody.answer_review(key, what, why)
        undone = (await somebody.review(said.key)).undone
    undo = f"{program()} roll-back {shlex.quote(said.case)} --why 'the review found it wrong'"
    out.show(Text(f"recorded: {what}, by {plain(said.by)}", _COLOURS[what]))
    if what == "wrong" and undone is None:
        out.show(f"  to undo what the case wrote: {undo}")
    out.data(said, roll_back=undo if what == "wrong" else None)


def line(review: ReviewView) -> Text:
    """A review for people, on one line."""
    head = f"{moment(review.at)}  {plain(review.key)}  "
    if review.answer is None:
        asks = f"for {plain(review.role)}: {plain(', '.join(review.people))}"
        return Text.assemble(head, ("waits ", "bold yellow"), asks)
    said = f" by {plain(review.by or '')}" + (f": {plain(review.note)}" if review.note else "")
    return Text.assemble(head, (review.answer, _COLOURS.get(review.answer, "")), said)


def _print(out: Output, found: ReviewDetails, met: Sequence[IncidentView]) -> None:
    out.show(Text(f"{plain(found.step)}  {plain(found.case)}", "bold"))
    out.show(label("key", plain(found.key)), label("why", plain(found.why)))
    out.show(label("for", f"{plain(found.role)}: {plain(', '.join(found.people))}"))
    if found.requester:
        out.show(label("asked for by", plain(found.requester)))
    out.show(label("policy", plain(found.policy)))
    out.show("", Text("what was done", "bold"), exactly(found.action))
    out.show(*units_line(found.units, "action"))
    if found.rationale is not None:
        out.show("", Text("what the agent said", "bold"), quotation(found.rationale))
    if found.confidence is not None:
        out.show(label("confidence", f"{found.confidence:.0%}"))
    if found.evidence is not None:
        out.show("", Text("evidence", "bold"), exactly(found.evidence))
        out.show(*units_line(found.units, "evidence"))
    if found.findings:
        out.show("", Text("what the guardrails found", "bold"))
        out.show(*(f"  {f.kind}: {plain(f.why)} ({plain(f.check)})" for f in found.findings))
    out.show("", Text("what came of it", "bold"))
    if found.receipt is not None:
        out.show(label(found.receipt.how, moment(found.receipt.at)), exactly(found.receipt.result))
    if found.undone is not None:
        out.show(label("undone", moment(found.undone), "magenta"))
    for each in met:
        closed = " (closed)" if each.closed is not None else ""
        out.show(label("incident", f"{plain(each.what)}{closed}", "red"))
    _answers(out, found)


def _answers(out: Output, found: ReviewDetails) -> None:
    if found.answers:
        out.show("", Text("what was said of it", "bold"))
    for each in found.answers:
        proven = "" if each.proven else f"  NOT PROVEN: {plain(each.fault)}"
        said = f"{moment(each.at)}  {each.answer} by {plain(each.by)}{proven}"
        out.show(Text(f"  {said}", _COLOURS.get(each.answer, "") if each.proven else "red"))
        if each.why:
            out.show(quotation(each.why))
    if found.answer is None:
        key = shlex.quote(plain(found.key))
        who = shlex.quote(plain(next(iter(found.people), "you@example.com")))
        out.show("", Text("say what you think of it", "bold"))
        for what in _COLOURS:
            why = "" if what == "right" else " --why 'the reason'"
            out.show(f"  {program()} review answer {key} {what} --by {who}{why}")


# Incidents


async def incidents(
    *,
    agent: OfAgent = None,
    case: Annotated[str | None, Parameter(help="Of this case only.")] = None,
    open_: Annotated[
        bool, Parameter(name="--open", negative=(), help="Those that nobody has closed.")
    ] = False,
    since: Since = None,
    limit: Limit = 50,
    out: Output = PLAIN,
) -> None:
    """List incidents, the newest first."""
    async with operator(out, ledger="needed") as somebody:
        begin = moment_of(since)
        found = await somebody.incidents(
            agent, case=case, since=begin, open_only=open_, limit=limit
        )
    out.data(found)
    for each in found.incidents:
        out.show(*incident_lines(each))
    none = "no open incidents" if open_ else "no incidents"
    out.show_rest(len(found.incidents), limit, none)


async def close(
    incident: Annotated[str, Parameter(help="The incident's id, or how it begins.")],
    *,
    by: By,
    why: Why,
    out: Output = PLAIN,
) -> None:
    """Close an incident: somebody has dealt with it."""
    async with operator(out, by, ledger="needed") as somebody:
        try:
            closed = await somebody.close_incident(incident, why)
        except CaseError as error:  # closed already: the exit code was always that of wrong usage
            raise InvalidRequest(str(error)) from error
    out.data(closed)
    out.show(*incident_lines(closed))


def incident_lines(incident: IncidentView) -> list[Text]:
    """An incident for people."""
    head = Text.assemble(
        f"{moment(incident.at)}  ",
        (plain(incident.id), "bold"),
        "  ",
        ("open", "bold red") if incident.closed is None else ("closed", "green"),
    )
    place = [incident.agent, incident.step, incident.case and f"case {incident.case}"]
    of = ", ".join(plain(each) for each in place if each)
    said = [head, label("of", of), label("what", plain(incident.what))]
    if incident.closed is not None:
        who = f"{moment(incident.closed)} by {plain(incident.closed_by or '')}"
        return [*said, label("closed", f"{who}: {plain(incident.closed_why or '')}")]
    how = f"{program()} incidents close {shlex.quote(plain(incident.id))}"
    return [*said, label("then", f"{how} --by you@example.com --why 'what was done'")]
