"""`handrail review`: what ran alone is looked at afterwards, and what people say of it."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from handrail.actions import person
from handrail.cli import words
from handrail.cli.context import settings
from handrail.cli.output import Code, Output, UsageError
from handrail.cli.record import ledger
from handrail.cli.signing import key_of_person
from handrail.client.cases import iso
from handrail.oversight import (
    Keyring,
    NotProven,
    NotReviewed,
    ReviewAnswer,
    new_opinion,
    require_proven_answer,
    signed_answer,
    why_not_reviewer,
)

if TYPE_CHECKING:
    from handrail.ledger import (
        AnswerRow,
        IncidentRow,
        Ledger,
        ReviewedWrite,
        ReviewRow,
        VerdictRow,
    )

_COLOURS = {"right": "green", "harmless": "yellow", "wrong": "red"}


@dataclass(frozen=True)
class Looked:
    """One review with all that is known of its write. `faults`: answers that are not proven."""

    row: ReviewRow
    written: ReviewedWrite
    verdict: VerdictRow | None
    answers: list[AnswerRow]
    incidents: list[IncidentRow]
    faults: dict[int, str]


async def listing(out: Output, *, agent: str | None, every: bool, limit: int) -> int:
    """Show what waits for a look, the oldest first; with `every` what was answered too."""
    async with ledger() as opened:
        rows = await opened.reviews(agent, open_only=not every, limit=limit)
    out.data({"reviews": [document(row) for row in rows]})
    for row in rows:
        out.show(line(row))
    if not rows:
        out.show("no reviews" if every else "nothing waits for a look; --all shows what was said")
    elif len(rows) == limit:
        out.say(f"there may be more; --limit {limit * 10} shows more of them")
    return Code.DONE


async def show(out: Output, named: str) -> int:
    """Show one write as a reviewer must see it: what was done, why, and what came of it."""
    async with ledger() as opened:
        looked = await _look(opened, await _find(opened, named))
    out.data(_whole(looked))
    if not out.json:
        _print(out, looked)
    return Code.DONE


async def answer(out: Output, named: str, what: str, *, by: str, why: str) -> int:
    """Say of one write whether it was right, and sign it."""
    now = datetime.now(UTC)
    async with ledger() as opened:
        row = await _find(opened, named)
        fault = why_not_reviewer(row, person(by))
        if fault is not None:
            raise UsageError(f"{fault}; nothing was recorded")
        written = await _written(opened, row)
        try:
            said = new_opinion(written, what, by, why, now)
        except NotReviewed as error:
            raise UsageError(f"{error}; nothing was recorded") from error
        kept = signed_answer(said, key_of_person(out, settings(), by), now)
        await opened.answer_review(kept)
        after = await opened.review_of(row.key) or row
    out.show(Text(f"recorded: {said.answer}, by {words.plain(said.by)}", _COLOURS[said.answer]))
    if said.answer is ReviewAnswer.WRONG and written.undone is None:
        out.show(f"  to undo what the case wrote, while it is open: {_undo(row)}")
    out.data(
        document(after) | {"roll_back": _undo(row) if said.answer is ReviewAnswer.WRONG else None}
    )
    return Code.DONE


def _undo(row: ReviewRow) -> str:
    return f"{words.program()} roll-back {shlex.quote(row.case)} --why 'the review found it wrong'"


async def _find(opened: Ledger, named: str) -> ReviewRow:
    """The review of that write; or of the only one whose key begins so.

    Raises:
        UsageError: if there is none, or several.
    """
    exact = await opened.review_of(named)
    if exact is not None:
        return exact
    found = await opened.reviews(begins=named)
    waiting = [row for row in found if row.answer is None]
    chosen = waiting if len(waiting) == 1 else found
    if len(chosen) != 1:
        many = f"is the beginning of {len(chosen)} reviews" if chosen else "is not to be reviewed"
        raise UsageError(f"{named} {many}; `{words.program()} review --all` lists their keys")
    return chosen[0]


async def _written(opened: Ledger, row: ReviewRow) -> ReviewedWrite:
    written = await opened.written(row.key)
    if written is None:
        raise UsageError(f"the ledger knows of no write {row.key}: it cannot be looked at")
    return written


async def _look(opened: Ledger, row: ReviewRow) -> Looked:
    written = await _written(opened, row)
    verdicts = await opened.verdicts(row.agent, case=row.case)
    of_it = [each for each in verdicts if each.key == row.key]
    said = await opened.review_answers(row.key)
    met = [each for each in await opened.incidents(case=row.case) if each.key == row.key]
    return Looked(row, written, of_it[-1] if of_it else None, said, met, _faults(said))


def _faults(said: list[AnswerRow]) -> dict[int, str]:
    keys, now = Keyring(settings().keyring).current(), datetime.now(UTC)
    found: dict[int, str] = {}
    for number, each in enumerate(said):
        try:
            require_proven_answer(each, keys, now)
        except NotProven as error:
            found[number] = str(error)
    return found


# For programs


def document(row: ReviewRow) -> dict[str, Any]:
    """A review for programs."""
    given = asdict(row) | {
        "at": iso(row.at),
        "answered": None if row.answered is None else iso(row.answered),
        "people": list(row.people),
    }
    given.pop("proof")
    return given


def _whole(looked: Looked) -> dict[str, Any]:
    written, verdict = looked.written, looked.verdict
    return document(looked.row) | {
        "digest": written.digest,
        "action": written.action,
        "evidence": written.evidence,
        "confidence": written.confidence,
        "policy": written.policy,
        "receipt": written.receipt.model_dump(mode="json") if written.receipt else None,
        "undone": None if written.undone is None else iso(written.undone),
        "rationale": verdict.basis.rationale if verdict and verdict.basis else None,
        "findings": [f.model_dump(mode="json") for f in verdict.findings] if verdict else [],
        "autonomy": verdict.autonomy if verdict else None,
        "incidents": [each.what for each in looked.incidents],
        "answers": [
            {
                "answer": each.answer,
                "by": each.by,
                "at": iso(each.at),
                "why": each.note,
                "proven": number not in looked.faults,
                "fault": looked.faults.get(number, ""),
                "proof": each.proof,
            }
            for number, each in enumerate(looked.answers)
        ],
    }


# For people


def line(row: ReviewRow) -> Text:
    """A review for people, on one line."""
    head = f"{words.moment(row.at)}  {words.plain(row.key)}  "
    if row.answer is None:
        asks = f"for {words.plain(row.role)}: {words.plain(', '.join(row.people))}"
        return Text.assemble(head, ("waits ", "bold yellow"), asks)
    said = f" by {words.plain(row.by or '')}" + (f": {words.plain(row.note)}" if row.note else "")
    return Text.assemble(head, (row.answer, _COLOURS.get(row.answer, "")), said)


def _print(out: Output, looked: Looked) -> None:
    row, written = looked.row, looked.written
    out.show(Text(f"{words.plain(row.step)}  {words.plain(row.case)}", "bold"))
    out.show(words.label("key", words.plain(row.key)))
    out.show(words.label("why", words.plain(row.why)))
    out.show(words.label("for", f"{words.plain(row.role)}: {words.plain(', '.join(row.people))}"))
    if row.requester:
        out.show(words.label("asked for by", words.plain(row.requester)))
    out.show(words.label("policy", words.plain(written.policy)))
    out.show("", Text("what was done", "bold"), words.code(written.action))
    if looked.verdict is not None and looked.verdict.basis is not None:
        out.show("", Text("what the agent said", "bold"))
        out.show(words.quotation(looked.verdict.basis.rationale))
    if written.confidence is not None:
        out.show(words.label("confidence", f"{written.confidence:.0%}"))
    if written.evidence is not None:
        out.show("", Text("evidence", "bold"), words.code(written.evidence))
    _findings(out, looked)
    _result(out, looked)
    _answers(out, looked)


def _findings(out: Output, looked: Looked) -> None:
    findings = looked.verdict.findings if looked.verdict is not None else ()
    if findings:
        out.show("", Text("what the guardrails found", "bold"))
        out.show(*(f"  {f.kind}: {words.plain(f.why)} ({words.plain(f.check)})" for f in findings))


def _result(out: Output, looked: Looked) -> None:
    receipt = looked.written.receipt
    out.show("", Text("what came of it", "bold"))
    if receipt is not None:
        out.show(words.label(receipt.how, words.moment(receipt.at)), words.code(receipt.result))
    if looked.written.undone is not None:
        out.show(words.label("undone", words.moment(looked.written.undone), "magenta"))
    for each in looked.incidents:
        closed = " (closed)" if each.closed is not None else ""
        out.show(words.label("incident", f"{words.plain(each.what)}{closed}", "red"))


def _answers(out: Output, looked: Looked) -> None:
    if looked.answers:
        out.show("", Text("what was said of it", "bold"))
    for number, each in enumerate(looked.answers):
        fault = looked.faults.get(number)
        proven = "" if fault is None else f"  NOT PROVEN: {words.plain(fault)}"
        said = f"{words.moment(each.at)}  {each.answer} by {words.plain(each.by)}{proven}"
        out.show(Text(f"  {said}", "red" if fault else _COLOURS.get(each.answer, "")))
        if each.note:
            out.show(words.quotation(each.note))
    if looked.row.answer is None:
        key = shlex.quote(words.plain(looked.row.key))
        who = shlex.quote(words.plain(next(iter(looked.row.people), "you@example.com")))
        out.show("", Text("say what you think of it", "bold"))
        for what in ReviewAnswer:
            why = "" if what is ReviewAnswer.RIGHT else " --why 'the reason'"
            out.show(f"  {words.program()} review answer {key} {what} --by {who}{why}")
