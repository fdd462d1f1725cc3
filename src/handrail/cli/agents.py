"""`handrail agents`: every agent at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from handrail.cli.context import operator
from handrail.cli.output import PLAIN, Output, moment, plain

if TYPE_CHECKING:
    from handrail.client import AgentStatus

_COLOURS = {"stopped": "bold red", "away": "yellow", "pilot": "cyan", "working": "green"}


async def agents(*, out: Output = PLAIN) -> None:
    """List agents: state, workers and builds, open cases, questions, incidents, last write."""
    lacking: list[str] = []
    async with operator(out, lacking=lacking) as somebody:
        found = await somebody.agents()
    said = [*dict.fromkeys([*found.lacking, *lacking])]
    out.data(found, lacking=said)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("agent", "state", "writes", "workers", "open", "asks", "incidents", "last write"):
        table.add_column(name, overflow="fold")
    for each in found.agents:
        table.add_row(*cells(each))
    out.show(table if found.agents else "no agents: none has had a worker yet")
    for text in said:
        out.say(text, "yellow")


def cells(each: AgentStatus) -> tuple[str | Text, ...]:
    """One agent, column by column."""
    state = f"{each.state} by {each.stopped}" if each.stopped else each.state
    builds = sorted({worker.build for worker in each.workers if worker.build})
    at = f" ({', '.join(builds)})" if builds else ""
    paused = f", {each.paused} paused" if each.paused else ""
    return (
        plain(each.agent),
        Text(plain(state), _COLOURS[each.state]),
        plain(", ".join(sorted(set(each.levels.values())))),
        plain(f"{len(each.workers)}{at}"),
        f"{each.open}{paused}",
        str(each.waiting),
        "" if each.incidents is None else str(each.incidents),
        moment(each.last_write),
    )
