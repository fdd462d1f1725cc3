"""Erasure: what the ledger holds of a person's data in a case goes, and what an audit needs stays.

A row keeps its keys, digests, moments, states and sums, and who of the house ruled. Every text and
value that came from outside or was made of it is blanked, and so is what a signature would show of
it. The order that it was erased by holds the digest of each row that audits name, so that a chain
made before still closes.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from handrail.actions import Receipt, Ruling
from handrail.ledger import evidence_tables as evidence
from handrail.ledger import tables
from handrail.ledger.database import Database
from handrail.ledger.entries import OrderRow
from handrail.ledger.orders import give_ended
from handrail.ledger.tables import EffectState, Unreadable

_BLANK: dict[sa.Table, dict[str, Any]] = {
    tables.effects: {"action": {}, "error": None, "evidence": None},
    tables.verdicts: {"action": {}, "basis": None, "findings": (), "requester": None},
    tables.incidents: {"what": "", "closed_why": None},
    tables.reviews: {"why": "", "requester": None, "note": None, "proof": None},
    tables.intake: {"body": "", "headers": {}, "requested_by": "", "why": ""},
    **evidence.ERASED_WORDS,
    evidence.comparisons: {"rule": None, "kind": "", "fields": (), "amounts": {}, "above": {}},
}
"""What every row of a case loses; beside it results of receipts, and texts of rulings."""


class Erasure(Database):
    """The erasure of a ledger."""

    async def erase_case(self, order: OrderRow) -> bool:
        """Blank what is kept of the case that an order names, and keep the order, in one step.

        False, and nothing is changed, if a write of it is on its way, or it is erased already.
        """

        def transaction(connection: sa.Connection) -> bool:
            e, case = tables.effects.c, order.case
            on_its_way = sa.select(e.key).where(e.case_id == case, e.state == EffectState.INTENDED)
            if connection.execute(on_its_way).first() or not give_ended(connection, order):
                return False
            for table, values in _BLANK.items():
                connection.execute(table.update().where(table.c.case_id == case).values(values))
            _blank_receipts(connection, case)
            _blank_rulings(connection, case)
            # What people did instead says as much of the person as what was proposed.
            outcomes = evidence.outcomes
            connection.execute(outcomes.delete().where(outcomes.c.case_id == case))
            _blank_answers(connection, case)
            return True

        return await self._run(transaction)


def _blank_receipts(connection: sa.Connection, case: str | None) -> None:
    e = tables.effects.c
    kept = sa.select(e.key, e.receipt).where(e.case_id == case, e.receipt.is_not(None))
    for key, receipt in connection.execute(kept).all():
        held: Receipt | Unreadable = receipt
        bare = None if isinstance(held, Unreadable) else held.model_copy(update={"result": None})
        this = tables.effects.update().where(e.key == key)
        connection.execute(this.values(receipt=bare))


def _blank_rulings(connection: sa.Connection, case: str | None) -> None:
    r = tables.rulings.c
    for jti, gate, digest, by in connection.execute(
        sa.select(r.jti, r.gate, r.digest, r.by).where(r.case_id == case)
    ).all():
        bare = Ruling(gate=gate, digest=digest, by=by).model_dump_json()
        connection.execute(tables.rulings.update().where(r.jti == jti).values(ruling=bare))


def _blank_answers(connection: sa.Connection, case: str | None) -> None:
    a, v = tables.review_answers, tables.reviews.c
    of = sa.select(v.key).where(v.case_id == case)
    connection.execute(a.update().where(a.c.key.in_(of)).values(note="", proof=""))
