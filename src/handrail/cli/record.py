"""`handrail rulings`: what people ruled, as it was signed, and whether it still proves itself."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from rich.text import Text

from handrail.actions import person
from handrail.cli import words
from handrail.cli.context import ledger_if_there, settings
from handrail.cli.output import Code, Output, UsageError
from handrail.client.cases import iso
from handrail.oversight import Keyring, NotProven, TrustedKey, verify_ruling

if TYPE_CHECKING:
    from handrail.ledger import Ledger, RulingRow


async def rulings(
    out: Output,
    *,
    by: str | None,
    case: str | None,
    since: datetime | timedelta | None,
    limit: int,
    again: bool,
) -> int:
    """Show proven rulings, the newest first; with `again` prove each once more."""
    who = None if by is None else person(by)
    async with ledger() as opened:
        rows = await opened.rulings(by=who, case=case, since=moment_of(since), limit=limit)
    faults = _faults(rows) if again else {}
    out.data({"rulings": [_document(row, faults, again=again) for row in rows]})
    if not out.json:
        for row in rows:
            out.show(*_lines(row, faults.get(row.jti), again=again))
        if not rows:
            out.show("no proven rulings")
        elif len(rows) == limit:
            out.say(f"there may be more; --limit {limit * 10} shows more of them")
    if faults:
        out.say(f"handrail: {len(faults)} of {len(rows)} do not prove themselves", "red")
    return Code.FAILED if faults else Code.DONE


@contextlib.asynccontextmanager
async def ledger() -> AsyncGenerator[Ledger]:
    """The ledger that the workers use.

    Raises:
        UsageError: if there is none here.
        LedgerUnavailable: if it cannot be used.
    """
    given = settings()
    async with ledger_if_there(given) as opened:
        if opened is None:
            raise UsageError(
                f"there is no ledger at {given.ledger_url.render_as_string(hide_password=True)}; "
                "fix: run this where the worker runs, or set HANDRAIL_LEDGER_URL to its ledger"
            )
        yield opened


def moment_of(since: datetime | timedelta | None) -> datetime | None:
    """A time that was given as one, or as how long ago."""
    if isinstance(since, timedelta):
        return datetime.now(UTC) - since
    return None if since is None else since.astimezone(UTC)


def _faults(rows: list[RulingRow]) -> dict[str, str]:
    keys = Keyring(settings().keyring).current()
    found = {row.jti: fault_of(row, keys) for row in rows}
    return {jti: fault for jti, fault in found.items() if fault is not None}


def fault_of(row: RulingRow, keys: Mapping[str, TrustedKey]) -> str | None:
    """Why a row does not prove itself; None if it does.

    It is judged as of when it was signed: that it is not good for a write any more is no
    fault. What its signature does not cover (the step, whom it stood for, which write used
    it, whether it was planted) is the ledger's word.
    """
    try:
        ruling = row.ruling
        proved = verify_ruling(ruling, row.verb, row.case, keys, row.at)
    except ValidationError:
        return "it is no ruling any more: the ledger was altered"
    except NotProven as error:
        return str(error)
    signed: dict[str, Any] = {
        "jti": proved.jti,
        "by": proved.by,
        "kid": proved.kid,
        "at": proved.at,
        "gate": ruling.gate,
        "digest": ruling.digest,
        "via": ruling.via,
        "looked": ruling.looked,
        "agent": row.case.partition(":")[0],
    }
    altered = [name for name, value in signed.items() if getattr(row, name) != value]
    if altered:
        return f"the ledger was altered: {', '.join(altered)} is not what was signed"
    return None


def _document(row: RulingRow, faults: Mapping[str, str], *, again: bool) -> dict[str, Any]:
    said = {
        "jti": row.jti,
        "at": iso(row.at),
        "by": row.by,
        "stands_for": row.stands_for,
        "verb": row.verb,
        "case": row.case,
        "gate": row.gate,
        "step": row.step,
        "digest": row.digest,
        "kid": row.kid,
        "via": row.via,
        "looked": row.looked,
        "planted": row.planted,
        "effect": row.effect,
        "ruling": row.text,
    }
    if again:
        said |= {"proven": row.jti not in faults, "why": faults.get(row.jti, "")}
    return said


def _lines(row: RulingRow, fault: str | None, *, again: bool) -> list[Text]:
    place = f" for {words.plain(row.stands_for)}" if row.stands_for else ""
    via = f" by {words.plain(row.via)}" if row.via else ""
    looked = f", looked {row.looked:.0f} s" if row.looked is not None else ""
    planted = ("  planted", "yellow") if row.planted else ""
    head = Text.assemble(
        f"{words.moment(row.at)}  {words.plain(row.by)}{place}  ",
        (row.verb, "bold"),
        f"  {words.plain(row.case)}  {words.plain(row.step)} {row.digest[:12]}{via}{looked}",
        planted,
    )
    lines = [head]
    if row.effect:
        lines.append(words.label("used for", words.plain(row.effect)))
    if again and fault is None:
        lines.append(words.label("proven", f"by the key {words.plain(row.kid)}", "green"))
    if fault is not None:
        lines.append(words.label("NOT PROVEN", words.plain(fault), "red"))
    return lines
