"""Generated consignments: goods that travel as belly freight on the real flights.

Nobody publishes such bookings, so they are made up, by a seeded generator that looks at what
was planned and never at what happened: same seed and count, same consignments, everywhere.
"""

import random
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel

from world.flights import Flight
from world.notes import note_of

DAYS = (date(2013, 3, 8), date(2013, 6, 13), date(2013, 7, 1))
"""The bad days of the extract. The days after them only offer flights to rebook on."""
SEED = 2013
PER_DAY = 750
FIRST_ID = 1001
SEATS_TO_CARRY = 90
"""Smaller planes carry no generated consignment: the heaviest would not fit."""
NEW_YORK = ZoneInfo("America/New_York")
_QUARTER = timedelta(minutes=15)


class Goods(StrEnum):
    """What is in a consignment, as far as handling and urgency go."""

    STANDARD = "standard"
    PERISHABLE = "perishable"
    PHARMA = "pharma"


class Consignment(BaseModel, frozen=True):
    """One consignment as it was booked, before anything went wrong."""

    id: str
    customer: str
    email: str
    goods: Goods
    kg: int
    value: Decimal
    """EUR."""
    origin: str
    dest: str
    flight: str
    """The id of the flight it was booked on."""
    promised: AwareDatetime
    """When the customer was promised to have it, at the destination's airport."""
    note: str | None = None
    """What somebody outside wrote about it: the customer, or whoever loaded it."""


class _Kind(NamedTuple):
    """Ranges to draw from: both ends included."""

    weight: int
    kg: tuple[int, int]
    eur_per_kg: tuple[int, int]
    slack_quarters: tuple[int, int]


_KINDS = {
    Goods.STANDARD: _Kind(50, (40, 600), (8, 60), (12, 64)),
    Goods.PERISHABLE: _Kind(30, (30, 400), (6, 30), (8, 32)),
    Goods.PHARMA: _Kind(20, (5, 120), (150, 900), (1, 20)),
}
_NAMES = ("Harbor", "Summit", "Juniper", "Atlas", "Cedar", "Beacon", "Prairie", "Delta", "Orchard")
_TRADES = {
    Goods.STANDARD: ("Tools", "Textiles", "Parts", "Books", "Optics"),
    Goods.PERISHABLE: ("Seafood", "Flowers", "Produce", "Dairy"),
    Goods.PHARMA: ("Pharma", "Diagnostics", "Biotech"),
}


def generate(
    flights: Mapping[str, Flight], *, per_day: int = PER_DAY, seed: int = SEED
) -> Mapping[str, Consignment]:
    """``per_day`` consignments for each of the bad days, by id, in the order of their flights."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    drawn: list[Flight] = []
    for day in DAYS:
        carrying = [flight for flight in flights.values() if _carries(flight, day)]
        drawn += rng.choices(carrying, k=per_day)
    drawn.sort(key=lambda flight: (flight.planned_departure, flight.id))
    made = (_consignment(f"AWB-{n}", flight, rng) for n, flight in enumerate(drawn, FIRST_ID))
    return MappingProxyType({consignment.id: consignment for consignment in made})


def _carries(flight: Flight, day: date) -> bool:
    leaves = flight.planned_departure.astimezone(NEW_YORK).date()
    return leaves == day and flight.seats >= SEATS_TO_CARRY


def _consignment(awb: str, flight: Flight, rng: random.Random) -> Consignment:
    weights = [kind.weight for kind in _KINDS.values()]
    goods = rng.choices(list(_KINDS), weights)[0]
    kind = _KINDS[goods]
    kg = rng.randint(*kind.kg)
    name = f"{rng.choice(_NAMES)} {rng.choice(_TRADES[goods])}"
    return Consignment(
        id=awb,
        customer=name,
        email=f"{name.lower().replace(' ', '.')}@example.com",
        goods=goods,
        kg=kg,
        value=Decimal(kg * rng.randint(*kind.eur_per_kg)),
        origin=flight.origin,
        dest=flight.dest,
        flight=flight.id,
        promised=flight.planned_arrival + rng.randint(*kind.slack_quarters) * _QUARTER,
        note=note_of(awb),
    )
