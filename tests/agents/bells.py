"""An agent that only looks and tells, and whose bell can be broken for good."""

from __future__ import annotations

from temporalio import workflow
from typing_extensions import override

from handrail import AgentWorkflow, Event, Final, Outcome, notify, read
from handrail.testing import Outside, OutsideError


class Ring(Event):
    """Ring a bell."""

    bell: str

    @property
    @override
    def key(self) -> str:
        return self.bell


@read
async def look_at(bell: str) -> str:
    """Look at the bell."""
    return await _of("look", bell)


@notify
async def ring(bell: str) -> str:
    """Ring the bell."""
    return await _of("ring", bell)


async def _of(surface: str, bell: str) -> str:
    try:
        return await Outside.current().put(surface, bell)
    except OutsideError as error:
        if str(error) == "broken for good":
            raise Final(str(error)) from error
        raise


@workflow.defn
class BellAgent(AgentWorkflow):
    """Rings bells."""

    @workflow.run
    async def run(self, event: Ring) -> Outcome:
        await self.read(look_at, event.bell)
        await self.notify(ring, event.bell)
        return self.done()
