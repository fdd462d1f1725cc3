"""`handrail show`: everything about one case, from wherever it is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from rich.text import Text
from temporalio.client import Client, WorkflowExecution

from handrail.actions import Outcome, Receipt, RulingRecord
from handrail.cli import inbox, incidents, review, words
from handrail.cli.context import client, ledger_if_there, settings
from handrail.cli.output import Code, Output
from handrail.client import cases as known
from handrail.client import gates as desk
from handrail.client.cases import CaseRow
from handrail.exceptions import LedgerUnavailable
from handrail.ledger import EffectRow, IncidentRow, ReviewRow
from handrail.oversight import CaseView, GateView

R = TypeVar("R")


@dataclass
class Known:
    """What was found out about a case, and what could not be."""

    row: CaseRow
    view: CaseView | None = None
    outcome: Outcome | None = None
    gates: list[GateView] = field(default_factory=list[GateView])
    effects: list[EffectRow] | None = None
    incidents: list[IncidentRow] | None = None
    reviews: list[ReviewRow] | None = None
    lacking: list[str] = field(default_factory=list[str])

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """Its receipts, as far as they are known."""
        source = self.outcome or self.view
        if source is not None:
            return source.receipts
        return tuple(e.receipt for e in self.effects or () if e.receipt is not None)

    @property
    def rulings(self) -> tuple[RulingRecord, ...]:
        """Its rulings, as far as they are known."""
        source = self.outcome or self.view
        return source.rulings if source is not None else ()


async def show(out: Output, case: str) -> int:
    """Show one case."""
    connected = await client(settings())
    found = await _find_out(connected, case)
    url = desk.case_url(settings().ui_url, connected.namespace, case)
    out.data(_as_json(found, url))
    if not out.json:
        _print(out, found, url)
        for text in found.lacking:
            out.say(text, "yellow")
    return Code.DONE


async def _find_out(connected: Client, case: str) -> Known:
    execution: WorkflowExecution = await desk.existing(connected, case)
    found = Known(known.row(execution))
    if found.row.closed is not None:
        found.outcome = await known.outcome_of(connected.get_workflow_handle(case))
        found.row = known.row(execution, found.outcome)
    found.view = await desk.case_view(connected, case)
    if found.view is None:
        found.gates = await desk.gates_of(execution)
        found.lacking.append(
            "no worker answers: the log and the moves of the case are not shown"
            + ("" if found.outcome else ", nor its rulings")
        )
    else:
        found.gates = list(found.view.gates)
    try:
        async with ledger_if_there(settings()) as ledger:
            if ledger is not None:
                found.effects = await ledger.effects(case)
                found.incidents = await ledger.incidents(case=case)
                found.reviews = await ledger.reviews(case=case)
    except LedgerUnavailable as error:
        found.lacking.append(str(error))
    return found


def _as_json(found: Known, url: str) -> dict[str, Any]:
    view, outcome = found.view, found.outcome
    effects = found.effects
    return known.row_json(found.row) | {
        "title": view.title if view else None,
        "requester": view.requester if view else None,
        "why": found.row.why or (view.why if view else ""),
        "gates": [inbox.as_json(gate) for gate in found.gates],
        "receipts": [r.model_dump(mode="json") for r in found.receipts],
        "rulings": [r.model_dump(mode="json") for r in found.rulings],
        "moves": [m.model_dump(mode="json") for m in view.moves] if view else None,
        "log": [entry.model_dump(mode="json") for entry in view.log] if view else None,
        "outcome": outcome.model_dump(mode="json") if outcome else None,
        "effects": None if effects is None else [_effect_json(e) for e in effects],
        "incidents": _each(found.incidents, incidents.document),
        "reviews": _each(found.reviews, review.document),
        "worker_answered": view is not None,
        "lacking": found.lacking,
        "url": url,
    }


def _each(rows: Sequence[R] | None, document: Callable[[R], dict[str, Any]]) -> Any:
    return None if rows is None else [document(row) for row in rows]


def _effect_json(effect: EffectRow) -> dict[str, Any]:
    return {
        "key": effect.key,
        "step": effect.step,
        "digest": effect.digest,
        "state": effect.state.value,
        "begun": known.iso(effect.begun),
        "receipt": effect.receipt.model_dump(mode="json") if effect.receipt else None,
        "error": effect.error,
    }


def _print(out: Output, found: Known, url: str) -> None:
    row, view = found.row, found.view
    title = f"  {words.plain(view.title)}" if view else ""
    out.show(Text.assemble((words.plain(row.case), "bold"), title))
    why = row.why or (view.why if view else "")
    text = Text.assemble(words.state(row.state), f": {words.plain(why)}" if why else "")
    out.show(words.label("state", text))
    out.show(words.label("began", words.moment(row.started)))
    if row.closed is not None:
        out.show(words.label("ended", words.moment(row.closed)))
    if view is not None and view.requester:
        out.show(words.label("asked for by", words.plain(view.requester)))
    out.show(words.label("page", url))
    for gate in found.gates:
        out.show("", *inbox.lines(gate, datetime.now(UTC)))
    _section(out, "receipts", [_receipt(r) for r in found.receipts])
    _section(out, "rulings", [_ruling(r) for r in found.rulings])
    unsent = found.outcome.unsent if found.outcome else ()
    _section(out, "not told", [words.plain(each) for each in unsent])
    _section(out, "ledger", [_effect(e) for e in found.effects or ()])
    for incident in found.incidents or ():
        out.show("", *incidents.lines(incident))
    _section(out, "reviews", [review.line(each) for each in found.reviews or ()])
    if view is not None:
        log = [f"{words.moment(e.at)}  {words.plain(e.text)}" for e in view.log]
        _section(out, "log", log)


def _section(out: Output, name: str, lines: Sequence[str | Text]) -> None:
    if lines:
        out.show("", Text(name, "bold"), *(Text.assemble("  ", line) for line in lines))


def _receipt(receipt: Receipt) -> str:
    when = words.moment(receipt.at)
    return f"{when}  {words.plain(receipt.step)} {receipt.how}, key {words.plain(receipt.key)}"


def _ruling(ruling: RulingRecord) -> str:
    proven = "" if ruling.proven else " (unproven)"
    said = f" {ruling.answer}" if ruling.answer else ""
    why = f", {words.plain(ruling.why)}" if ruling.why else ""
    judged = "accepted" if ruling.accepted else f"refused: {words.plain(ruling.note)}"
    who = words.plain(ruling.by) or "somebody"
    when = words.moment(ruling.at)
    return f"{when}  {words.plain(ruling.verb)}{said} by {who}{proven}{why}: {judged}"


def _effect(effect: EffectRow) -> str:
    error = f", {words.plain(effect.error)}" if effect.error else ""
    state = effect.state.value.replace("_", " ")
    return f"{words.moment(effect.begun)}  {words.plain(effect.key)}: {state}{error}"
