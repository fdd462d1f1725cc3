"""`handrail cases`: which there are, in which state, and why."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from handrail.cli.context import OfAgent, Since, moment_of, operator
from handrail.cli.output import PLAIN, Output, ago, moment, plain, state_text, time_left
from handrail.exceptions import InvalidRequest

if TYPE_CHECKING:
    from handrail.client import CaseList, CaseSummary

_WATCH = 2.0
"""Seconds between two looks."""


async def cases(
    *,
    agent: OfAgent = None,
    state: Annotated[
        tuple[str, ...],
        Parameter(help="In this state only, such as waiting. May be given several times."),
    ] = (),
    waiting_for: Annotated[str | None, Parameter(help="That wait for this role only.")] = None,
    since: Annotated[
        Since, Parameter(help="That began then or later: a date, or a time ago such as 2h.")
    ] = None,
    until: Annotated[Since, Parameter(help="That began before then.")] = None,
    sort: Annotated[
        Literal["began", "deadline", "ended"],
        Parameter(help="Of those that are shown: which come first."),
    ] = "began",
    limit: Annotated[int, Parameter(help="At most so many, in that order.")] = 50,
    watch: Annotated[bool, Parameter(negative=(), help="Look again and again.")] = False,
    stuck: Annotated[
        bool, Parameter(negative=(), help="In which a step fails again and again, and why.")
    ] = False,
    lasting: Annotated[
        timedelta | None,
        Parameter(name="--for", help="With --stuck: for so long already, such as 5m."),
    ] = None,
    out: Output = PLAIN,
) -> None:
    """List cases: the open ones first, then those that ended last."""
    if lasting is not None and not stuck:
        raise InvalidRequest("--for says how long cases are stuck: give --stuck too")
    if stuck and (since or until):
        raise InvalidRequest("--stuck lists what fails now, whenever it began: leave --since out")
    lacking: list[str] = []
    async with operator(out, lacking=lacking) as somebody:

        async def look() -> CaseList:
            if stuck:
                return await somebody.stuck_cases(
                    agent, state=state, role=waiting_for, lasting=lasting
                )
            when = {"since": moment_of(since), "until": moment_of(until)}
            return await somebody.cases(agent, state=state, role=waiting_for, limit=limit, **when)

        def seen(found: CaseList) -> CaseList:
            rows = sorted(found.cases[:limit], key=_SORTS[sort])
            return found.model_copy(update={"cases": tuple(rows)})

        if watch and not out.json:
            await _watch(out, look, seen, _stuck_table if stuck else table_of_cases)
        found = seen(await look())
    out.data(found, lacking=lacking)
    for text in lacking:
        out.say(text, "yellow")
    table = _stuck_table if stuck else table_of_cases
    soon = "nothing has failed for ten minutes; --for 30s lists what fails since a short while"
    none = soon if stuck and lasting is None else "no such cases"
    out.show(table(found.cases) if found.cases else none)
    if not out.json and found.total > len(found.cases):
        out.say(f"{found.total - len(found.cases)} more; --limit {found.total} shows them all")


_SORTS: dict[str, Callable[[CaseSummary], float]] = {
    "began": lambda case: -case.started.timestamp() if case.started else 0.0,
    "ended": lambda case: -case.closed.timestamp() if case.closed else 0.0,
    "deadline": lambda case: case.deadline.timestamp() if case.deadline else math.inf,
}


async def _watch(
    out: Output,
    look: Callable[[], Awaitable[CaseList]],
    seen: Callable[[CaseList], CaseList],
    table: Callable[[Sequence[CaseSummary]], Table],
) -> None:
    """Show the list again and again, until somebody presses Ctrl-C."""
    import asyncio

    from rich.live import Live

    with Live(console=out.console, auto_refresh=False) as live:
        while True:
            found = seen(await look())
            live.update(table(found.cases) if found.cases else Text("no such cases"), refresh=True)
            await asyncio.sleep(_WATCH)


def table_of_cases(rows: Sequence[CaseSummary]) -> Table:
    """Cases by line. Ids are pasted, so they are never broken; reasons are cut at the right."""
    now = datetime.now(UTC)
    lines = [
        (
            plain(row.case),
            state_text(row.state),
            ago(row.started, now),
            time_left(row.deadline, now),
        )
        for row in rows
    ]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
    for name, column in zip(
        ("case", "state", "began", "until"), zip(*lines, strict=True), strict=True
    ):
        table.add_column(name, width=max(len(name), *map(len, column)))
    table.add_column("waits for, or why", no_wrap=True, ratio=1)
    for row, line in zip(rows, lines, strict=True):
        waits = f"{', '.join(row.waiting_for)}: " if row.waiting_for else ""
        table.add_row(*line, plain(f"{waits}{row.why}".removesuffix(": ")))
    return table


def _stuck_table(rows: Sequence[CaseSummary]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("case", "state", "step", "attempt", "since", "next try", "last error"):
        table.add_column(name, overflow="fold")
    for row in rows:
        for each in row.failing:
            table.add_row(
                plain(row.case),
                state_text(row.state),
                plain(each.step),
                str(each.attempt),
                moment(each.since),
                moment(each.next_try) or "now",
                plain(each.error),
            )
    return table
