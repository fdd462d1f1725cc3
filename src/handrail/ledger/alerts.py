"""Alerts: what a rule of the owner's found, whom it was told, and how it ended."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlalchemy as sa

from handrail.ledger.database import Database
from handrail.ledger.entries import AlertRow
from handrail.ledger.evidence_tables import alerts as _alerts
from handrail.ledger.evidence_tables import cases as _cases
from handrail.ledger.evidence_tables import questions as _questions
from handrail.ledger.figures import was_task
from handrail.ledger.rows import Rows, narrowed
from handrail.ledger.tables import EffectState
from handrail.ledger.tables import effects as _effects


class Alerts(Database):
    """The alerts of a ledger, and what their rules are judged by."""

    async def failed_writes(
        self, agent: str, since: datetime, until: datetime
    ) -> tuple[int, tuple[str, ...]]:
        """How many writes began from `since` on and before `until`; the cases of those that failed.

        One that is on its way, or in doubt, has not failed; one that was not let pass is no write.
        """
        e = _effects.c
        query = sa.select(e.case_id, e.state).where(
            e.agent == agent, e.begun >= since, e.begun < until, e.digest != ""
        )
        found = await self._read(lambda connection: connection.execute(query).all())
        failed = tuple(case for case, state in found if state == EffectState.NOT_DONE)
        return len(found), failed

    async def escalated_cases(
        self, agent: str, since: datetime, until: datetime
    ) -> tuple[int, tuple[str, ...]]:
        """How many cases ended from `since` on and before `until`; those that were escalated."""
        c = _cases.c
        ended = (c.agent == agent, c.ended >= since, c.ended < until, was_task(agent))
        count = sa.select(sa.func.count()).select_from(_cases).where(*ended)
        which = sa.select(c.case_id).where(*ended, c.escalated > 0).order_by(c.ended.desc())
        return await self._read(
            lambda found: (found.execute(count).scalar_one(), tuple(found.scalars(which)))
        )

    async def costs_of_cases(
        self, agent: str, since: datetime, until: datetime
    ) -> list[tuple[str, Decimal, str]]:
        """Cases that ended from `since` on and before `until`, with what each cost and in what.

        One whose cost is no amount is left out.
        """
        c = _cases.c
        query = sa.select(c.case_id, c.cost, c.currency).where(
            c.agent == agent, c.ended >= since, c.ended < until, was_task(agent)
        )
        found = await self._read(lambda connection: connection.execute(query).all())
        costs = [(case, _amount(cost), currency) for case, cost, currency in found]
        return [(case, cost, currency) for case, cost, currency in costs if cost is not None]

    async def old_questions(self, agent: str, before: datetime) -> list[tuple[str, datetime]]:
        """Open questions that were asked before then, the oldest first, with their cases."""
        q = _questions.c
        query = sa.select(q.case_id, q.asked).where(
            q.agent == agent, q.asked < before, q.ended.is_(None)
        )
        found = await self._read(lambda c: c.execute(query.order_by(q.asked)).all())
        return [(case, asked) for case, asked in found]

    async def begin_alert(self, row: AlertRow) -> bool:
        """Keep an alert. False if it is known already, and stays as it is."""
        return await self._run(lambda connection: _ALERTS.insert(connection, row))

    async def alerts(self, agent: str | None = None, *, every: bool = False) -> list[AlertRow]:
        """Alerts that last, or `every` one, oldest first."""
        query = narrowed(_ALERTS.select, {_alerts.c.agent: agent})
        if not every:
            query = query.where(_alerts.c.ended.is_(None))
        return await self._all(_ALERTS, query.order_by(_alerts.c.began, _alerts.c.id))

    async def reopen_alert(self, agent: str, rule: str, since: datetime) -> bool:
        """Have the latest alert of a rule last on, if it ended since then. False if none did."""
        a = _alerts.c
        ended = sa.select(a.id).where(a.agent == agent, a.rule == rule, a.ended >= since)
        latest = ended.order_by(a.ended.desc()).limit(1).scalar_subquery()
        return await self._changes(_alerts.update().where(a.id == latest).values(ended=None))

    async def change_alert(self, id_: str, **values: Any) -> bool:
        """Change an alert that has not ended. False if it has, or there is none."""
        this = (_alerts.c.id == id_, _alerts.c.ended.is_(None))
        return await self._changes(_alerts.update().where(*this).values(values))


def _amount(text: str) -> Decimal | None:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


_ALERTS: Rows[AlertRow] = Rows(AlertRow, _alerts)
