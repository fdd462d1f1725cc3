"""The delay alerts: what tells an agent that a consignment will break its promise.

An alert is computed from what could be known at its time (``world.flights.sight``), so some
turn out wrong: a flight may make up time, or lose more. Same consignments, same alerts.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from http import HTTPStatus

import httpx2
from pydantic import AwareDatetime, BaseModel

from world.consignments import NEW_YORK, Consignment
from world.flights import ANNOUNCED_AFTER, Flight, FlightStatus, sight


class DelayAlert(BaseModel, frozen=True):
    """A consignment is expected to arrive after its promise, or not at all."""

    key: str
    """Names this event for ever: the same alert twice has the same key."""
    consignment: str
    flight: str
    known_at: AwareDatetime
    """When it became known: at the flight's departure, or 30 minutes after the planned one."""
    status: FlightStatus
    planned_arrival: AwareDatetime
    estimated_arrival: AwareDatetime | None
    """None: the flight is cancelled."""
    minutes_late: int | None
    """Expected minutes after the planned arrival. None: the flight is cancelled."""
    promised: AwareDatetime


def alerts(
    flights: Mapping[str, Flight],
    consignments: Iterable[Consignment],
    *,
    day: date | None = None,
    limit: int | None = None,
) -> Iterator[DelayAlert]:
    """All alerts in the order in which they became known, at most one for a consignment.

    ``day`` takes only those of flights planned to leave New York on it; ``limit`` the first
    so many.
    """
    raised = (_alert(item, flights[item.flight]) for item in consignments)
    known = [
        alert
        for alert in raised
        if alert is not None and day in (None, _leaves(flights[alert.flight]))
    ]
    return iter(sorted(known, key=lambda alert: (alert.known_at, alert.key))[:limit])


async def publish(client: httpx2.AsyncClient, alert: DelayAlert) -> bool:
    """Tell the booking service that ``alert`` is out, which starts the consignment's clock.

    Safe to repeat. Returns whether it was new to the service.

    Raises:
        httpx2.HTTPStatusError: the service refused it.
        httpx2.TransportError: the service cannot be reached; try again.
    """
    response = await client.post(
        "/alerts/publish",
        content=alert.model_dump_json(),
        headers={"Content-Type": "application/json"},
    )
    response.raise_for_status()
    return response.status_code == HTTPStatus.CREATED


def _alert(consignment: Consignment, flight: Flight) -> DelayAlert | None:
    known_at = _known_at(flight)
    seen = sight(flight, known_at)
    estimate = seen.estimated_arrival
    if estimate is not None and estimate <= consignment.promised:
        return None
    late = None if estimate is None else (estimate - flight.planned_arrival) // timedelta(minutes=1)
    return DelayAlert(
        key=consignment.id,
        consignment=consignment.id,
        flight=flight.id,
        known_at=known_at,
        status=seen.status,
        planned_arrival=flight.planned_arrival,
        estimated_arrival=estimate,
        minutes_late=late,
        promised=consignment.promised,
    )


def _known_at(flight: Flight) -> datetime:
    announced = flight.planned_departure + ANNOUNCED_AFTER
    return min(flight.actual_departure or announced, announced)


def _leaves(flight: Flight) -> date:
    return flight.planned_departure.astimezone(NEW_YORK).date()
