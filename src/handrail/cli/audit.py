"""`handrail audit`: everything that an agent did in a period, and who let it, to be checked."""

from __future__ import annotations

import shlex
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import SomeBody, moment_of, operator, text_of, write_file
from handrail.cli.output import PLAIN, Code, Output, label, moment, plain, program
from handrail.text import escape_hidden

if TYPE_CHECKING:
    from handrail.client import AuditCheck
    from handrail.evidence import AuditEntry

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
        write_file(file, lines)
    out.data(found, file=None if file is None else str(file))
    for entry in found.entries[1:]:
        out.show(_line(entry))
    kinds = Counter(each.kind for each in found.entries[1:])
    counted = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    out.show(label("entries", counted or "none"), label("head", found.head))
    if not seal:
        out.say(
            "nobody can show later that this was its head, and `audit verify` fails for that; "
            "--seal puts it into Temporal"
        )


def _line(entry: AuditEntry) -> Text:
    """One entry, for people: of which case, or which policy or order, and by whom."""
    body: dict[str, Any] = entry.body
    case = str(body.get("case") or "")
    if entry.kind == "policy":
        said = [body["label"]]
    elif entry.kind == "order":
        target = "/".join(str(body[name]) for name in ("agent", "step") if body[name])
        share = f" {body['rollout'] / 100:g}%" if body["rollout"] else ""
        named = body["level"] if body["kind"] == "level" else body["kind"]
        said = [f"{named}{share}", "" if case else target, f"by {body['by']}", body["why"]]
    else:
        names = ("step", "state", "kind", "answer", "verb", "by", "what")
        said = [str(body[name]).replace("_", " ") for name in names if body.get(name)]
    words = "  ".join(plain(each) for each in said if each)
    return Text.assemble(
        f"{moment(entry.at)}  {entry.kind:<9}", (f"{plain(case)}  " if case else "", "bold"), words
    )


async def verify(
    file: Annotated[Path, Parameter(help="What `handrail audit --file` wrote.")],
    *,
    out: Output = PLAIN,
) -> int:
    """Check an audit against Temporal's histories and the keyring, without the ledger.

    One that is not sealed fails, too: what was left out of it nobody can tell.
    """
    text = text_of(f"@{file}")
    async with operator(out, ledger="none") as somebody:
        found = await somebody.check_audit(text)
    out.data(found)
    return say_check(out, found)


def say_check(out: Output, found: AuditCheck) -> Code:
    """Say what a check of an audit found. Only one that is sealed and has no fault passes."""
    out.show(
        label("entries", str(found.entries)),
        label("cases", f"{found.cases} looked at in Temporal's histories"),
        label("head", found.head),
        label("sealed", f"by {plain(found.sealed)}" if found.sealed else "no"),
    )
    if found.unseen:
        out.show(label("no history", plain(", ".join(found.unseen)), "yellow"))
    if found.erased:
        out.show(label("erased", f"{found.erased} entries: of these only the chain speaks"))
    for fault in found.faults:
        out.show(label("fault", plain(fault), "red"))
    if not found.faults:
        colour = "green" if found.sealed else ""
        out.show(Text("nothing in it contradicts Temporal or the keyring", colour))
    if found.sealed:
        return Code.FAILED if found.faults else Code.DONE
    span = f"--from {found.since.isoformat()} --to {found.until.isoformat()}"
    again = f"{program()} audit {shlex.quote(plain(found.agent))} {span} --seal --file NEW"
    out.show(
        Text("NOT SEALED: its head is nowhere in Temporal, so that nobody can tell whether", "red"),
        Text("something was left out before it was written", "red"),
        label("then", f"{again}; then verify that file"),
    )
    return Code.FAILED
