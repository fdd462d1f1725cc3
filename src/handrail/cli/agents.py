"""`handrail agents`, `workers` and `views`: every agent at a glance, and where to look further."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from handrail.cli.context import OfAgent, operator, settings
from handrail.cli.output import PLAIN, Code, Output, ago, list_url, plain

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
        table.add_column(name, overflow="fold", no_wrap=name == "agent")
    now = datetime.now(UTC)
    for each in found.agents:
        table.add_row(*cells(each, now))
    out.show(table if found.agents else "no agents: none has had a worker yet")
    for text in said:
        out.say(text, "yellow")


def cells(each: AgentStatus, now: datetime) -> tuple[str | Text, ...]:
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
        ago(each.last_write, now),
    )


async def workers(*, out: Output = PLAIN) -> int:
    """List workers: build, agents, since when, last poll. Exit code 1 if none answers for an agent.

    A frozen worker is seen for some minutes after its last poll, and answers nothing.
    """
    lacking: list[str] = []
    async with operator(out, lacking=lacking) as somebody:
        found = await somebody.workers()
    said = [*dict.fromkeys([*found.lacking, *lacking])]
    out.data(found, lacking=said)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("worker", "build", "agents", "began", "last poll", "no answer for"):
        table.add_column(name, overflow="fold", no_wrap=name == "worker")
    now = datetime.now(UTC)
    for each in found.workers:
        silent = Text(plain(", ".join(each.silent)), "bold red")
        at = (ago(each.since, now), ago(each.seen, now))
        names = plain(", ".join(each.agents))
        table.add_row(plain(each.identity), plain(each.build), names, *at, silent)
    out.show(table if found.workers else "no workers")
    if found.away:
        out.say(f"no worker for {', '.join(map(plain, found.away))}", "red")
    for text in said:
        out.say(text, "yellow")
    return Code.DONE if found.well else Code.FAILED


async def views(*, agent: OfAgent = None, out: Output = PLAIN) -> None:
    """Links into Temporal's list: what waits, expires, is stuck, was refused, is not delivered."""
    from handrail.client import saved_views  # only when this is asked

    given, found = settings(), saved_views(datetime.now(UTC), agent)
    async with operator(out, ledger="none") as somebody:
        namespace = (await somebody.temporal()).namespace
    links = [{**v.model_dump(), "url": list_url(given, namespace, v.query)} for v in found]
    out.row({"views": links})
    for each, link in zip(found, links, strict=True):
        out.show(Text.assemble((each.name, "bold"), f": {each.what}"))
        out.show(Text(f"  {link['url']}", "cyan"))
