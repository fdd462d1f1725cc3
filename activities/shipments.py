"""The steps of the shipments agent, which moves late freight to other flights.

It talks to the carrier's booking service over HTTP (`SHIPMENTS_BOOKINGS_URL`) and to a
mail server over SMTP (`SHIPMENTS_SMTP`, as `host:port`). How it decides is arithmetic,
explained in `choose_flight`: no model is asked, and the same facts give the same answer.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import aiosmtplib
import httpx2
from pydantic import AwareDatetime, BaseModel, Field
from typing_extensions import override

from handrail import (
    Action,
    ConfigurationError,
    Decision,
    Effect,
    Event,
    Final,
    Untrusted,
    current_effect,
    decide,
    notify,
    read,
    write,
)

BOOKINGS_URL = "http://127.0.0.1:8470"
"""Where the booking service is when `SHIPMENTS_BOOKINGS_URL` does not say."""

MAIL_SERVER = "127.0.0.1:8025"
"""Where the mail server is when `SHIPMENTS_SMTP` does not say."""

SENDER = "Freight desk <freight@example.com>"

PATIENCE = timedelta(seconds=5)
"""How long either system may take to answer once."""

Goods = Literal["standard", "perishable", "pharma"]
Status = Literal["scheduled", "departed", "landed", "cancelled"]

AT_STAKE: Mapping[Goods, Decimal] = {
    "standard": Decimal("0.10"),
    "perishable": Decimal("0.40"),
    "pharma": Decimal("0.50"),
}
"""What share of the goods' value is lost when they are late: this agent's assumption."""


# What happens, and what is known


class DelayAlert(Event):
    """A consignment is expected to arrive after its promise, or not at all."""

    consignment: str = Field(min_length=1, max_length=100, pattern=r"^[\w-]+$")
    flight: str
    known_at: AwareDatetime
    status: Status
    estimated_arrival: AwareDatetime | None = None
    """None: the flight is cancelled."""
    promised: AwareDatetime
    number: int = Field(default=1, ge=1)
    """Of the alerts for this consignment: each is a case of its own."""

    @property
    @override
    def key(self) -> str:
        return self.consignment if self.number == 1 else f"{self.consignment}-{self.number}"


class Consignment(BaseModel, frozen=True):
    """A consignment and what the carrier knows of it at `now`."""

    id: str
    customer: str
    email: str
    goods: Goods
    kg: int
    value: Decimal
    """EUR."""
    origin: str
    promised: AwareDatetime
    now: AwareDatetime
    current_flight: str
    status: Status
    """Of the current flight, as is the estimate."""
    estimated_arrival: AwareDatetime | None
    """None: the flight is cancelled."""
    note: Untrusted | None = None
    """What the customer or the carrier wrote into it: read it, and do not do what it says."""

    @property
    def gone(self) -> bool:
        """Whether it is under way, so that nothing can move it any more."""
        return self.status in {"departed", "landed"}

    @property
    def in_time(self) -> bool:
        """Whether it is expected by its promise."""
        return self.estimated_arrival is not None and self.estimated_arrival <= self.promised


class Offer(BaseModel, frozen=True):
    """A later flight to the same destination that still takes the consignment."""

    flight: str
    origin: str
    planned_arrival: AwareDatetime
    cut_off: AwareDatetime
    """When the goods must have been handed over."""
    free_kg: int
    extra_cost: Decimal
    """EUR."""


class Booking(BaseModel, frozen=True):
    """Room on another flight."""

    id: str
    consignment: str
    flight: str
    extra_cost: Decimal
    """EUR."""
    status: Literal["booked", "cancelled"]


class Rebook(Action):
    """Move a late consignment to another flight, at extra cost (EUR)."""

    consignment: str
    flight: str
    extra_cost: Decimal = Field(ge=0, max_digits=12, decimal_places=2)

    @property
    def summary(self) -> str:
        """One line for approvers."""
        return f"{self.consignment} to {self.flight}, +{self.extra_cost} EUR"


class Delay(BaseModel, frozen=True, extra="forbid"):
    """The evidence: what rules and approvers see of a delay and of the flight chosen.

    Amounts are EUR. What belongs to the chosen flight is None where none was chosen.
    """

    customer: str
    origin: str
    goods: Goods
    kg: int
    value: Decimal
    at_stake: Decimal
    """What being late is assumed to cost."""
    status: Status
    minutes_late: int | None
    """After the promise, if it stays where it is. None: its flight is cancelled."""
    promised: AwareDatetime
    options: int
    """Flights with room that are planned to arrive by the promise."""
    cheapest: Decimal | None = None
    """The lowest extra cost among them."""
    arrives: AwareDatetime | None = None
    slack_minutes: int | None = None
    """Between the planned arrival and the promise."""
    cut_off: AwareDatetime | None = None
    by_truck: bool | None = None
    """Whether a truck takes it to another airport first."""


# Reading


@read
async def track(consignment: str) -> Consignment:
    """Read a consignment and its delay."""
    return Consignment.model_validate(await _get(f"/consignments/{quote(consignment, safe='')}"))


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
    found = await _get("/offers", consignment=consignment)
    return [Offer.model_validate(offer) for offer in found["offers"]]


def _keeps(offer: Offer, consignment: Consignment) -> bool:
    return offer.free_kg >= consignment.kg and offer.planned_arrival <= consignment.promised


# Deciding


@dataclass(frozen=True)
class _Weighed:
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


@decide
async def choose_flight(consignment: Consignment, offers: list[Offer]) -> Decision[Rebook, Delay]:
    """Weigh what another flight costs against what being late would.

    An offer gains the loss that it prevents, times the chance that it prevents it, minus
    its extra cost. The greatest gain wins; if none is positive, nothing is moved.
    """
    at_stake = _cents(consignment.value * AT_STAKE[consignment.goods])
    weighed = [_weigh(offer, consignment, at_stake) for offer in offers]
    best = max(weighed, key=lambda w: (w.gain, w.slack, w.offer.flight), default=None)
    chosen = best if best is not None and best.gain > 0 else None
    if consignment.gone or consignment.in_time:
        chosen = None
    return Decision(
        action=_rebooking(consignment, chosen.offer) if chosen else None,
        rationale=_reasons(consignment, best, chosen, at_stake),
        confidence=chosen.chance if chosen else 1.0,
        evidence=_evidence(consignment, offers, chosen, at_stake),
    )


def _weigh(offer: Offer, consignment: Consignment, at_stake: Decimal) -> _Weighed:
    slack = consignment.promised - offer.planned_arrival
    likely = chance(slack)
    gain = _cents(at_stake * Decimal(str(likely)) - offer.extra_cost)
    return _Weighed(offer, slack, likely, gain)


def _rebooking(consignment: Consignment, offer: Offer) -> Rebook:
    return Rebook(consignment=consignment.id, flight=offer.flight, extra_cost=offer.extra_cost)


def _reasons(
    consignment: Consignment, best: _Weighed | None, chosen: _Weighed | None, at_stake: Decimal
) -> str:
    if consignment.gone:
        return f"It has left on {consignment.current_flight}: nothing can move it any more."
    if consignment.in_time:
        return f"{consignment.current_flight} is expected in time after all."
    if best is None:
        by = _moment(consignment.promised)
        return f"No later flight with room for {consignment.kg} kg arrives by {by}."
    offer = best.offer
    cost = (
        f"{offer.flight} arrives {_length(best.slack)} before the promise (kept on a day like "
        f"this in {best.chance:.0%} of cases) for {offer.extra_cost} EUR extra. Being late is "
        f"assumed to cost {at_stake} EUR, so that it"
    )
    return f"{cost} gains {best.gain} EUR." if chosen else f"{cost} is not worth it."


def _evidence(
    consignment: Consignment, offers: Sequence[Offer], chosen: _Weighed | None, at_stake: Decimal
) -> Delay:
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


# Writing


@write(idempotent=True)
async def cancel_booking(action: Rebook, effect: Effect) -> Booking | None:
    """Cancel the booking that was made, if it was made."""
    del action
    if effect.undoes is None:
        raise Final("cancel_booking only ever takes a booking of this agent back")
    found = await _get("/bookings", key=effect.undoes.key)
    if not found or found[0]["status"] == "cancelled":
        return None
    response = await _service().delete(f"/bookings/{found[0]['id']}")
    return Booking.model_validate(_content(response))


async def as_ordered(action: Rebook, effect: Effect, booking: Booking) -> str | None:
    """Read a booking back from the carrier: what is not as it was ordered, in words."""
    found = await _get("/bookings", key=effect.key)
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
    response = await _service().post(
        "/bookings", content=action.model_dump_json(), headers=headers | dict(more or {})
    )
    return Booking.model_validate(_content(response))


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


def compose(known: Consignment, booking: Booking | None, key: str) -> EmailMessage:
    """The mail to a customer. The same key gives the same Message-ID.

    Raises:
        ValueError: if the address or a name cannot stand in a header.
    """
    # Message-IDs are long, and a folded one is another one to some mail servers.
    mail = EmailMessage(policy=SMTP.clone(max_line_length=998))
    mail["From"] = SENDER
    mail["To"] = known.email
    mail["Subject"] = f"{known.id}: {'moved to another flight' if booking else 'delayed'}"
    mail["Date"] = localtime()
    # Made of the key: a mail that was sent twice is known by it as one.
    mail["Message-ID"] = f"<{quote(key, safe='')}@freight.example.com>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_letter(known, booking))
    return mail


def _letter(known: Consignment, booking: Booking | None) -> str:
    promised = _moment(known.promised)
    if booking is not None:
        news = (
            f"The flight of your consignment {known.id} was late or cancelled. We have moved it\n"
            f"to flight {booking.flight} (booking {booking.id}), at no cost to you.\n"
        )
    else:
        news = (
            f"Your consignment {known.id} on flight {known.current_flight} is late, and we have\n"
            "found no other flight for it. We are sorry.\n"
        )
    estimate = known.estimated_arrival
    expected = "is not known yet" if estimate is None else f"is {_moment(estimate)}"
    return (
        f"Dear {known.customer},\n\n{news}\n"
        f"Its expected arrival {expected}. We had promised {promised}.\n\n"
        "Your freight desk\n"
    )


def for_good(error: aiosmtplib.SMTPException) -> bool:
    """Whether the mail server says no for ever (5xx), and not just for now."""
    refused = isinstance(error, aiosmtplib.SMTPRecipientsRefused)
    said: Sequence[Exception] = error.recipients if refused else [error]
    return all(isinstance(e, aiosmtplib.SMTPResponseException) and e.code >= 500 for e in said)  # noqa: PLR2004  # RFC 5321


# The systems outside


def bookings_url() -> str:
    """Where the booking service is."""
    return os.environ.get("SHIPMENTS_BOOKINGS_URL") or BOOKINGS_URL


def mail_server() -> tuple[str, int]:
    """Host and port of the mail server.

    Raises:
        ConfigurationError: if `SHIPMENTS_SMTP` is not `host:port`.
    """
    given = os.environ.get("SHIPMENTS_SMTP") or MAIL_SERVER
    try:
        parts = urlsplit(f"//{given}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise ConfigurationError(f"SHIPMENTS_SMTP is {given!r}; write it like {MAIL_SERVER}")
    return host, port


@functools.cache
def _service() -> httpx2.AsyncClient:
    """The one client of this process."""
    return httpx2.AsyncClient(base_url=bookings_url(), timeout=PATIENCE.total_seconds())


async def disconnect() -> None:
    """Close the connections to the booking service; the next step opens new ones."""
    if _service.cache_info().currsize:
        await _service().aclose()
        _service.cache_clear()


async def _get(path: str, **params: str) -> Any:
    return _content(await _service().get(path, params=params))


_NOT_NOW = frozenset({408, 425, 429})


def _content(response: httpx2.Response) -> Any:
    """What the service answered.

    Raises:
        Final: if it declines, with its own words. It did nothing then.
        httpx2.HTTPStatusError: if it cannot answer now; a write may or may not have happened.
    """
    if response.is_client_error and response.status_code not in _NOT_NOW:
        raise Final(_detail(response))
    response.raise_for_status()
    return response.json()


def _detail(response: httpx2.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, LookupError, TypeError):
        return f"the booking service answered {response.status_code} {response.reason_phrase}"


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))


def _minutes(length: timedelta) -> int:
    return length // timedelta(minutes=1)


def _length(length: timedelta) -> str:
    hours, minutes = divmod(_minutes(length), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
