"""Which places, a step of a case each, are to be compared again: marked by what changes them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import sqlalchemy as sa

from handrail.ledger.evidence_tables import comparisons as _comparisons
from handrail.ledger.rows import insert_into


def mark(connection: sa.Connection, places: Iterable[tuple[str, str, str]]) -> None:
    """Say that something came in: of an agent, a case and a step."""
    # In one order: who marks the same places in another would wait for each other.
    rows = [_MARKED | dict(zip(_PLACE, each, strict=True)) for each in sorted(set(places))]
    if rows:
        connection.execute(_mark(connection.dialect.name), rows)


def mark_cases(connection: sa.Connection, cases: Iterable[tuple[str, str]]) -> None:
    """Say that what is kept of a case of an agent has changed."""
    rows = [{"b_agent": agent, "b_case": case} for agent, case in sorted(set(cases))]
    if rows:
        connection.execute(_MARK_CASE, rows)


_PLACE = ("agent", "case_id", "step")
_MARKED: dict[str, Any] = {
    "number": 0,
    "key": "",
    "kind": "",
    "stand": "",
    "fields": [],
    "late": 0,
    "hindsight": 0,
    "several": 0,
    "amounts": {},
    "above": {},
}
_ON: dict[str, Any] = {
    "index_elements": [*_PLACE, "number"],
    "set_": {"rule": None},
}


@cache
def _mark(dialect: str) -> sa.Insert:
    return insert_into(_comparisons, dialect).on_conflict_do_update(**_ON)


_MARK_CASE = (
    sa.update(_comparisons)
    .where(
        _comparisons.c.agent == sa.bindparam("b_agent"),
        _comparisons.c.case_id == sa.bindparam("b_case"),
    )
    .values(rule=None)
)
