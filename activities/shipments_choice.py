"""How the shipments agent chooses a flight: arithmetic, and what it says of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from activities.shipments_facts import Consignment, Delay, Goods, Offer, Rebook, moment

AT_STAKE: Mapping[Goods, Decimal] = {
    "standard": Decimal("0.10"),
    "perishable": Decimal("0.40"),
    "pharma": Decimal("0.50"),
}
"""What share of the goods' value is lost when they are late: this agent's assumption."""


@dataclass(frozen=True)
class Weighed:
    """An offer, how likely it keeps the promise, and what it is expected to gain (EUR)."""

    offer: Offer
    slack: timedelta
    chance: float
    gain: Decimal


def chance(slack: timedelta) -> float:
    """How likely a flight keeps a promise that is `slack` after its planned arrival.

    0.88 - 0.72 exp(-slack / 95 min). Fitted to the flights that left New York after noon on
    thirty other bad days of 2013, none of those that the demonstration plays: 16 % were on
    time, 48 % less than an hour late, 78 % less than three, and 12 % were cancelled.
    """
    return round(0.88 - 0.72 * math.exp(-slack / timedelta(minutes=95)), 2)


def weigh(offer: Offer, consignment: Consignment, at_stake: Decimal) -> Weighed:
    """What an offer is expected to gain."""
    slack = consignment.promised - offer.planned_arrival
    likely = chance(slack)
    gain = cents(at_stake * Decimal(str(likely)) - offer.extra_cost)
    return Weighed(offer, slack, likely, gain)


def rebooking(consignment: Consignment, offer: Offer) -> Rebook:
    """The order for an offer."""
    return Rebook(consignment=consignment.id, flight=offer.flight, extra_cost=offer.extra_cost)


def reasons(
    consignment: Consignment, best: Weighed | None, chosen: Weighed | None, at_stake: Decimal
) -> str:
    """Why it is moved, or is not."""
    if consignment.gone:
        return f"It has left on {consignment.current_flight}: nothing can move it any more."
    if consignment.in_time:
        return f"{consignment.current_flight} is expected in time after all."
    if best is None:
        by = moment(consignment.promised)
        return f"No later flight with room for {consignment.kg} kg arrives by {by}."
    offer = best.offer
    cost = (
        f"{offer.flight} arrives {_length(best.slack)} before the promise (kept on a day like "
        f"this in {best.chance:.0%} of cases) for {offer.extra_cost} EUR extra. Being late is "
        f"assumed to cost {at_stake} EUR, so that it"
    )
    return f"{cost} gains {best.gain} EUR." if chosen else f"{cost} is not worth it."


def evidence(
    consignment: Consignment, offers: Sequence[Offer], chosen: Weighed | None, at_stake: Decimal
) -> Delay:
    """What rules and approvers see."""
    late = consignment.estimated_arrival
    return Delay(
        customer=consignment.customer,
        origin=consignment.origin,
        goods=consignment.goods,
        kg=consignment.kg,
        value=consignment.value,
        at_stake=at_stake,
        status=consignment.status,
        minutes_late=None if late is None else _minutes(late - consignment.promised),
        promised=consignment.promised,
        options=len(offers),
        cheapest=min((offer.extra_cost for offer in offers), default=None),
        arrives=chosen.offer.planned_arrival if chosen else None,
        slack_minutes=_minutes(chosen.slack) if chosen else None,
        cut_off=chosen.offer.cut_off if chosen else None,
        by_truck=chosen.offer.origin != consignment.origin if chosen else None,
    )


def cents(amount: Decimal) -> Decimal:
    """An amount, in whole cents."""
    return amount.quantize(Decimal("0.01"))


def _minutes(length: timedelta) -> int:
    return length // timedelta(minutes=1)


def _length(length: timedelta) -> str:
    hours, minutes = divmod(_minutes(length), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
