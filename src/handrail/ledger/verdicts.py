"""Verdicts: what the door said of every action, and under which version of the policy.

A write that is tried again is judged again: each time is a row of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from handrail.actions import Basis, Finding, Kind
from handrail.ledger.database import Database
from handrail.ledger.tables import verdicts as _verdicts

if TYPE_CHECKING:
    from pydantic import JsonValue

_FINDINGS = TypeAdapter(tuple[Finding, ...])


@dataclass(frozen=True)
class VerdictRow:
    """One verdict on one action, with all that it was judged by.

    `autonomy`: the level in force, with its share of the cases. `pilot`: it was only recorded
    what the agent would do. `basis` is None of a bare action. `key`: of the write; empty where
    the door only said in advance what it would say.
    """

    case: str
    agent: str
    step: str
    key: str
    digest: str
    at: datetime
    kind: Kind
    findings: tuple[Finding, ...]
    policy: str
    autonomy: str
    pilot: bool
    action: dict[str, JsonValue]
    basis: Basis | None
    requester: str | None


class Verdicts(Database):
    """The verdicts of a ledger."""

    async def record_verdict(self, row: VerdictRow) -> None:
        """Keep a verdict."""
        await self._run(lambda connection: keep(connection, row))

    async def verdicts(
        self,
        agent: str | None = None,
        *,
        since: datetime | None = None,
        case: str | None = None,
        pilot: bool | None = None,
        limit: int | None = None,
    ) -> list[VerdictRow]:
        """Verdicts, oldest first; with `limit` the latest of them."""
        query = sa.select(_verdicts).order_by(_verdicts.c.id.desc())
        if agent is not None:
            query = query.where(_verdicts.c.agent == agent)
        if since is not None:
            query = query.where(_verdicts.c.at >= since.timestamp())
        if case is not None:
            query = query.where(_verdicts.c.case_id == case)
        if pilot is not None:
            query = query.where(_verdicts.c.pilot == pilot)
        if limit is not None:
            query = query.limit(limit)
        rows = await self._run(lambda c: [_row(found) for found in c.execute(query).mappings()])
        return rows[::-1]


def keep(connection: sa.Connection, row: VerdictRow) -> None:
    """Keep a verdict, in the transaction of whoever calls."""
    connection.execute(_INSERT, _values(row))


_INSERT = sa.insert(_verdicts)


def _values(row: VerdictRow) -> dict[str, Any]:
    return {
        "case_id": row.case,
        "agent": row.agent,
        "step": row.step,
        "key": row.key,
        "digest": row.digest,
        "at": row.at.timestamp(),
        "kind": row.kind.value,
        "findings": _FINDINGS.dump_json(row.findings).decode(),
        "policy": row.policy,
        "autonomy": row.autonomy,
        "pilot": row.pilot,
        "action": json.dumps(row.action),
        "basis": None if row.basis is None else row.basis.model_dump_json(),
        "requester": row.requester,
    }


def _row(found: Any) -> VerdictRow:
    return VerdictRow(
        case=found["case_id"],
        agent=found["agent"],
        step=found["step"],
        key=found["key"],
        digest=found["digest"],
        at=datetime.fromtimestamp(found["at"], UTC),
        kind=Kind(found["kind"]),
        findings=_FINDINGS.validate_json(found["findings"]),
        policy=found["policy"],
        autonomy=found["autonomy"],
        pilot=bool(found["pilot"]),
        action=json.loads(found["action"]),
        basis=None if found["basis"] is None else Basis.model_validate_json(found["basis"]),
        requester=found["requester"],
    )
