"""The audit of a period: entries in a hash chain, and what Temporal's histories say against them.

Each entry's hash covers the one before it, so that none can be changed, left out, added or moved
without every later hash being another; the last one, the head, is put where whoever writes the
ledger cannot change it (the steward's history). Nothing here trusts the ledger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

from pydantic import JsonValue, TypeAdapter

from handrail.actions import Aware, Ruling, Wire, canonical, person
from handrail.ledger import FLEET, AnswerRow, OrderRow, PolicyRow, ReviewRow, RulingRow
from handrail.oversight import (
    ORDER_STATEMENT,
    Change,
    NotProven,
    OrderState,
    TrustedKey,
    order_givers,
    order_of_row,
    require_proven_answer,
    verify_ruling,
)
from handrail.text import first_line

T = TypeVar("T")
AuditKind = Literal["period", "policy", "order", "ruling", "effect", "incident", "review"]


class AuditEntry(Wire):
    """One line of an audit. `body`: the ledger's row, whole. `hash`: of it and all before it.

    `digest`: of the body, by which the hash goes (audits of before have none). `erased`: the body
    is what an erasure left; its digest is of what it was, and the chain closes as before.
    """

    number: int
    kind: AuditKind
    at: Aware
    body: dict[str, JsonValue]
    hash: str
    digest: str = ""
    erased: bool = False


_KEYS = {"effect": "key", "ruling": "jti", "incident": "id", "review": "key"}
"""By what the rows of a case are called where one is erased."""


def body_digest(body: Mapping[str, Any]) -> str:
    """The SHA-256 of an entry's body."""
    return hashlib.sha256(canonical(dict(body)).encode()).hexdigest()


def row_name(kind: AuditKind, body: Mapping[str, Any]) -> str | None:
    """What a row is called where it is erased; None of those that never are."""
    return f"{kind} {body[_KEYS[kind]]}" if kind in _KEYS else None


@dataclass(frozen=True)
class CaseFacts:
    """What Temporal's histories say of one case: receipts by their key, proofs of rulings."""

    receipts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])
    proofs: frozenset[str] = frozenset()


def chained(
    items: Iterable[tuple[AuditKind, datetime, Mapping[str, Any]]],
    before: str = "",
    erased: Mapping[str, str] | None = None,
) -> tuple[AuditEntry, ...]:
    """Entries, chained in the order given. `before`: the head of the audit before this one.

    `erased`: digests of rows as they were before their erasure, by their names.
    """
    found: list[AuditEntry] = []
    for number, (kind, at, body) in enumerate(items):
        was = (erased or {}).get(row_name(kind, body) or "")
        digest = was or body_digest(body)
        entry = AuditEntry(
            number=number,
            kind=kind,
            at=at,
            body=dict(body),
            hash="",
            digest=digest,
            erased=was is not None,
        )
        before = _hash(entry, before)
        found.append(entry.model_copy(update={"hash": before}))
    return tuple(found)


def chain_faults(entries: Sequence[AuditEntry]) -> list[str]:
    """Where the chain is broken; after the first break all that follows would be."""
    if not entries or entries[0].kind != "period":
        return ["it does not begin with the period that it is of"]
    before = str(entries[0].body.get("before", ""))
    for number, entry in enumerate(entries):
        if entry.number != number:
            return [f"entry {number} is missing, or stands elsewhere"]
        before = _hash(entry, before)
        gone = entry.erased and entry.kind in _KEYS
        if entry.hash != before or (
            entry.digest and not gone and entry.digest != body_digest(entry.body)
        ):
            return [f"entry {number} ({entry.kind}) or what stood before it was changed"]
    return []


def _hash(entry: AuditEntry, before: str) -> str:
    left_out = {"body"} if entry.digest else {"digest"}
    said = entry.model_dump(mode="json", exclude={"hash", "erased"} | left_out)
    return hashlib.sha256(f"{before}\n{canonical(said)}".encode()).hexdigest()


def proof_faults(entries: Iterable[AuditEntry], keys: Mapping[str, TrustedKey]) -> list[str]:
    """What is not shown to be theirs whom it names, by `keys`; policies not named by their text."""
    return [
        f"entry {entry.number} ({entry.kind}): {why}"
        for entry in entries
        if not entry.erased and (why := _unproven(entry, keys))
    ]


def _unproven(entry: AuditEntry, keys: Mapping[str, TrustedKey]) -> str | None:
    try:
        if entry.kind == "ruling":
            return _ruling_fault(_row(RulingRow, entry), keys)
        if entry.kind == "policy":
            return _policy_fault(_row(PolicyRow, entry))
        if entry.kind == "order":
            return _order_fault(_row(OrderRow, entry), keys)
        if entry.kind == "review":
            return _review_fault(_row(ReviewRow, entry), keys)
        if entry.kind == "effect":
            return _effect_fault(entry.body)
    except NotProven as error:
        return str(error)
    except ValueError as error:
        return f"it cannot be read: {first_line(str(error))}"
    return None


def _ruling_fault(row: RulingRow, keys: Mapping[str, TrustedKey]) -> str | None:
    """A ruling is what its signature says; the row beside it may say other."""
    ruling = Ruling.model_validate_json(row.text)
    found = verify_ruling(ruling, row.verb, row.case, keys, row.at)
    signed = (ruling.gate, found.by, found.jti, found.kid)
    if signed != (row.gate, row.by, row.jti, row.kid):
        stands = f"stands at {row.gate} of {row.by}"
        return f"it was signed for gate {ruling.gate} by {found.by}, and {stands}"
    said = (ruling.digest, ruling.via, ruling.looked, found.at)
    if said != (row.digest, row.via, row.looked, row.at):
        return "what stands beside it is not what was signed"
    if row.effect is not None and not row.effect.startswith(f"{row.case}/"):
        return f"it stands for {row.effect}, which is of another case"
    return None


def _review_fault(row: ReviewRow, keys: Mapping[str, TrustedKey]) -> str | None:
    """An answer is what its signature says; one that nobody signed is none."""
    if row.answer is None:
        return None
    at, note = row.answered or row.at, row.note or ""
    given = AnswerRow(row.key, row.answer, row.by or "", at, note, row.proof or "")
    said = require_proven_answer(given, keys, at)
    if (said.at, said.why) == (at, note):
        return None
    return "when it was answered, or why, is not what was signed"


def _effect_fault(row: Mapping[str, Any]) -> str | None:
    """An effect has the receipt that stands in it, and with it was done."""
    has: Any = row.get("receipt")
    own = ("key", "step", "digest")
    if has is not None and any(has.get(name) != row.get(name) for name in own):
        return f"the receipt in it is of {has.get('key')} ({has.get('digest')}), and not its own"
    is_theirs = str(row.get("key")).startswith(f"{row.get('case')}/")
    if (has is not None) != (row.get("state") == "done") or not is_theirs:
        return f"it is {row.get('state')} as {row.get('key')}: its receipt does not say so"
    return None


def _policy_fault(row: PolicyRow) -> str | None:
    """A policy is named by the SHA-256 of its text."""
    if row.sha == hashlib.sha256(row.text.encode()).hexdigest():
        return None
    return f"the text of {row.label} is not the one of its digest {row.sha[:12]}"


def _order_fault(row: OrderRow, keys: Mapping[str, TrustedKey]) -> str | None:
    """An order without a signature proves nothing and claims nothing; one with it must be right."""
    signed = [text for text in row.proofs if not text.startswith("{")]
    if signed and not _gave(row, signed, keys):
        return f"{row.by} is not shown to have given it"
    lifts = [text for text in row.ended_proofs if not text.startswith("{")]
    if lifts and not any(_ends(row, text, keys) for text in lifts):
        return f"{row.ended_by} is not shown to have ended it"
    return None


def _gave(row: OrderRow, signed: Sequence[str], keys: Mapping[str, TrustedKey]) -> bool:
    """Whether whom a row names signed it; of a ledger or a rollout more is signed than it keeps."""
    order = order_of_row(row)
    if order is not None or row.kind not in _PARTLY_KEPT:
        return order is not None and person(row.by) in order_givers(order, signed, keys)
    stated = (ORDER_STATEMENT.verify(text, keys, row.at)[0] for text in signed)
    names = ("id", "kind", "agent", "by", "why")
    return any(all(said.get(name) == getattr(row, name) for name in names) for said in stated)


_PARTLY_KEPT = {"ledger", "rollout"}


def _ends(row: OrderRow, statement: str, keys: Mapping[str, TrustedKey]) -> bool:
    """Whether a statement is of whoever ended an order: it lifts it, or took its place."""
    said, by, _ = ORDER_STATEMENT.verify(statement, keys, row.ended or row.at)
    replaced = row.ended_why == f"replaced by {said.get('id')}"
    return row.ended_by == by and (said.get("lifts") == row.id or replaced)


def history_faults(
    entries: Iterable[AuditEntry],
    facts: Mapping[str, CaseFacts | None],
    since: datetime,
    until: datetime,
) -> list[str]:
    """Where entries and histories differ. `facts`: of each case; None where no history is left."""
    written: set[str] = set()
    faults: list[str] = []
    agent = ""
    for entry in entries:
        agent = str(entry.body.get("agent")) if entry.kind == "period" else agent
        of = str(entry.body.get("agent") or str(entry.body.get("case")).partition(":")[0])
        if of not in {agent, FLEET}:
            faults.append(f"entry {entry.number}: it is of {of}, and not of {agent}")
        case, receipt = facts.get(str(entry.body.get("case"))), entry.body.get("receipt")
        if isinstance(receipt, dict):
            written.add(str(receipt["key"]))
        if entry.kind != "period" and entry.at >= until:
            faults.append(f"entry {entry.number}: it is of a time after the period")
        if case is not None and (why := _contradicted(entry, case)):
            faults.append(f"entry {entry.number}: {why}")
    for name, known in facts.items():
        for key, receipt in (CaseFacts() if known is None else known).receipts.items():
            at = datetime.fromisoformat(str(receipt["at"]))
            if since <= at < until and key not in written:
                faults.append(f"{name}: Temporal has a receipt that is missing here: {key}")
    return faults


def order_faults(
    entries: Iterable[AuditEntry], known: Iterable[Change], since: datetime, until: datetime
) -> list[str]:
    """Where entries and the agent's steward differ on orders that it knows to have counted.

    What lifts another is no entry of its own: it stands in the one that it ended.
    """
    here = {str(entry.body.get("id")): entry for entry in entries if entry.kind == "order"}
    faults: list[str] = []
    for change in filter(_has_counted, known):
        order, entry = change.order, here.get(change.order.lifts or change.order.id)
        if entry is not None and (why := _other_order(entry, change, until)):
            faults.append(f"entry {entry.number}: {why}")
        due = order.kind in {"stop", "level"} and since <= order.at < until
        if due and entry is None:
            said = f"{order.kind} by {order.by} at {order.at}"
            faults.append(f"Temporal has an order that is missing here: {said}")
    return faults


def _has_counted(change: Change) -> bool:
    """Whether an order counted: not one of what was stopped or over already."""
    lifted = change.stand is OrderState.DONE and change.note in {"", "lifted"}
    return change.stand is OrderState.IN_FORCE or lifted


def _other_order(entry: AuditEntry, change: Change, until: datetime) -> str | None:
    """What of an order is not as the agent's steward has it."""
    row, order = _row(OrderRow, entry), change.order
    if order.kind != "lift":
        by, why, proofs, here = row.by, row.why, row.proofs, order_of_row(row)
        same = order.kind in _PARTLY_KEPT if here is None else order.same_as(here)
        same = same and row.kind == order.kind
    else:
        by, why, proofs, same = row.ended_by, row.ended_why, row.ended_proofs, True
        if row.ended is None and change.since >= until:
            return None  # the audit was made before
    if not same or (by, why) != (order.by, order.why):
        return f"Temporal has another {order.kind} there, by {order.by}"
    if change.proven and all(text.startswith("{") for text in proofs):
        return f"Temporal has it signed by {', '.join(change.people)}, and here nobody has"
    return None


def _contradicted(entry: AuditEntry, case: CaseFacts) -> str | None:
    """What of one entry the history of its case does not bear out."""
    if entry.erased:
        return "it is erased, and Temporal still has its case"
    receipt: Any = entry.body.get("receipt")
    if entry.kind == "effect" and receipt and not _is_same(receipt, case):
        return f"Temporal has no such receipt as {receipt}"
    if entry.kind != "ruling":
        return None
    proof = Ruling.model_validate_json(str(entry.body["text"])).proof
    return None if proof in case.proofs else f"no such ruling came to {entry.body['case']}"


def _is_same(receipt: Mapping[str, Any], case: CaseFacts) -> bool:
    """Whether a history has this receipt: of this action, with this result."""
    there = case.receipts.get(str(receipt["key"]))
    about = ("key", "step", "digest", "result")
    return there is not None and all(receipt.get(name) == there.get(name) for name in about)


def _row(kind: type[T], entry: AuditEntry) -> T:
    return TypeAdapter(kind).validate_python(entry.body)
