"""Alerts: what a rule of the owner's found, whom it was told, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handrail.ledger.database import Database
from handrail.ledger.evidence_tables import alerts as _alerts
from handrail.ledger.rows import Rows, narrowed


@dataclass(frozen=True)
class AlertRow:
    """One alert. `cases`: those behind it. `ended` is None while it lasts."""

    id: str
    agent: str
    rule: str
    began: datetime
    value: str
    limit: str
    cases: tuple[str, ...] = ()
    told: datetime | None = None
    acknowledged: datetime | None = None
    acknowledged_by: str | None = None
    ended: datetime | None = None


class Alerts(Database):
    """The alerts of a ledger."""

    async def begin_alert(self, row: AlertRow) -> bool:
        """Keep an alert. False if it is known already, and stays as it is."""
        return await self._run(lambda connection: _ALERTS.insert(connection, row))

    async def alerts(self, agent: str | None = None, *, every: bool = False) -> list[AlertRow]:
        """Alerts that last, or `every` one, oldest first."""
        query = narrowed(_ALERTS.select, {_alerts.c.agent: agent})
        if not every:
            query = query.where(_alerts.c.ended.is_(None))
        return await self._all(_ALERTS, query.order_by(_alerts.c.began, _alerts.c.id))

    async def change_alert(self, id_: str, **values: Any) -> bool:
        """Change an alert that has not ended. False if it has, or there is none."""
        this = (_alerts.c.id == id_, _alerts.c.ended.is_(None))
        return await self._changes(_alerts.update().where(*this).values(values))


_ALERTS: Rows[AlertRow] = Rows(AlertRow, _alerts)
