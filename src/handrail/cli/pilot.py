"""`handrail pilot` and `approvers`: what an agent would have done, and how well people look."""

from __future__ import annotations

import io
import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from csv import DictWriter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from handrail.cli.context import Since, ledger_here, moment_of, operator, write_file
from handrail.cli.outcomes import pilot_lines
from handrail.cli.output import PLAIN, Code, Output, moment, plain
from handrail.client import iso
from handrail.evidence import ApproverAttention, approver_attention
from handrail.exceptions import InvalidRequest
from handrail.oversight import units_in_words
from handrail.text import escape_hidden

if TYPE_CHECKING:
    from handrail.ledger import VerdictRow

COLUMNS = (
    "at",
    "case",
    "step",
    "key",
    "verdict",
    "why",
    "confidence",
    "rationale",
    "requester",
    "policy",
    "autonomy",
    "digest",
)
"""Of every row of the CSV; after them `action.` and `evidence.`, a column for each field."""

_NUMBER = re.compile(r"-?[0-9]+([.][0-9]+)?(e[+-]?[0-9]+)?", re.IGNORECASE)
_FORMULA = frozenset("=+-@")
_PARTED = re.compile(r"([;\t\r\n])")


async def pilot(
    agent: str,
    step: str | None = None,
    *,
    since: Since = None,
    csv: Annotated[
        str | None,
        Parameter(allow_leading_hyphen=True, help="Write them to this CSV file; - is stdout."),
    ] = None,
    limit: Annotated[int | None, Parameter(help="At most so many, the latest.")] = None,
    out: Output = PLAIN,
) -> int:
    """List what an agent proposed in pilot, to be compared with what people did.

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    step
        One of its writes only.
    """
    async with operator(out, ledger="needed") as somebody:
        found = await somebody.ledger.verdicts(agent, since=moment_of(since), pilot=True)
        view = await somebody.pilot(agent, step, moment_of(since))
    rows = proposals(found, step)[-limit if limit else 0 :]
    if csv is not None:
        return _export(out, rows, csv)
    out.data(view, proposals=[document(row) for row in rows])
    for row in rows:
        out.show(_line(row))
    if not view.proposed:
        which = f" {plain(step)}" if step else ""
        out.show(f"{plain(agent)} has proposed nothing in pilot{which}")
    elif view.agreement.n or view.unmatched or view.contradicting or view.undecided:
        out.show(*pilot_lines(view))
    return Code.DONE


def proposals(rows: Iterable[VerdictRow], step: str | None) -> list[VerdictRow]:
    """One row for each write, in their order: a write that was judged again is the same one.

    What the door said in advance belongs to no write, and is left out.
    """
    last = {row.key: row for row in rows if row.key and (step is None or row.step == step)}
    return sorted(last.values(), key=lambda row: row.at)


def document(row: VerdictRow) -> dict[str, Any]:
    """A proposal for programs."""
    return {
        "at": iso(row.at),
        "case": row.case,
        "step": row.step,
        "key": row.key,
        "verdict": row.kind.value,
        "findings": [each.model_dump(mode="json") for each in row.findings],
        "action": row.action,
        "evidence": row.basis.evidence if row.basis else None,
        "confidence": row.basis.confidence if row.basis else None,
        "rationale": row.basis.rationale if row.basis else "",
        "requester": row.requester,
        "policy": row.policy,
        "autonomy": row.autonomy,
        "digest": row.digest,
        "units": row.units,
    }


def _line(row: VerdictRow) -> Text:
    colours = {"pass": "green", "hold": "yellow", "refuse": "red"}
    would = {"pass": "would be done", "hold": "would be asked", "refuse": "would be refused"}
    action = plain(json.dumps(row.action, ensure_ascii=False))
    units = units_in_words(row.units, "action")
    return Text.assemble(
        f"{moment(row.at)}  {plain(row.case)}  ",
        (plain(row.step), "bold"),
        f" {action}{f' ({plain(units)})' if units else ''}  ",
        (would[row.kind], colours[row.kind]),
    )


# CSV


def _export(out: Output, rows: Sequence[VerdictRow], file: str) -> int:
    if out.json:
        raise InvalidRequest("give --json or --csv, not both")
    written = as_csv(rows)
    if file == "-":
        sys.stdout.write(written)
        return Code.DONE
    # Spreadsheets take a file without a mark for one of their own old encodings.
    write_file(Path(file), written, "utf-8-sig")
    out.show(f"wrote {len(rows)} proposals to {plain(file)}")
    return Code.DONE


def as_csv(rows: Sequence[VerdictRow]) -> str:
    """The proposals as CSV (RFC 4180), a column for each field of an action and its evidence.

    A text that a spreadsheet would take for a formula has an apostrophe before it: much of what
    an agent read came from outside.
    """
    flat = [_flat(row) for row in rows]
    more = dict.fromkeys(name for row in flat for name in row if name not in COLUMNS)
    target = io.StringIO(newline="")
    writer = DictWriter(target, [*COLUMNS, *more], restval="")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in flat)
    return target.getvalue()


def _flat(row: VerdictRow) -> dict[str, Any]:
    given = document(row)
    why = "; ".join(dict.fromkeys(each.why for each in row.findings))
    found = {name: given[name] for name in COLUMNS if name != "why"} | {"why": why}
    found |= {_inert(escape_hidden(f"action.{name}")): value for name, value in row.action.items()}
    if isinstance(given["evidence"], dict):
        evidence = cast("dict[str, Any]", given["evidence"])
        found |= {
            _inert(escape_hidden(f"evidence.{name}")): value for name, value in evidence.items()
        }
    return found


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return _inert(
        escape_hidden(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    )


def _inert(text: str) -> str:
    """A text that no spreadsheet takes for a formula, also one that drops what stands before it.

    Nor any part of it that is a cell of its own where semicolons, tabs or lines part cells.
    """
    parts = "".join(map(_inert_cell, _PARTED.split(text)))
    return f"'{parts}" if text[:1] in {"\t", "\r", "\n"} else parts


def _inert_cell(text: str) -> str:
    shown = (c for c in unicodedata.normalize("NFKC", text) if not _is_dropped(c))
    return f"'{text}" if next(shown, "") in _FORMULA and not _NUMBER.fullmatch(text) else text


def _is_dropped(character: str) -> bool:
    """Whether something that reads the file may take it away: a blank, a quote, nothing to see."""
    return character in "\"'`\\" or unicodedata.category(character)[0] in {"Z", "C"}


# Approvers


async def approvers(*, since: Since = timedelta(days=90), out: Output = PLAIN) -> None:
    """Show how well people look: their share of yes, their median look, what was planted."""
    async with ledger_here() as opened:
        rows = await opened.rulings(since=moment_of(since), texts=False)
    found = approver_attention(rows)
    out.data({"approvers": [_attention_document(each) for each in found]})
    out.show(_table(found) if found else "nobody has ruled with a proof yet")
    out.show(*(Text(f"{plain(e.person)} {flag}", "red") for e in found for flag in e.flags))


def _attention_document(each: ApproverAttention) -> dict[str, Any]:
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
        plain(each.person),
        str(each.decisions),
        f"{each.yes:.0%} of {each.counted}",
        looked,
        f"{each.caught} of {each.planted} caught" if each.planted else "-",
        moment(each.last),
    )
