"""`handrail schedules`: the times at which agents start by themselves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import By, OfAgent, Since, SomeBody, Why, moment_of, operator
from handrail.cli.output import PLAIN, Code, Output, label, moment, plain

if TYPE_CHECKING:
    from handrail.client import ScheduleRuns, ScheduleView

_SHOWN = 10

Named = Annotated[str, Parameter(help="The schedule, as agent/name.")]


async def listing(*, agent: OfAgent = None, out: Output = PLAIN) -> None:
    """List schedules: their next five times, their last runs, and what they missed."""
    async with operator(out, ledger="none") as somebody:
        found = await somebody.schedules(agent)
    out.data(found)
    for each in found.schedules:
        out.show(*_lines(each))
    if not found.schedules:
        out.show("no schedules; an agent declares its own: Agent(triggers=[Schedule(...)])")


def _lines(each: ScheduleView) -> list[Text]:
    state = Text("paused", "magenta") if each.paused else Text("on", "green")
    lines = [Text.assemble((plain(each.schedule), "bold"), f"  {plain(each.spec)}  ", state)]
    if each.note:
        lines.append(label("note", plain(each.note)))
    lines += [label("next", ", ".join(map(moment, each.next)))] if not each.paused else []
    for run in each.runs:
        lines.append(label("ran", f"{moment(run.at)}  {plain(run.case) or 'being started'}"))
    missed = each.missed[-_SHOWN:]
    if missed:
        more = f" and {len(each.missed) - _SHOWN} before" if len(each.missed) > _SHOWN else ""
        lines.append(label("missed", ", ".join(map(moment, missed)) + more, "yellow"))
    if each.late or each.skipped:
        lines.append(label("given up", f"{each.late} too late, {each.skipped} overlapping"))
    return lines


async def pause(schedule: Named, *, by: By, why: Why = "", out: Output = PLAIN) -> None:
    """Start nothing more by a schedule, until it is resumed."""
    async with operator(out, by, ledger="none") as somebody:
        found = await somebody.pause_schedule(schedule, why)
    out.data(found)
    out.show(*_lines(found))


async def resume(schedule: Named, *, by: By, why: Why = "", out: Output = PLAIN) -> None:
    """Let a paused schedule go on; what it missed is not made up for."""
    async with operator(out, by, ledger="none") as somebody:
        found = await somebody.resume_schedule(schedule, why)
    out.data(found)
    out.show(*_lines(found))


async def trigger(
    schedule: Named,
    *,
    at: Annotated[
        datetime | None, Parameter(help="For this time of the schedule; for now if left out.")
    ] = None,
    by: SomeBody = None,
    out: Output = PLAIN,
) -> int:
    """Start the case of one time now. A time that had its case has it still."""
    async with operator(out, by, ledger="none") as somebody:
        return _say_runs(out, await somebody.trigger_schedule(schedule, moment_of(at)))


async def backfill(
    schedule: Named,
    *,
    since: Since,
    until: Annotated[
        timedelta | datetime | None, Parameter(help="Up to then, as --since; now if left out.")
    ] = None,
    by: SomeBody = None,
    out: Output = PLAIN,
) -> int:
    """Start the cases of all times of a span; those that had one have it still."""
    async with operator(out, by, ledger="none") as somebody:
        first, last = moment_of(since), moment_of(until)
        assert first is not None  # noqa: S101  # it must be given
        return _say_runs(out, await somebody.backfill_schedule(schedule, first, last))


def _say_runs(out: Output, found: ScheduleRuns) -> Code:
    out.data(found)
    for run in found.runs:
        out.show(f"{moment(run.at)}  {plain(run.case) or 'asked for'}")
    if found.runs[0].case:
        return Code.DONE
    out.say("asked for; no worker has started it yet", "yellow")
    return Code.FAILED
