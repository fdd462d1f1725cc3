# ruff: noqa: INP001  # every contender's process has this folder on its path
"""The work that all contenders do, and the outside system that they do it with.

No contender's package is imported here, so that each runs it in an environment of its own.
"""

import asyncio
import os
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from weakref import WeakKeyDictionary

import httpx2
from pydantic import BaseModel

HELD_ABOVE = Decimal(200)
"""Extra cost in EUR above which a human is asked."""

APPROVER = "ana@example.com"

HOME = Path(os.environ.get("COMPARISON_HOME", "."))
"""Where a contender may keep files."""

SERVER = os.environ.get("COMPARISON_SERVER", "")
"""Where its server or its database is."""

DEADLINE = float(os.environ.get("COMPARISON_DEADLINE", "28800"))
"""Seconds after which a question that nobody has answered is refused."""

OUTSIDE = os.environ.get("COMPARISON_OUTSIDE", "http://localhost")


class Alert(BaseModel):
    """A flight is so late that a consignment will miss its promised time."""

    consignment: str
    flight: str = "UA1545"
    minutes_late: int = 95
    extra_cost: Decimal


class Offer(BaseModel):
    """A later flight to the same destination. `price` in EUR, `free` in kilograms."""

    flight: str
    departs: datetime
    arrives: datetime
    free: Decimal
    price: Decimal


class Consignment(BaseModel):
    """Belly freight, and the flights that could still carry it."""

    id: str
    shipper: str
    weight: Decimal
    promised: datetime
    status: str
    offers: list[Offer]


class Rebooking(BaseModel):
    """What was decided: to move a late consignment to another flight."""

    consignment: str
    flight: str
    extra_cost: Decimal


class Booking(BaseModel):
    """What the carrier answered."""

    number: str
    flight: str


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx2.AsyncClient] = WeakKeyDictionary()


def _client() -> httpx2.AsyncClient:
    """A client of this event loop: some contenders run steps on a loop of their own."""
    loop = asyncio.get_running_loop()
    found = _clients.get(loop)
    if found is None:
        found = _clients[loop] = httpx2.AsyncClient(base_url=OUTSIDE, timeout=20)
    return found


async def looked_up(consignment: str) -> Consignment:
    """Read the consignment and what could carry it."""
    answer = await _client().get(f"/consignments/{consignment}")
    answer.raise_for_status()
    return Consignment.model_validate_json(answer.content)


def chosen_flight(consignment: Consignment) -> str:
    """Choose the first flight that arrives in time."""
    return next(o.flight for o in consignment.offers if o.arrives <= consignment.promised)


def chosen(alert: Alert, consignment: Consignment) -> Rebooking:
    """Decide."""
    return Rebooking(
        consignment=consignment.id,
        flight=chosen_flight(consignment),
        extra_cost=alert.extra_cost,
    )


async def booked(consignment: str, flight: str, key: str) -> Booking:
    """Book the flight, under a key: some outside systems heed it, and some do not."""
    answer = await _client().post(
        "/bookings",
        json={"consignment": consignment, "flight": flight},
        headers={"Idempotency-Key": key},
    )
    answer.raise_for_status()
    return Booking.model_validate_json(answer.content)


async def found(consignment: str) -> Booking | None:
    """Ask the outside system for a booking of this consignment."""
    answer = await _client().get(f"/bookings/{consignment}")
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    answer.raise_for_status()
    return Booking.model_validate_json(answer.content)


async def told(shipper: str, booking: Booking) -> None:
    """Tell the shipper."""
    answer = await _client().post("/messages", json={"to": shipper, "booking": booking.number})
    answer.raise_for_status()
