"""Alerts: what an agent's policy has its owner told of, and who has seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.client.base import OperatorBase
from handrail.client.views import Document, Moment
from handrail.exceptions import InvalidRequest, NotFound
from handrail.policy import ALARMS

if TYPE_CHECKING:
    from handrail.ledger import AlertRow


class AlertView(Document):
    """One alert: a `rule` of the policy whose `limit` is passed, by which `value`, since when.

    `cases`: some of those behind it. It lasts until `ended`, when the limit was kept again.
    """

    id: str
    agent: str
    rule: str
    limit: str
    value: str
    began: Moment
    cases: tuple[str, ...] = ()
    told: Moment | None = None
    acknowledged: Moment | None = None
    acknowledged_by: str | None = None
    ended: Moment | None = None


class AlertList(Document):
    """Alerts, the oldest first."""

    alerts: tuple[AlertView, ...]


class AlertActs(OperatorBase):
    """Looking at alerts, and saying that somebody has seen one."""

    async def alerts(self, agent: str | None = None, *, every: bool = False) -> AlertList:
        """Alerts that last; with `every` those that have ended, too.

        Raises:
            LedgerUnavailable: if the ledger cannot be read.
        """
        rows = await self.ledger.alerts(agent, every=every)
        return AlertList(alerts=tuple(_view(row) for row in rows if row.rule in ALARMS))

    async def acknowledge_alert(self, alert: str) -> AlertView:
        """Say that you have seen an alert, and are at it. `alert`: its id, or how that begins.

        It lasts on until its limit is kept again.

        Raises:
            NotFound: if no alert that lasts has that id.
            InvalidRequest: if nobody says so, or several begin like that.
            LedgerUnavailable: if the ledger cannot be read.
        """
        who, rows = self._who(), await self.ledger.alerts()
        found = [r for r in rows if alert and r.id.startswith(alert) and r.rule in ALARMS]
        if not found:
            raise NotFound(f"no alert that lasts is called {alert}; see `handrail alerts --all`")
        if len(found) > 1:
            raise InvalidRequest(f"{len(found)} alerts begin with {alert}; write more of it", "id")
        row, now = found[0], self._clock()
        if row.acknowledged is None:
            await self.ledger.change_alert(row.id, acknowledged=now, acknowledged_by=who)
        again = await self.ledger.alerts(row.agent, every=True)
        return _view(next(each for each in again if each.id == row.id))


def _view(row: AlertRow) -> AlertView:
    return AlertView.model_validate(row)
