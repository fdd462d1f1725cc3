"""`handrail audit`: everything that an agent did in a period, and who let it, to be checked."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import SomeBody, moment_of, operator
from handrail.cli.output import PLAIN, Code, Output, label, moment, plain
from handrail.text import escape_hidden

_From = Annotated[
    timedelta | datetime, Parameter(name="--from", help="From then on, such as 2026-11-01.")
]
_To = Annotated[
    timedelta | datetime | None,
    Parameter(name="--to", help="Until before then, such as 2026-12-01; now."),
]


async def audit(
    agent: Annotated[str, Parameter(help="Of which agent, such as shipments.")],
    *,
    since: _From,
    until: _To = None,
    file: Annotated[
        Path | None, Parameter(help="Write it there, an entry a line, for an auditor.")
    ] = None,
    seal: Annotated[
        bool, Parameter(negative=(), help="Put its head into the history of the agent's steward.")
    ] = False,
    by: SomeBody = None,
    out: Output = PLAIN,
) -> None:
    """Put together what an agent did in a period, and who let it, as a chain of hashes."""
    async with operator(out, by, ledger="needed") as somebody:
        begins, ends = moment_of(since), moment_of(until) or datetime.now(UTC)
        found = await somebody.audit(agent, begins or ends, ends, seal=seal)
    if file is not None:
        lines = "".join(f"{escape_hidden(each.model_dump_json())}\n" for each in found.entries)
        file.write_text(lines, encoding="utf-8")
    out.data(found, file=None if file is None else str(file))
    for entry in found.entries[1:]:
        case = str(entry.body.get("case") or "")
        out.show(Text.assemble(f"{moment(entry.at)}  {entry.kind:<9}", (plain(case), "bold")))
    kinds = Counter(each.kind for each in found.entries[1:])
    counted = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    out.show(label("entries", counted or "none"), label("head", found.head))
    if not seal:
        out.say("nobody can show later that this was its head; --seal puts it into Temporal")


async def verify(
    file: Annotated[Path, Parameter(help="What `handrail audit --file` wrote.")],
    *,
    out: Output = PLAIN,
) -> int:
    """Check an audit against Temporal's histories and the keyring, without the ledger."""
    text = file.read_text(encoding="utf-8")
    async with operator(out) as somebody:
        found = await somebody.check_audit(text)
    out.data(found)
    out.show(
        label("entries", str(found.entries)),
        label("cases", f"{found.cases} looked at in Temporal's histories"),
        label("head", found.head),
        label("sealed", plain(found.sealed or "not: its head is nowhere in Temporal")),
    )
    if found.unseen:
        out.show(label("no history", plain(", ".join(found.unseen)), "yellow"))
    if found.erased:
        out.show(label("erased", f"{found.erased} entries: of these only the chain speaks"))
    for fault in found.faults:
        out.show(label("fault", plain(fault), "red"))
    if not found.faults:
        out.show(Text("nothing in it contradicts Temporal or the keyring", "green"))
    return Code.FAILED if found.faults else Code.DONE
