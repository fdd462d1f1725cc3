"""`handrail stop`, `lift` and `stops`."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.cases import say_ordered
from handrail.cli.context import AT_ONCE, By, SomeBody, Waiting, Why, operator
from handrail.cli.output import PLAIN, Code, Output, label, moment, plain, program

if TYPE_CHECKING:
    from handrail.client import OrderOutcome, StopView

Whats = Annotated[
    tuple[str, ...],
    Parameter(help="fleet, an agent, agent/write, or cases (shipments:AWB-1042)."),
]


async def stop(
    whats: Whats,
    /,
    *,
    by: SomeBody = None,
    why: Why = "",
    waiting: Waiting = AT_ONCE,
    out: Output = PLAIN,
) -> int:
    """Stop the fleet, an agent or one of its writes until it is lifted; or end cases.

    No write of it begins any more, whatever was approved. What is written stays.
    """
    # Who gives it, and what the ledger is, matter less than that it is given.
    lacking: list[str] = []
    async with operator(out, by or _login(), signs=True, lacking=lacking) as somebody:
        for each in lacking:
            out.say(each, "yellow")
        wait, patience = waiting.wait, waiting.timeout
        told = await somebody.stop(*whats, why=why, wait=wait, patience=patience)
    if told.in_force:
        cases = (what for what in dict.fromkeys(whats) if ":" in what)
        for what in (*(each.what for each in told.stops), *cases):
            out.show(Text(f"stopped {plain(what)}: no write of it begins any more", "green"))
        for each in told.stops:
            out.show(label("to go on", f"{program()} lift {each.id[:12]}"))
    else:
        out.say("no ledger took it: a worker was told to stop instead", "yellow")
    if told.untold:
        out.say(f"in force; the server was not told: {told.untold}", "yellow")
    out.data(told)
    return say_ordered(out, "stop", told.cases)


def _login() -> str:
    """Who is at this machine, for the record; it proves nothing."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


async def lift(
    what: Annotated[
        str, Parameter(help="The stop or level: how its id begins, or what it is for.")
    ],
    /,
    *,
    by: By,
    why: Why = "",
    out: Output = PLAIN,
) -> int:
    """Say that a stop, or a level that was set, is over. The policy says who may."""
    async with operator(out, by, signs=True, ledger="needed") as somebody:
        found = await somebody.lift(what, why)
    out.data(found)
    return max(say_became(out, each) for each in found.lifted)


async def accept(
    agent: Annotated[str, Parameter(help="The agent that goes on.")],
    /,
    *,
    why: Why,
    by: By,
    out: Output = PLAIN,
) -> int:
    """Go on with this ledger, which is another than the agent's, or went back in time.

    Until somebody says so nothing is written. The policy says who may.
    """
    async with operator(out, by, signs=True, ledger="needed") as somebody:
        became = await somebody.accept_ledger(agent, why)
    out.show(Text(became.what, "bold"))
    out.data(became)
    return say_became(out, became)


def say_became(out: Output, became: OrderOutcome) -> Code:
    """Say what became of an order to an agent."""
    from handrail.oversight import OrderState

    if became.stand is None:
        out.show(Text("no worker answers now: it was left for one, which will judge it", "yellow"))
        return Code.DONE
    note = f": {plain(became.note)}" if became.note else ""
    if became.stand in {OrderState.REFUSED, OrderState.EXPIRED}:
        out.say(f"handrail: {became.stand}{note}", "red")
        return Code.REFUSED
    who = ", ".join(map(plain, became.people or (became.by,)))
    proven = "" if became.proven else " (unproven)"
    waits = became.stand is OrderState.WAITING
    out.show(Text(f"{became.stand} by {who}{proven}{note}", "yellow" if waits else "green"))
    if waits:
        second = f"{program()} autonomy --second {became.id} --by you@example.com"
        out.show(label("second", second))
    return Code.WAITS if waits else Code.DONE


async def stops(
    *,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Those that were lifted, too.")
    ] = False,
    cases: Annotated[bool, Parameter(negative=(), help="Those of single cases, too.")] = False,
    out: Output = PLAIN,
) -> None:
    """List what is stopped: by whom, since when and why."""
    async with operator(out, ledger="needed") as somebody:
        found = (await somebody.stops(every=all_)).stops
    shown = [each for each in found if each.case is None or cases]
    out.data({"version": 1, "stops": [each.model_dump(mode="json") for each in shown]})
    for each in shown:
        out.show(*_lines(each))
    if len(found) > len(shown):
        out.say(f"and {len(found) - len(shown)} of single cases; --cases shows them")
    if not shown:
        out.show("nothing is stopped" if not all_ else "nothing was ever stopped")


def _lines(stop: StopView) -> list[Text]:
    over = stop.lifted is not None or stop.case_ended
    colour = "dim" if over else "bold red"
    who = plain(stop.by) + ("" if stop.proven else " (unproven)")
    head = Text.assemble((f"{stop.id[:12]}  ", "bold"), (plain(stop.what), colour))
    lines = [head, label("stopped", f"{moment(stop.at)} by {who}")]
    if stop.why:
        lines.append(label("why", plain(stop.why)))
    if stop.case_ended:
        lines.append(label("over", "its case has ended"))
    if stop.lifted is not None:
        whom, why = plain(stop.lifted_by or ""), plain(stop.lifted_why or "")
        lines.append(label("lifted", f"{moment(stop.lifted)} by {whom}{f': {why}' if why else ''}"))
    return lines
