"""`handrail pilot`: what an agent would have done, for a comparison with what people did."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.text import Text

from handrail.cli import words
from handrail.cli.output import Code, Output, UsageError
from handrail.cli.record import ledger, moment_of
from handrail.client.cases import iso

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

_NUMBER = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", re.IGNORECASE)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def pilot(
    out: Output,
    agent: str,
    step: str | None,
    *,
    since: datetime | timedelta | None,
    file: str | None,
    limit: int | None,
) -> int:
    """Show what an agent proposed in pilot, or write it to a CSV file; `-` is stdout."""
    async with ledger() as opened:
        found = await opened.verdicts(agent, since=moment_of(since), pilot=True)
    rows = proposals(found, step)[-limit if limit else 0 :]
    if file is not None:
        return _export(out, rows, file)
    out.data({"proposals": [document(row) for row in rows]})
    for row in rows:
        out.show(_line(row))
    if not rows:
        which = f" {words.plain(step)}" if step else ""
        out.show(f"{words.plain(agent)} has proposed nothing in pilot{which}")
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
    }


def _line(row: VerdictRow) -> Text:
    colours = {"pass": "green", "hold": "yellow", "refuse": "red"}
    would = {"pass": "would be done", "hold": "would be asked", "refuse": "would be refused"}
    action = words.plain(json.dumps(row.action, ensure_ascii=False))
    return Text.assemble(
        f"{words.moment(row.at)}  {words.plain(row.case)}  ",
        (words.plain(row.step), "bold"),
        f" {action}  ",
        (would[row.kind], colours[row.kind]),
    )


# CSV


def _export(out: Output, rows: Sequence[VerdictRow], file: str) -> int:
    if out.json:
        raise UsageError("give --json or --csv, not both")
    written = as_csv(rows)
    if file == "-":
        sys.stdout.write(written)
        return Code.DONE
    try:
        # Spreadsheets take a file without a mark for one of their own old encodings.
        Path(file).write_text(written, encoding="utf-8-sig", newline="")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}") from error
    out.show(f"wrote {len(rows)} proposals to {words.plain(file)}")
    return Code.DONE


def as_csv(rows: Sequence[VerdictRow]) -> str:
    """The proposals as CSV (RFC 4180), a column for each field of an action and its evidence.

    A text that a spreadsheet would take for a formula has an apostrophe before it: much of what
    an agent read came from outside.
    """
    flat = [_flat(row) for row in rows]
    more = dict.fromkeys(name for row in flat for name in row if name not in COLUMNS)
    target = io.StringIO(newline="")
    writer = csv.DictWriter(target, [*COLUMNS, *more], restval="")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in flat)
    return target.getvalue()


def _flat(row: VerdictRow) -> dict[str, Any]:
    given = document(row)
    why = "; ".join(dict.fromkeys(each.why for each in row.findings))
    found = {name: given[name] for name in COLUMNS if name != "why"} | {"why": why}
    found |= {f"action.{name}": value for name, value in row.action.items()}
    if isinstance(given["evidence"], dict):
        evidence = cast("dict[str, Any]", given["evidence"])
        found |= {f"evidence.{name}": value for name, value in evidence.items()}
    return found


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _inert(value)
    return json.dumps(value, ensure_ascii=False)


def _inert(text: str) -> str:
    formula = text.startswith(_FORMULA) and not _NUMBER.fullmatch(text)
    return f"'{text}" if formula else text
