# ruff: noqa: INP001  # a module of a user's project: its directory is on the path
"""The same four steps as plain Temporal activities, for the hand-written workflows."""

from freight import (
    Alert,
    Booking,
    Consignment,
    Lateness,
    Rebook,
    booked,
    chosen,
    looked_up,
)
from temporalio import activity

from handrail import Decision
from handrail.actions import Wire


class Keyed(Wire):
    """A rebooking, and the key by which the carrier knows it again."""

    action: Rebook
    key: str


class Approval(Wire):
    """What a human sends to a hand-written workflow that waits."""

    by: str
    why: str = ""


class Result(Wire):
    """How a hand-written case ended."""

    status: str
    booking: Booking | None = None


@activity.defn
async def look(consignment: str) -> Consignment:
    """Look up the consignment and the flights that could carry it."""
    return looked_up(consignment)


@activity.defn
async def choose(alert: Alert, consignment: Consignment) -> Decision[Rebook, Lateness]:
    """Choose a flight."""
    return chosen(alert, consignment)


@activity.defn
async def rebook(order: Keyed) -> Booking:
    """Book the flight."""
    return booked(order.action, order.key)


@activity.defn
async def tell(consignment: Consignment, booking: Booking) -> None:
    """Tell the shipper."""
    del consignment, booking


ACTIVITIES = (look, choose, rebook, tell)
