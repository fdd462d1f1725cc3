"""`handrail incidents`: writes that failed, are in doubt, or were read back as something else."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.text import Text

from handrail.actions import person
from handrail.cli import words
from handrail.cli.output import Code, Output, UsageError
from handrail.cli.record import ledger, moment_of
from handrail.client.cases import iso

if TYPE_CHECKING:
    from handrail.ledger import IncidentRow, Ledger


async def listing(
    out: Output,
    *,
    agent: str | None,
    case: str | None,
    since: datetime | timedelta | None,
    open_only: bool,
    limit: int,
) -> int:
    """Show incidents, the newest first."""
    async with ledger() as opened:
        rows = await opened.incidents(
            agent, case=case, since=moment_of(since), open_only=open_only, limit=limit
        )
    out.data({"incidents": [document(row) for row in rows]})
    for row in rows:
        out.show(*lines(row))
    if not rows:
        out.show("no open incidents" if open_only else "no incidents")
    elif len(rows) == limit:
        out.say(f"there may be more; --limit {limit * 10} shows more of them")
    return Code.DONE


async def close(out: Output, named: str, *, by: str, why: str) -> int:
    """Close an incident: somebody has dealt with it."""
    if not why.strip():
        raise UsageError("say what was done about it: --why 'paid back by hand'")
    now = datetime.now(UTC)
    async with ledger() as opened:
        row = await _find(opened, named)
        if not await opened.close_incident(row.id, person(by), now, why.strip()):
            raise UsageError(f"{row.id} was closed already; nothing was recorded")
        (after,) = [each for each in await opened.incidents(case=row.case) if each.id == row.id]
    out.show(*lines(after))
    out.data(document(after))
    return Code.DONE


async def _find(opened: Ledger, named: str) -> IncidentRow:
    """The incident of that id; or the only one whose id begins so, an open one first.

    Raises:
        UsageError: if there is none, or several.
    """
    found = [row for row in await opened.incidents() if row.id.startswith(named)]
    exact = [row for row in found if row.id == named]
    waiting = [row for row in found if row.closed is None]
    chosen = exact or (waiting if len(waiting) == 1 else found)
    if len(chosen) != 1:
        many = f"is the beginning of {len(chosen)} incidents" if chosen else "is no incident"
        raise UsageError(f"{named} {many}; `{words.program()} incidents` lists their ids")
    return chosen[0]


def document(row: IncidentRow) -> dict[str, Any]:
    """An incident for programs."""
    closed = None if row.closed is None else iso(row.closed)
    return asdict(row) | {"at": iso(row.at), "closed": closed}


def lines(row: IncidentRow) -> list[Text]:
    """An incident for people."""
    open_ = row.closed is None
    head = Text.assemble(
        f"{words.moment(row.at)}  ",
        (words.plain(row.id), "bold"),
        "  ",
        ("open", "bold red") if open_ else ("closed", "green"),
    )
    said = [head, words.label("what", words.plain(row.what))]
    if row.closed is not None:
        who = f"{words.moment(row.closed)} by {words.plain(row.closed_by or '')}"
        return [*said, words.label("closed", f"{who}: {words.plain(row.closed_why or '')}")]
    how = f"{words.program()} incidents close {shlex.quote(words.plain(row.id))}"
    return [*said, words.label("then", f"{how} --by you@example.com --why 'what was done'")]
