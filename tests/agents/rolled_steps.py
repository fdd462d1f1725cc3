"""Steps of an agent that sends parcels."""

from __future__ import annotations

from typing_extensions import override

from handrail import Action, Effect, Event, write
from handrail.testing import Outside


class Parcel(Event):
    """A parcel to be sent; a `valuable` one when people have said so."""

    number: str
    valuable: bool = False

    @property
    @override
    def key(self) -> str:
        return self.number


class Send(Action):
    """Send a parcel."""

    parcel: str
    to: str
    valuable: bool


async def _took(action: Send, effect: Effect, result: str) -> str | None:
    del effect, result
    return f"it went {action.to}" if action.to == "astray" else None


@write(idempotent=True, verify=_took)
async def send(action: Send, effect: Effect) -> str:
    """Send a parcel."""
    return await Outside.current().put("send", effect.key, action.to)
