"""Data checks of the shipments agent: fresh looks at the world, right before a booking."""

from activities.shipments import all_offers, track
from activities.shipments_facts import Rebook
from handrail import Final, check


@check
async def still_needed(action: Rebook) -> str | None:
    """The consignment is there, has not left, and is still late."""
    try:
        known = await track(action.consignment)
    except Final as error:
        return str(error)
    if known.gone:
        return f"{known.id} has left on {known.current_flight}"
    if known.in_time:
        return f"{known.id} is expected in time on {known.current_flight}"
    return None


@check
async def still_offered(action: Rebook) -> str | None:
    """The flight still takes the consignment, has room for it, and costs what was decided."""
    try:
        known = await track(action.consignment)
        offered = {offer.flight: offer for offer in await all_offers(action.consignment)}
    except Final as error:
        return str(error)
    offer = offered.get(action.flight)
    if offer is None:
        return f"{action.flight} does not take {action.consignment}, or its cut-off has passed"
    if offer.free_kg < known.kg:
        return f"{action.flight} has {offer.free_kg} kg free, {known.id} weighs {known.kg} kg"
    if offer.extra_cost != action.extra_cost:
        return f"{action.flight} now costs {offer.extra_cost} EUR, not {action.extra_cost}"
    return None
