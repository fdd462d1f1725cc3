"""The flights of the committed extract, and what could be known of them at a given moment."""

import csv
import gzip
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from pydantic import AwareDatetime, BaseModel

EXTRACT = Path(__file__).with_name("flights.csv.gz")
ANNOUNCED_AFTER = timedelta(minutes=30)
"""How long after its planned departure a carrier says that a flight is delayed or cancelled."""
_QUARTER = timedelta(minutes=15)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Flight(BaseModel, frozen=True):
    """One real flight: what was planned, and what happened. All times are UTC."""

    id: str
    carrier: str
    number: int
    origin: str
    dest: str
    tailnum: str | None
    seats: int
    miles: int
    planned_departure: AwareDatetime
    planned_arrival: AwareDatetime
    actual_departure: AwareDatetime | None
    """None: cancelled."""
    actual_arrival: AwareDatetime | None
    """None: cancelled, or diverted and never recorded at its destination."""

    @property
    def block(self) -> timedelta:
        """The planned time from gate to gate."""
        return self.planned_arrival - self.planned_departure


class FlightStatus(StrEnum):
    """What a flight is seen to be doing."""

    SCHEDULED = "scheduled"
    DEPARTED = "departed"
    LANDED = "landed"
    CANCELLED = "cancelled"


class Sighting(BaseModel, frozen=True):
    """What is known of a flight at one moment."""

    status: FlightStatus
    estimated_arrival: AwareDatetime | None
    """None: the flight is known to be cancelled."""


def sight(flight: Flight, at: datetime) -> Sighting:
    """What could be known of ``flight`` at ``at``; nothing later shows through.

    Note:
        One exception, because the data records no announcements: 30 minutes after its
        planned departure the carrier announces for a flight still at the gate when it will
        leave, and this is its actual departure, rounded up to a quarter of an hour. What
        happens after departure stays unknown until it has happened.
    """
    left, landed = flight.actual_departure, flight.actual_arrival
    if landed is not None and at >= landed:
        return Sighting(status=FlightStatus.LANDED, estimated_arrival=landed)
    if left is not None and at >= left:
        estimate = max(left + flight.block, at)
        return Sighting(status=FlightStatus.DEPARTED, estimated_arrival=estimate)
    if at < flight.planned_departure + ANNOUNCED_AFTER:
        return Sighting(status=FlightStatus.SCHEDULED, estimated_arrival=flight.planned_arrival)
    if left is None:
        return Sighting(status=FlightStatus.CANCELLED, estimated_arrival=None)
    return Sighting(
        status=FlightStatus.SCHEDULED, estimated_arrival=_next_quarter(left) + flight.block
    )


def load_flights(path: Path = EXTRACT) -> Mapping[str, Flight]:
    """All flights of the extract by id, in the order of their planned departure.

    Raises:
        FileNotFoundError: the extract is missing; ``python -m world.make_extract`` makes it.
        pydantic.ValidationError: a row of it is damaged.
    """
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        flights = [
            Flight.model_validate({name: value or None for name, value in row.items()})
            for row in csv.DictReader(file)
        ]
    return MappingProxyType({flight.id: flight for flight in flights})


def _next_quarter(at: datetime) -> datetime:
    return at + (_EPOCH - at) % _QUARTER
