"""The intake: what came in, was acknowledged, and could not be started, or becomes no event.

What is changed here is tried by `handrail serve` within seconds; it alone knows how an event is
made of what another system sends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from handrail.actions import Event
from handrail.client.base import OperatorBase
from handrail.client.starts import event_of
from handrail.client.views import Document, Moment
from handrail.exceptions import InvalidRequest, NotFound
from handrail.ledger import IntakeRow, IntakeState

CALL_BACK: Final = "call-back"
"""The source of an entry that is no event: what another system answered to a case, too late."""

ALSO_ASKED: Final = "also asked"
"""Under which the headers of an entry that was mended name who sent it: no header is called so."""


class IntakeEntry(Document):
    """What came in and was kept. `raw`: as it was sent; else an event. Of an ended one no body."""

    id: str
    agent: str
    source: str
    received: Moment
    state: str
    raw: bool
    why: str
    case: str | None = None
    requested_by: str = ""
    body: str = ""
    ended: Moment | None = None
    ended_by: str | None = None
    ended_why: str | None = None


class IntakeList(Document):
    """What waits in the intake, or is to be mended, the oldest first. Without the bodies."""

    entries: tuple[IntakeEntry, ...]


class IntakeActs(OperatorBase):
    """Looking at the intake, and mending it: with a directory, by who controls the agent."""

    async def intake(self, agent: str | None = None, *, every: bool = False) -> IntakeList:
        """What waits or is to be mended; with `every` also what has ended.

        Raises:
            LedgerUnavailable: if there is no ledger.
        """
        mine = None if self._directory is None else self._directory.controls(self._who())
        found = await self.ledger.intake(agent, every=every, agents=mine, limit=1_000)
        shown = (_entry(each).model_copy(update={"body": ""}) for each in found)
        return IntakeList(entries=tuple(shown))

    async def intake_entry(self, named: str) -> IntakeEntry:
        """One entry, whole, by its id or how that begins.

        Raises:
            NotFound: if there is none, or more than one.
        """
        return _entry(await self._intake_row(named))

    async def retry_intake(self, named: str) -> IntakeEntry:
        """Have an entry tried again as it is: its mapping may be another by now.

        Raises:
            NotFound: if there is none.
            InvalidRequest: if it has ended.
        """
        return await self._change_entry(named, state=IntakeState.WAITING)

    async def mend_intake(self, named: str, event: Event | Mapping[str, JsonValue]) -> IntakeEntry:
        """Have an entry started as this event. Who mends it is who asks for it, with its sender.

        Raises:
            NotFound: if there is none.
            InvalidRequest: if it has ended, or this is no event of its agent.
        """
        row, by = await self._intake_row(named), self._who()
        if row.source == CALL_BACK:
            raise InvalidRequest("a call-back starts nothing; try it again, or drop it", "entry")
        known = self._agents.get(row.agent)
        made = event if known is None else event_of(known.event, event)
        text = made.model_dump_json(by_alias=False) if isinstance(made, Event) else json.dumps(made)
        why = f"mended by {by}; before: {row.why}"
        # Whoever words an event asks for what it does, and may not approve it.
        asked = row.headers.get(ALSO_ASKED, "").split("\n") if not row.raw else []
        also = {ALSO_ASKED: "\n".join(filter(None, dict.fromkeys([*asked, row.requested_by])))}
        changed: dict[str, JsonValue] = {"raw": False, "body": text, "why": why[:2_000]}
        changed |= {"requested_by": by, "headers": dict(also)}
        return await self._change_entry(row.id, state=IntakeState.WAITING, **changed)

    async def drop_intake(self, named: str, why: str) -> IntakeEntry:
        """Let an entry be, for a reason that is kept. What was sent is not.

        Raises:
            NotFound: if there is none.
            InvalidRequest: if it has ended, or no reason is given.
        """
        if not why.strip():
            raise InvalidRequest("say why it is dropped", "why")
        row, by = await self._intake_row(named), self._who()
        if not await self.ledger.end_intake(
            row.id, IntakeState.DROPPED, self._clock(), by=by, why=why
        ):
            raise InvalidRequest(f"{row.id} has ended already", "entry")
        return await self.intake_entry(row.id)

    async def _change_entry(self, named: str, **values: JsonValue) -> IntakeEntry:
        row = await self._intake_row(named)
        if not await self.ledger.change_intake(row.id, **values):
            raise InvalidRequest(f"{row.id} has ended already: {row.state}", "entry")
        return await self.intake_entry(row.id)

    def _controls(self, agent: str) -> bool:
        """What came in may be anything: it is shown to nobody else."""
        return self._directory is None or agent in self._directory.controls(self._who())

    async def _intake_row(self, named: str) -> IntakeRow:
        row = await self.ledger.intake_entry(named)
        if row is not None and self._controls(row.agent):
            return row
        every = await self.ledger.intake(every=True)
        found = [e for e in every if e.id.startswith(named) and self._controls(e.agent)]
        if not named or len(found) != 1:
            many = f"{len(found)} entries begin" if found else "no entry of the intake begins"
            raise NotFound(f"{many} with {named!r}; `handrail intake` lists them")
        return found[0]


def _entry(row: IntakeRow) -> IntakeEntry:
    return IntakeEntry.model_validate(row)
