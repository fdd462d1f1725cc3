"""The intake: what came in from outside, was acknowledged, and has not become a case yet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from handrail.exceptions import LedgerUnavailable
from handrail.ledger.database import Database
from handrail.ledger.intake_rows import IntakeRow, IntakeState
from handrail.ledger.rows import Rows, narrowed
from handrail.ledger.tables import intake as _intake

if TYPE_CHECKING:
    from collections.abc import Collection

MOST_KEPT = 20_000
"""Entries that wait, or are to be mended: more are not taken, so that nobody fills the disk."""


def intake_id(agent: str, source: str, body: str) -> str:
    """The id of what somebody sent: the same again is one entry."""
    text = f"{agent}\x00{source}\x00{body}"
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:32]


class Intake(Database):
    """The intake of a ledger."""

    async def keep(self, row: IntakeRow) -> bool:
        """Keep an entry. False if the same is kept already, which stays as it is.

        Raises:
            LedgerUnavailable: if it cannot be kept, or too many are.
        """

        def transaction(connection: sa.Connection) -> bool:
            count = sa.select(sa.func.count()).where(_intake.c.state.in_(_OPEN))
            if (connection.execute(count).scalar() or 0) >= MOST_KEPT:
                raise LedgerUnavailable(
                    f"{MOST_KEPT} entries wait in the intake; fix: `handrail intake` shows why"
                )
            return _ENTRIES.insert(connection, row)

        return await self._run(transaction)

    async def intake(
        self,
        agent: str | None = None,
        state: IntakeState | None = None,
        *,
        every: bool = False,
        agents: Collection[str] | None = None,
        limit: int | None = None,
    ) -> list[IntakeRow]:
        """Entries, the oldest first: those that have not ended, or of a state, or `every` one.

        With `every` those that have ended come after the others, the newest first. `agents`: of
        these.
        """
        query = narrowed(_ENTRIES.select, {_intake.c.agent: agent, _intake.c.state: state})
        if state is None and not every:
            query = query.where(_intake.c.state.in_(_OPEN))
        if agents is not None:
            query = query.where(_intake.c.agent.in_(agents))
        at, ended = _intake.c.received, _intake.c.state.not_in(_OPEN)
        # However many have ended, they hide none that is to be mended.
        order = (ended, sa.case((ended, None), else_=at), at.desc()) if every else (at,)
        return await self._all(_ENTRIES, query.order_by(*order).limit(limit))

    async def intake_entry(self, id_: str) -> IntakeRow | None:
        """One entry, by its id."""
        return await self._one(_ENTRIES, _ENTRIES.select.where(_intake.c.id == id_))

    async def change_intake(self, id_: str, **values: Any) -> bool:
        """Change an entry that has not ended. False if it has, or there is none."""
        return await self._changes(_open(id_).values(values))

    async def end_intake(
        self,
        id_: str,
        state: IntakeState,
        at: datetime,
        *,
        by: str = "",
        why: str = "",
        case: str = "",
    ) -> bool:
        """End an entry: started, or dropped. What was sent is kept no longer."""
        values: Mapping[str, Any] = {
            "state": state,
            "ended": at,
            "ended_by": by,
            "ended_why": why,
            "case_id": case or None,
            "body": "",
            "headers": {},
        }
        return await self._changes(_open(id_).values(values))


_OPEN = (IntakeState.WAITING, IntakeState.WRONG)
_ENTRIES: Rows[IntakeRow] = Rows(IntakeRow, _intake, later=("ended", "ended_by", "ended_why"))


def _open(id_: str) -> sa.Update:
    return sa.update(_intake).where(_intake.c.id == id_, _intake.c.state.in_(_OPEN))
