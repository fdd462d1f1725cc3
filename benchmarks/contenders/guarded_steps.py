# ruff: noqa: INP001  # a module of a user's project: its directory is on the path
"""The steps of the agent: as in the README, with an undo, under a policy."""

from freight import Alert, Booking, Consignment, Lateness, Rebook, booked, chosen, looked_up

from handrail import Decision, Effect, decide, notify, read, write


@read
async def look(consignment: str) -> Consignment:
    """Look up the consignment and the flights that could carry it."""
    return looked_up(consignment)


@decide
async def choose(alert: Alert, consignment: Consignment) -> Decision[Rebook, Lateness]:
    """Choose a flight."""
    return chosen(alert, consignment)


@write(idempotent=True)
async def unbook(action: Rebook, effect: Effect) -> bool:
    """Give the place back."""
    del action, effect
    return True


@write(undo=unbook, idempotent=True)
async def rebook(action: Rebook, effect: Effect) -> Booking:
    """Book the flight."""
    return booked(action, effect.key)


@notify
async def tell(consignment: Consignment, booking: Booking) -> None:
    """Tell the shipper."""
    del consignment, booking
