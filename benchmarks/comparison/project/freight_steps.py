# ruff: noqa: INP001  # a contender's program
"""The steps of Handrail's contender, under a policy.

`COMPARISON_RECOVERY` says what the outside system can do about a crash between the effect and
its receipt: it heeds a `key`, it can be asked (`find`), or neither (`bare`).
"""

import os
from datetime import timedelta
from decimal import Decimal
from typing import Any

import work
from typing_extensions import override

from handrail import Action, Decision, Effect, Event, NoEvidence, decide, notify, read, write


class Alert(Event):
    """A flight is so late that a consignment will miss its promised time."""

    consignment: str
    flight: str = "UA1545"
    minutes_late: int = 95
    extra_cost: Decimal

    @property
    @override
    def key(self) -> str:
        """One case for each consignment."""
        return self.consignment


class Rebooking(Action):
    """Move a late consignment to another flight."""

    consignment: str
    flight: str
    extra_cost: Decimal


@read
async def look(consignment: str) -> work.Consignment:
    """Look up the consignment and the flights that could carry it."""
    return await work.looked_up(consignment)


@decide
async def choose(alert: Alert, consignment: work.Consignment) -> Decision[Rebooking, NoEvidence]:
    """Choose a flight."""
    flight = work.chosen_flight(consignment)
    return Decision[Rebooking, NoEvidence](
        action=Rebooking(consignment=consignment.id, flight=flight, extra_cost=alert.extra_cost),
        rationale=f"{flight} is the first that arrives before the promised time",
        confidence=0.9,
        evidence=NoEvidence(),
    )


async def found(action: Rebooking, effect: Effect) -> work.Booking | None:
    """Ask the carrier whether the flight is booked."""
    del effect
    return await work.found(action.consignment)


RECOVERY: dict[str, dict[str, Any]] = {
    "key": {"idempotent": True},
    "find": {"find": found, "settles": timedelta(seconds=5)},
    "bare": {},
}


@write(**RECOVERY[os.environ.get("COMPARISON_RECOVERY", "key")])
async def rebook(action: Rebooking, effect: Effect) -> work.Booking:
    """Book the flight."""
    return await work.booked(action.consignment, action.flight, effect.key)


@notify
async def tell(consignment: work.Consignment, booking: work.Booking) -> None:
    """Tell the shipper."""
    await work.told(consignment.shipper, booking)
