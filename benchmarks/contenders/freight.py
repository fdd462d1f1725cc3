# ruff: noqa: INP001  # a module of a user's project: its directory is on the path
"""What all contenders share: the models that cross the wire, and what the steps really do.

The steps do next to nothing, so that what is measured is what stands around them.
"""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from typing_extensions import override

from handrail import Action, Decision, Event
from handrail.actions import Wire

HELD_ABOVE = Decimal(200)
"""Extra cost in EUR above which a human is asked."""

PROMISED = datetime(2013, 1, 10, 18, tzinfo=UTC)

entered: dict[str, int] = {}
"""When the write of a consignment was entered: `time.monotonic_ns()`, which is one clock
for all processes of a machine."""


class Alert(Event):
    """A flight is so late that a consignment will miss its promised time."""

    consignment: str
    flight: str
    minutes_late: int
    extra_cost: Decimal

    @property
    @override
    def key(self) -> str:
        """One case for each consignment."""
        return self.consignment


class Offer(Wire):
    """A later flight to the same destination. `price` in EUR, `free` in kilograms."""

    flight: str
    departs: datetime
    arrives: datetime
    free: Decimal
    price: Decimal


class Consignment(Wire):
    """Belly freight, and the flights that could still carry it."""

    id: str
    shipper: str
    weight: Decimal
    promised: datetime
    status: str
    offers: tuple[Offer, ...]


class Rebook(Action):
    """Move a late consignment to another flight."""

    consignment: str
    flight: str
    extra_cost: Decimal


class Lateness(Wire):
    """The evidence: what the delay does to the promise."""

    status: str
    minutes_late: int
    offers: int


class Booking(Wire):
    """What the carrier answered."""

    number: str
    flight: str


def looked_up(consignment: str) -> Consignment:
    """Read the consignment and what could carry it."""
    offers = (
        Offer(
            flight=f"UA{100 + number}",
            departs=PROMISED - timedelta(hours=6 - number),
            arrives=PROMISED - timedelta(hours=3 - number),
            free=Decimal("812.5"),
            price=Decimal("49.90") * (number + 1),
        )
        for number in range(3)
    )
    return Consignment(
        id=consignment,
        shipper="Hudson Valley Instruments",
        weight=Decimal("120.4"),
        promised=PROMISED,
        status="in transit",
        offers=tuple(offers),
    )


def chosen(alert: Alert, consignment: Consignment) -> Decision[Rebook, Lateness]:
    """Choose the first flight that arrives in time."""
    offer = next(o for o in consignment.offers if o.arrives <= consignment.promised)
    return Decision[Rebook, Lateness](
        action=Rebook(consignment=consignment.id, flight=offer.flight, extra_cost=alert.extra_cost),
        rationale=f"{offer.flight} is the first that arrives before the promised time",
        confidence=0.9,
        evidence=Lateness(
            status=consignment.status,
            minutes_late=alert.minutes_late,
            offers=len(consignment.offers),
        ),
    )


def booked(action: Rebook, key: str) -> Booking:
    """Note that the write was entered, and when."""
    entered[action.consignment] = time.monotonic_ns()
    return Booking(number=f"BK-{key[-12:]}", flight=action.flight)
