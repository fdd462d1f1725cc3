"""The steps of the shipments agent, which moves late freight to other flights.

It talks to the carrier's booking service over HTTP (`SHIPMENTS_BOOKINGS_URL`) and to a
mail server over SMTP (`SHIPMENTS_SMTP`, as `host:port`). How it decides is arithmetic,
explained in `choose_flight`: no model is asked, and the same facts give the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import aiosmtplib

from activities.shipments_choice import AT_STAKE, cents, evidence, reasons, rebooking, weigh
from activities.shipments_facts import Booking, Consignment, Delay, Offer, Rebook
from activities.shipments_systems import (
    PATIENCE,
    compose,
    content,
    for_good,
    get,
    mail_server,
    service,
)
from handrail import Decision, Effect, Final, current_effect, decide, notify, read, write

# Reading


@read
async def track(consignment: str) -> Consignment:
    """Read a consignment and its delay."""
    return Consignment.model_validate(await get(f"/consignments/{quote(consignment, safe='')}"))


@read
async def offers(consignment: Consignment) -> list[Offer]:
    """Read which later flights could keep the promise."""
    return [offer for offer in await all_offers(consignment.id) if _keeps(offer, consignment)]


async def all_offers(consignment: str) -> list[Offer]:
    """Every flight that still takes a consignment, whether or not it has room or is in time.

    Raises:
        Final: if there is no such consignment.
        httpx2.HTTPError: if the service cannot answer now.
    """
    found = await get("/offers", consignment=consignment)
    return [Offer.model_validate(offer) for offer in found["offers"]]


def _keeps(offer: Offer, consignment: Consignment) -> bool:
    return offer.free_kg >= consignment.kg and offer.planned_arrival <= consignment.promised


# Deciding


@decide
async def choose_flight(consignment: Consignment, offers: list[Offer]) -> Decision[Rebook, Delay]:
    """Weigh what another flight costs against what being late would.

    An offer gains the loss that it prevents, times the chance that it prevents it, minus
    its extra cost. The greatest gain wins; if none is positive, nothing is moved.
    """
    at_stake = cents(consignment.value * AT_STAKE[consignment.goods])
    weighed = [weigh(offer, consignment, at_stake) for offer in offers]
    best = max(weighed, key=lambda w: (w.gain, w.slack, w.offer.flight), default=None)
    chosen = best if best is not None and best.gain > 0 else None
    if consignment.gone or consignment.in_time:
        chosen = None
    return Decision(
        action=rebooking(consignment, chosen.offer) if chosen else None,
        rationale=reasons(consignment, best, chosen, at_stake),
        confidence=chosen.chance if chosen else 1.0,
        evidence=evidence(consignment, offers, chosen, at_stake),
    )


# Writing


@write(idempotent=True)
async def cancel_booking(action: Rebook, effect: Effect) -> Booking | None:
    """Cancel the booking that was made, if it was made."""
    del action
    if effect.undoes is None:
        raise Final("cancel_booking only ever takes a booking of this agent back")
    found = await get("/bookings", key=effect.undoes.key)
    if not found or found[0]["status"] == "cancelled":
        return None
    response = await service().delete(f"/bookings/{found[0]['id']}")
    return Booking.model_validate(content(response))


async def as_ordered(action: Rebook, effect: Effect, booking: Booking) -> str | None:
    """Read a booking back from the carrier: what is not as it was ordered, in words."""
    found = await get("/bookings", key=effect.key)
    if len(found) != 1:
        return f"the carrier has {len(found)} bookings for it"
    has = Booking.model_validate(found[0]).model_dump()
    meant = action.model_dump() | {"id": booking.id, "status": "booked"}
    wrong = [
        f"{name} is {has[name]}, not {meant[name]}" for name in has if has[name] != meant[name]
    ]
    return f"at the carrier its {' and its '.join(wrong)}" if wrong else None


@write(undo=cancel_booking, idempotent=True, verify=as_ordered)
async def rebook(action: Rebook, effect: Effect) -> Booking:
    """Book another flight under the effect's key, so that a retry books nothing more."""
    return await book(action, effect)


async def book(action: Rebook, effect: Effect, more: Mapping[str, str] | None = None) -> Booking:
    """Order from the carrier. `more`: headers that it wants, such as credentials.

    Raises:
        Final: if it declines.
        httpx2.HTTPError: if it cannot answer now; it may have booked or not.
    """
    headers = {"Content-Type": "application/json", "Idempotency-Key": effect.key}
    response = await service().post(
        "/bookings", content=action.model_dump_json(), headers=headers | dict(more or {})
    )
    return Booking.model_validate(content(response))


# Telling


@notify
async def tell_customer(consignment: str, booking: Booking | None) -> None:
    """Mail the customer what became of a late consignment, as it stands now."""
    known = await track(consignment)
    host, port = mail_server()
    try:
        mail = compose(known, booking, current_effect().key)
    except ValueError as error:
        raise Final(f"no mail can be written to {known.email!r}: {error}") from error
    try:
        await aiosmtplib.send(mail, hostname=host, port=port, timeout=PATIENCE.total_seconds())
    except aiosmtplib.SMTPException as error:
        if for_good(error):
            raise Final(f"the mail server refuses mail to {known.email!r}: {error}") from error
        raise
