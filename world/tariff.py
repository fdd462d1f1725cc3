"""What the carrier charges, carries and accepts: generated, by these formulas.

The dataset has neither freight nor prices. Everything here is a pure function of the flight
and the consignment, so that every process, and every run, computes the same.
"""

import hashlib
from datetime import datetime, timedelta
from decimal import Decimal

from world.consignments import Consignment, Goods
from world.flights import Flight

CUT_OFF = timedelta(minutes=45)
"""Before planned departure: the last moment to hand goods over at the airport they are at."""
TRANSFER_CUT_OFF = timedelta(minutes=120)
"""The same when a truck takes them to another New York airport first."""
SEATS_WITHOUT_FREIGHT = 40
KG_PER_SEAT = 12
BASE_FEE = Decimal(25)
TRANSFER_FEE = Decimal(60)
RATE_PER_KG = Decimal("0.14")
RATE_PER_KG_MILE = Decimal("0.00035")
OTHER_CARRIER = Decimal("1.5")
HANDLING = {
    Goods.STANDARD: Decimal("1.0"),
    Goods.PERISHABLE: Decimal("1.25"),
    Goods.PHARMA: Decimal("1.6"),
}
_CENT = Decimal("0.01")


def capacity_kg(seats: int) -> int:
    """Belly freight of a plane: 12 kg for each seat beyond the fortieth."""
    return KG_PER_SEAT * max(0, seats - SEATS_WITHOUT_FREIGHT)


def sold_kg(flight: Flight) -> int:
    """What others had booked on ``flight`` before: 40 to 100 % of it, by a hash of its id."""
    digest = hashlib.sha256(flight.id.encode()).digest()
    share = 40 + int.from_bytes(digest[:4], "big") % 61
    return capacity_kg(flight.seats) * share // 100


def cut_off(consignment: Consignment, flight: Flight) -> datetime:
    """The moment after which ``flight`` no longer takes ``consignment``."""
    moved = flight.origin != consignment.origin
    return flight.planned_departure - (TRANSFER_CUT_OFF if moved else CUT_OFF)


def extra_cost(consignment: Consignment, booked: Flight, offered: Flight, free_kg: int) -> Decimal:
    """EUR for moving ``consignment`` from ``booked`` to ``offered``, of which so much is free.

    (25 + kg x (0.14 + 0.00035 x miles)) x handling, half as much again on another carrier,
    x 1.15 when less than half of the plane is free and x 1.3 when less than a fifth is, and
    60 for the truck to another airport.
    """
    per_kg = RATE_PER_KG + RATE_PER_KG_MILE * offered.miles
    price = (BASE_FEE + consignment.kg * per_kg) * HANDLING[consignment.goods]
    if offered.carrier != booked.carrier:
        price *= OTHER_CARRIER
    price *= _scarcity(free_kg, capacity_kg(offered.seats))
    if offered.origin != consignment.origin:
        price += TRANSFER_FEE
    return price.quantize(_CENT)


def _scarcity(free_kg: int, capacity: int) -> Decimal:
    if free_kg * 5 < capacity:
        return Decimal("1.3")
    return Decimal("1.15") if free_kg * 2 < capacity else Decimal(1)
