"""`handrail baseline`: what the process takes without the agent, declared or from its event log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from handrail.cli.context import By, operator
from handrail.cli.event_logs import AS_FOUND, LogOptions, read_log, say_bad_rows
from handrail.cli.output import PLAIN, Output, label, moment, plain
from handrail.evidence import EventLog
from handrail.exceptions import InvalidRequest

if TYPE_CHECKING:
    from handrail.client import BaselineView

Currency = Annotated[str | None, Parameter(help="What the costs in the log are in, such as EUR.")]


async def set_baseline(
    agent: str,
    name: str,
    amount: str,
    *,
    source: Annotated[str, Parameter(help="Where the figure comes from, in words.")],
    by: By,
    unit: Annotated[str | None, Parameter(help="Such as minutes, or EUR for a cost.")] = None,
    out: Output = PLAIN,
) -> None:
    """Declare a figure of the process without the agent, in the place of the one before.

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    name
        What it is, such as minutes_per_case, cost_per_case or error_share.
    amount
        How much; a share is from 0 to 1.
    """
    async with operator(out, by, ledger="needed") as somebody:
        kept = await somebody.set_baseline(agent, name, amount, unit=unit, source=source)
    out.data(kept)
    out.show(*_rows([kept]))


async def import_log(
    agent: str,
    *logs: Path,
    by: By,
    currency: Currency = None,
    read: LogOptions = AS_FOUND,
    out: Output = PLAIN,
) -> None:
    """Take the baseline from the event log of the process (.csv, .xes; packed: .gz).

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    logs
        The files of one log: several are its parts.
    """
    if not logs:
        raise InvalidRequest("which log? Name its file, or files")
    parts = [read_log(each, read) for each in logs]
    for each in parts:
        say_bad_rows(out, each)
    log = EventLog(
        ", ".join(dict.fromkeys(each.name for each in parts)),
        [event for each in parts for event in each.events],
        [row for each in parts for row in each.bad],
    )
    async with operator(out, by, ledger="needed") as somebody:
        kept = await somebody.import_baseline(agent, log, currency)
    out.data(kept, **bad_document(log))
    out.show(*_rows(kept.baselines))
    _say_what_is_missing(out, kept.baselines, agent)


async def listing(
    agent: str,
    *,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Those that were replaced, too.")
    ] = False,
    out: Output = PLAIN,
) -> None:
    """List the baselines of an agent, with their sources.

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    """
    async with operator(out, ledger="needed") as somebody:
        found = await somebody.baselines(agent, every=all_)
    out.data(found)
    out.show(*_rows(found.baselines))
    if not found.baselines:
        out.show(f"{plain(agent)} has no baseline; `handrail baseline set` and `import` give one")


def bad_document(log: EventLog) -> dict[str, Any]:
    """What was read of a log and what was left out, for programs."""
    bad = [{"line": each.line, "why": each.why} for each in log.bad[:1_000]]
    return {"log": log.name, "events": len(log.events), "left_out": len(log.bad), "bad": bad}


def _rows(rows: Sequence[BaselineView]) -> list[Table]:
    if not rows:
        return []
    table = Table("baseline", "amount", "", "kind", "source", "by", "since", box=None)
    for each in rows:
        cells = (each.name, each.amount, each.unit, each.kind, each.source, each.by)
        style = "dim" if each.replaced else None
        table.add_row(*map(plain, cells), moment(each.at), style=style)
    return [table]


def _say_what_is_missing(out: Output, kept: Sequence[BaselineView], agent: str) -> None:
    names = {each.name for each in kept}
    for name, why in (
        ("minutes_per_case", "the log does not say when work began"),
        ("cost_per_case", "the log has no costs"),
    ):
        if name not in names:
            out.show(
                label("missing", f"{name}: {why}; `handrail baseline set {plain(agent)} {name}`")
            )
