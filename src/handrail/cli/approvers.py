"""`handrail approvers`: how well people look before they rule."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from handrail.cli import words
from handrail.cli.output import Code, Output
from handrail.cli.record import ledger, moment_of
from handrail.client.cases import iso
from handrail.evidence import ApproverAttention, approver_attention


async def approvers(out: Output, *, since: datetime | timedelta | None) -> int:
    """Show each person who decided something, first those with flags."""
    async with ledger() as opened:
        rows = await opened.rulings(since=moment_of(since))
    found = approver_attention(rows)
    out.data({"approvers": [_document(each) for each in found]})
    out.show(_table(found) if found else "nobody has ruled with a proof yet")
    out.show(*(Text(f"{words.plain(e.person)} {flag}", "red") for e in found for flag in e.flags))
    return Code.DONE


def _document(each: ApproverAttention) -> dict[str, Any]:
    return {
        "person": each.person,
        "decisions": each.decisions,
        "counted": each.counted,
        "yes": round(each.yes, 4),
        "measured": each.measured,
        "looked": None if each.looked is None else each.looked.total_seconds(),
        "planted": each.planted,
        "caught": each.caught,
        "missed": each.missed,
        "last": iso(each.last),
        "flags": list(each.flags),
    }


def _table(found: list[ApproverAttention]) -> Table:
    columns = ("approver", "decisions", "yes", "median look", "planted", "last")
    table = Table(*columns, box=None, pad_edge=False)
    for each in found:
        table.add_row(*_cells(each), style="red" if each.flags else None)
    return table


def _cells(each: ApproverAttention) -> tuple[str, ...]:
    looked = "-"
    if each.looked is not None:
        looked = f"{each.looked.total_seconds():.1f} s of {each.measured}"
    return (
        words.plain(each.person),
        str(each.decisions),
        f"{each.yes:.0%} of {each.counted}",
        looked,
        f"{each.caught} of {each.planted} caught" if each.planted else "-",
        words.moment(each.last),
    )
