"""`handrail intake`: what came in and could not be started, or becomes no event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import By, OfAgent, SomeBody, json_of, load_fleet, operator, settings
from handrail.cli.output import PLAIN, Output, label, moment, plain, quotation

if TYPE_CHECKING:
    from handrail.client import IntakeEntry

Named = Annotated[str, Parameter(help="The entry's id, or how it begins.")]


async def listing(
    *,
    agent: OfAgent = None,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Those that were started or dropped, too.")
    ] = False,
    out: Output = PLAIN,
) -> None:
    """List what waits to be started, and what is to be mended."""
    async with operator(out, ledger="needed") as somebody:
        found = await somebody.intake(agent, every=all_)
    out.data(found)
    for each in found.entries:
        out.show(_line(each), label("why", _why(each)))
    if not found.entries:
        out.show("nothing waits in the intake")


async def show(entry: Named, *, out: Output = PLAIN) -> None:
    """Show one entry, with what was sent."""
    async with operator(out, ledger="needed") as somebody:
        found = await somebody.intake_entry(entry)
    out.data(found)
    out.show(_line(found), label("why", _why(found)))
    out.show(label("asked for by", plain(found.requested_by)))
    if found.ended is not None:
        ended = f"{moment(found.ended)}  {plain(found.ended_by)} {plain(found.ended_why)}"
        out.show(label("ended", ended))
    if found.body:
        out.show(quotation(found.body))


async def retry(entry: Named, *, by: SomeBody = None, out: Output = PLAIN) -> None:
    """Have an entry tried again as it is, by `handrail serve`."""
    async with operator(out, by, ledger="needed") as somebody:
        found = await somebody.retry_intake(entry)
    out.data(found)
    out.show(_line(found))


async def mend(
    entry: Named,
    event: Annotated[str, Parameter(help="The event as it should be: JSON, @file, or -.")],
    *,
    by: By,
    out: Output = PLAIN,
) -> None:
    """Have an entry started as another event. Who words it is who asks for it."""
    fleet = load_fleet(settings().fleet)
    async with operator(out, by, ledger="needed", fleet=fleet) as somebody:
        found = await somebody.mend_intake(entry, json_of(event, "the event"))
    out.data(found)
    out.show(_line(found))


async def drop(
    entry: Named,
    *,
    by: By,
    why: Annotated[str, Parameter(help="The reason, which is kept; what was sent is not.")],
    out: Output = PLAIN,
) -> None:
    """Let an entry be."""
    async with operator(out, by, ledger="needed") as somebody:
        found = await somebody.drop_intake(entry, why)
    out.data(found)
    out.show(_line(found))


def _why(each: IntakeEntry) -> str:
    """Why it did not start: faults of several lines on one."""
    lines = [line.strip() for line in each.why.splitlines()]
    return plain("; ".join(lines).replace(":; ", ": "))


def _line(each: IntakeEntry) -> Text:
    style = "red" if each.state == "wrong" else "yellow" if each.state == "waiting" else "green"
    return Text.assemble(
        (each.id[:12], "bold"),
        f"  {plain(each.agent)}  {plain(each.source)}  {moment(each.received)}  ",
        (each.state, style),
        f"  {plain(each.case)}" if each.case else "",
    )
