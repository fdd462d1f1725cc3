"""Incidents: what went wrong with a write, as long as nobody has closed it, and after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from handrail.ledger.database import Database, Insert
from handrail.ledger.tables import incidents

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class IncidentRow:
    """One incident of one write.

    `id`: the key of the write and the kind, so that the same one, met again in a retry, is one.
    `kind`: `mismatch`, where reading back what was written found something else; `failed`, where
    the step gave it up; `in_doubt`, where nobody knows whether it happened. `what`: in the words
    of whoever found it.
    """

    id: str
    agent: str
    step: str
    case: str
    key: str
    kind: str
    what: str
    at: datetime
    closed: datetime | None = None
    closed_by: str | None = None
    closed_why: str | None = None


class Incidents(Database):
    """The incidents of a ledger."""

    async def incident(self, row: IncidentRow) -> bool:
        """Keep an incident. False if there is one of its id already, which stays as it is."""
        return await self._run(lambda connection: _insert(connection, _values(row)))

    async def incidents(  # what people look for them by
        self,
        agent: str | None = None,
        *,
        step: str | None = None,
        case: str | None = None,
        agents: Iterable[str] | None = None,
        open_only: bool = False,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[IncidentRow]:
        """Incidents, the newest first. `agents`: of any of these."""
        query = sa.select(incidents).order_by(incidents.c.at.desc(), incidents.c.id).limit(limit)
        for column, value in (("agent", agent), ("step", step), ("case_id", case)):
            if value is not None:
                query = query.where(incidents.c[column] == value)
        if agents is not None:
            query = query.where(incidents.c.agent.in_(sorted(agents)))
        if open_only:
            query = query.where(incidents.c.closed.is_(None))
        if since is not None:
            query = query.where(incidents.c.at >= since.timestamp())
        return await self._run(lambda c: [_row(found) for found in c.execute(query).mappings()])

    async def close_incident(self, incident: str, by: str, at: datetime, why: str) -> bool:
        """Close an incident. False if there is none, or it is closed already."""
        statement = (
            sa.update(incidents)
            .where(incidents.c.id == incident, incidents.c.closed.is_(None))
            .values(closed=at.timestamp(), closed_by=by, closed_why=why)
        )
        return await self._run(lambda connection: connection.execute(statement).rowcount == 1)


def keep(connection: sa.Connection, row: IncidentRow) -> bool:
    """Keep an incident, in the transaction of whoever calls. False if it is there already."""
    return _insert(connection, _values(row))


_insert = Insert(incidents)


def _values(row: IncidentRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "agent": row.agent,
        "step": row.step,
        "case_id": row.case,
        "key": row.key,
        "kind": row.kind,
        "what": row.what,
        "at": row.at.timestamp(),
    }


def _row(found: Any) -> IncidentRow:
    closed = found["closed"]
    return IncidentRow(
        id=found["id"],
        agent=found["agent"],
        step=found["step"],
        case=found["case_id"],
        key=found["key"],
        kind=found["kind"],
        what=found["what"],
        at=datetime.fromtimestamp(found["at"], UTC),
        closed=None if closed is None else datetime.fromtimestamp(closed, UTC),
        closed_by=found["closed_by"],
        closed_why=found["closed_why"],
    )
