"""What people did, beside what an agent proposed, and the figures of the process without it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from handrail.ledger.database import Database
from handrail.ledger.entries import AnswerRow, BaselineRow, OutcomeRow
from handrail.ledger.evidence_tables import baselines as _baselines
from handrail.ledger.evidence_tables import cases as _cases
from handrail.ledger.evidence_tables import decisions as _decisions
from handrail.ledger.evidence_tables import outcomes as _outcomes
from handrail.ledger.marking import mark
from handrail.ledger.reviews import add_answer
from handrail.ledger.rows import Rows, narrowed

if TYPE_CHECKING:
    from collections.abc import Sequence


class Outcomes(Database):
    """Outcomes and baselines of a ledger."""

    async def keep_outcomes(self, rows: Sequence[OutcomeRow]) -> int:
        """Keep what people did, each once. Returns how many are new."""

        def transaction(connection: sa.Connection) -> int:
            new = [row for row in rows if OUTCOMES.insert(connection, row)]
            mark(connection, ((row.agent, row.case, row.step) for row in new))
            return len(new)

        return await self._run(transaction)

    async def outcomes(
        self, agent: str, case: str | None = None, step: str | None = None
    ) -> list[OutcomeRow]:
        """What people did, oldest first."""
        o = _outcomes.c
        query = narrowed(OUTCOMES.select, {o.agent: agent, o.case_id: case, o.step: step})
        return await self._all(OUTCOMES, query.order_by(o.at, o.id))

    async def last_outcome(self, agent: str, source: str) -> datetime | None:
        """When the latest of what people did was done, of what came from there."""
        o = _outcomes.c
        query = sa.select(o.at).where(o.agent == agent, o.source == source)
        latest = query.order_by(o.at.desc()).limit(1)
        return await self._read(lambda connection: connection.execute(latest).scalar())

    async def outcomes_named(self, named: str) -> list[OutcomeRow]:
        """The outcome of that id; or those whose ids begin so, two of them at most."""
        o = _outcomes.c
        exact = await self._all(OUTCOMES, OUTCOMES.select.where(o.id == named))
        if exact or not named:
            return exact
        # By the index: no id, which is hexadecimal, has a character above these.
        begin = OUTCOMES.select.where(o.id > named, o.id < f"{named}z").order_by(o.id)
        return await self._all(OUTCOMES, begin.limit(2))

    async def judge_outcome(self, judged: str, answer: AnswerRow) -> bool:
        """Say who was right of the outcome `answer.key`, and keep what was signed of it.

        False if there is none, or somebody else has said it; nothing is kept then.
        """
        o, by = _outcomes.c, answer.by
        values = {"judged": judged, "judged_by": by, "judged_at": answer.at}
        free = sa.or_(o.judged_by.is_(None), o.judged_by == by)
        this = sa.update(_outcomes).where(o.id == answer.key, free)

        def transaction(connection: sa.Connection) -> bool:
            found = connection.execute(this.values(values | {"judged_why": answer.note}))
            if found.rowcount:
                add_answer(connection, answer)
            return bool(found.rowcount)

        return await self._run(transaction)

    async def first_seen(self, agent: str) -> list[tuple[str, str, datetime]]:
        """When each build began its first case, and each model made its first decision."""
        c, d = _cases.c, _decisions.c
        looked = [("build", c.build, c.begun, c.agent), ("model", d.model, d.at, d.agent)]

        def look(connection: sa.Connection) -> list[tuple[str, str, datetime]]:
            found: list[tuple[str, str, datetime]] = []
            for kind, value, at, of in looked:
                query = sa.select(value, sa.func.min(at)).where(of == agent, value != "")
                rows = connection.execute(query.group_by(value))
                found += [(kind, name, first) for name, first in rows]
            return sorted(found, key=lambda each: each[2])

        return await self._read(look)

    async def baselines(self, agent: str, name: str | None = None) -> list[BaselineRow]:
        """Baselines of an agent, also those that were replaced, oldest first."""
        b = _baselines.c
        query = narrowed(_BASELINES.select, {b.agent: agent, b.name: name})
        return await self._all(_BASELINES, query.order_by(b.at, b.id))

    async def set_baseline(self, row: BaselineRow) -> bool:
        """Put a baseline in the place of the one of its name. False if it is known already."""

        def transaction(connection: sa.Connection) -> bool:
            if not _BASELINES.insert(connection, row):
                return False
            b = _baselines.c
            others = (
                b.agent == row.agent,
                b.name == row.name,
                b.id != row.id,
                b.replaced.is_(None),
            )
            connection.execute(_baselines.update().where(*others).values(replaced=row.at))
            return True

        return await self._run(transaction)


_LATER = ("judged", "judged_by", "judged_at", "judged_why")
OUTCOMES: Rows[OutcomeRow] = Rows(OutcomeRow, _outcomes, later=_LATER)
_BASELINES: Rows[BaselineRow] = Rows(BaselineRow, _baselines)
