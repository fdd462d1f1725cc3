"""The carrier's rules: what it tells of a consignment, offers, books and cancels.

Nothing of HTTP in here: a request that breaks a rule raises ``NotPossible``, which carries the
status to answer with and words that say what to do instead.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel, Field

from world import tariff
from world.consignments import Consignment
from world.feed import DelayAlert
from world.flights import Flight, FlightStatus, sight
from world.notes import MAX_NOTE
from world.store import Booking, Pickup, Published, Sticker, Store

HORIZON = timedelta(hours=36)
"""How far ahead offers reach."""
BEFORE_ALERT = timedelta(hours=1)
"""Until its alert is out, a consignment's clock stands this long before planned departure."""


class NotPossible(Exception):
    """The carrier declines; nothing was changed."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Tracked(Consignment, frozen=True):
    """A consignment and what is known of it now, by its own clock."""

    now: AwareDatetime
    current_flight: str
    """Where it is booked now: ``flight`` unless it was rebooked."""
    booking: str | None
    """The id of the booking that moved it. None: it was not rebooked."""
    status: FlightStatus
    """Of the current flight, as is everything below."""
    planned_departure: AwareDatetime
    planned_arrival: AwareDatetime
    estimated_arrival: AwareDatetime | None
    """None: the flight is known to be cancelled."""


class Offer(BaseModel, frozen=True):
    """A later flight to the same destination that still takes the consignment."""

    flight: str
    carrier: str
    origin: str
    dest: str
    planned_departure: AwareDatetime
    planned_arrival: AwareDatetime
    cut_off: AwareDatetime
    free_kg: int
    extra_cost: Decimal
    """EUR."""


class Offers(BaseModel, frozen=True):
    """All offers for a consignment at ``now``, in the order of their planned arrival."""

    consignment: str
    now: AwareDatetime
    offers: tuple[Offer, ...]


class Order(BaseModel, frozen=True, extra="forbid"):
    """What a client posts to book."""

    consignment: str
    flight: str
    extra_cost: Decimal = Field(ge=0, max_digits=12, decimal_places=2)
    """EUR, as offered."""


class StickerOrder(BaseModel, frozen=True, extra="forbid"):
    """What a client posts to have a sticker printed and stuck on."""

    consignment: str
    text: str = Field(min_length=1, max_length=500)
    reference: str | None = Field(default=None, max_length=200)
    """The client's own name for it, by which it can be found again."""


class PickupOrder(BaseModel, frozen=True, extra="forbid"):
    """What a client posts to order a truck from the legacy system."""

    consignment: str
    note: str = Field(default="", max_length=500)


class NewNote(BaseModel, frozen=True, extra="forbid"):
    """What somebody outside posts to be noted on a consignment."""

    text: str = Field(min_length=1, max_length=MAX_NOTE)


def wall_now() -> datetime:
    """The time on the wall."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Carrier:
    """All that the booking service does, over the flights, the consignments and its store.

    Methods that write take the number of the call and conclude it in their own transaction.
    """

    flights: Mapping[str, Flight]
    consignments: Mapping[str, Consignment]
    store: Store
    wall: Callable[[], datetime] = wall_now

    def publish(self, alert: DelayAlert) -> tuple[Published, bool]:
        """Start a consignment's clock. Also returns whether this alert was new.

        Raises:
            NotPossible: the consignment is unknown.
        """
        self._booked(alert.consignment)
        new = self.store.add_alert(
            Published(
                consignment=alert.consignment,
                key=alert.key,
                known_at=alert.known_at,
                published_at=self.wall(),
            )
        )
        published = self.store.alert(alert.consignment)
        assert published is not None  # noqa: S101 - just written, or there before
        return published, new

    def track(self, consignment_id: str) -> Tracked:
        """A consignment as it is known now.

        Raises:
            NotPossible: it is unknown.
        """
        consignment = self._booked(consignment_id)
        now, booking = self._now(consignment), self.store.current_booking(consignment_id)
        flight = self.flights[booking.flight if booking else consignment.flight]
        seen = sight(flight, now)
        return Tracked(
            **consignment.model_dump(exclude={"note"}),
            note=self.store.note(consignment_id) or consignment.note,
            now=now,
            current_flight=flight.id,
            booking=booking.id if booking else None,
            status=seen.status,
            planned_departure=flight.planned_departure,
            planned_arrival=flight.planned_arrival,
            estimated_arrival=seen.estimated_arrival,
        )

    def offers(self, consignment_id: str) -> Offers:
        """What could still carry a consignment; nothing once it has left.

        Raises:
            NotPossible: it is unknown.
        """
        tracked = self.track(consignment_id)
        offers = sorted(
            self._offers(tracked), key=lambda offer: (offer.planned_arrival, offer.flight)
        )
        return Offers(consignment=consignment_id, now=tracked.now, offers=tuple(offers))

    def book(self, order: Order, key: str, call: int) -> tuple[Booking, bool]:
        """Book, once for each key. Also returns whether this is a replay of an earlier order.

        Raises:
            NotPossible: the key was used for another order, or the order breaks a rule.
        """
        with self.store.transaction():
            made = self.store.booking_by_key(key)
            if made is not None:
                _refuse_reuse(made, order)
                self.store.conclude(call, 200)
                return made, True
            consignment = self._booked(order.consignment)
            self._refuse_unavailable(order)
            booking = self.store.add_booking(
                key=key,
                consignment=order.consignment,
                flight=order.flight,
                kg=consignment.kg,
                extra_cost=order.extra_cost,
                at=self._now(consignment),
            )
            self.store.conclude(call, 201, booking.id)
            return booking, False

    def cancel(self, booking_id: str, call: int) -> Booking:
        """Cancel a booking and give its room back; again is no error.

        Raises:
            NotPossible: it is unknown, or its flight has left.
        """
        with self.store.transaction():
            booking = self.find_booking(booking_id)
            if booking.status == "cancelled":
                self.store.conclude(call, 200)
                return booking
            self._refuse_departed(booking)
            self.store.conclude(call, 200, booking.id)
            return self.store.cancel_booking(booking)

    def rearrange(self, booking_id: str) -> Booking:
        """Put a booking on a later flight with room, as carriers do when they are short of it.

        The last such flight in its reach. It stays where it is if there is none.

        Raises:
            NotPossible: it is unknown.
        """
        with self.store.transaction():
            booking = self.find_booking(booking_id)
            tracked = self.track(booking.consignment)
            after = self.flights[booking.flight].planned_arrival
            later = [
                offer
                for offer in self._offers(tracked)
                if offer.planned_arrival > after and offer.free_kg >= booking.kg
            ]
            if not later:
                return booking
            last = max(later, key=lambda offer: (offer.planned_arrival, offer.flight))
            return self.store.change_booking(booking, last.flight)

    def note(self, consignment_id: str, note: NewNote) -> Tracked:
        """Write a note into a consignment, which everybody can.

        Raises:
            NotPossible: it is unknown.
        """
        self._booked(consignment_id)
        self.store.add_note(consignment=consignment_id, text=note.text, at=self.wall())
        return self.track(consignment_id)

    def find_booking(self, booking_id: str) -> Booking:
        """The booking of that id.

        Raises:
            NotPossible: it is unknown.
        """
        booking = self.store.booking(booking_id)
        if booking is None:
            raise NotPossible(404, f"no booking {booking_id!r}: look it up with GET /bookings?key=")
        return booking

    def stick(self, order: StickerOrder, call: int) -> Sticker:
        """Print a sticker: each call another one.

        Raises:
            NotPossible: the consignment is unknown.
        """
        with self.store.transaction():
            at = self._now(self._booked(order.consignment))
            sticker = self.store.add_sticker(**order.model_dump(), at=at)
            self.store.conclude(call, 201, sticker.id)
            return sticker

    def unstick(self, sticker_id: str, call: int) -> Sticker:
        """Remove a sticker; again is no error.

        Raises:
            NotPossible: it is unknown.
        """
        with self.store.transaction():
            sticker = self.store.sticker(sticker_id)
            if sticker is None:
                raise NotPossible(404, f"no sticker {sticker_id!r}: see GET /stickers?consignment=")
            changes = sticker.status == "stuck"
            self.store.conclude(call, 200, sticker.id if changes else None)
            return self.store.remove_sticker(sticker)

    def stickers(self, consignment_id: str, reference: str | None) -> list[Sticker]:
        """The stickers of a consignment, removed ones too; only those of a reference, if given.

        Raises:
            NotPossible: the consignment is unknown.
        """
        self._booked(consignment_id)
        found = self.store.stickers(consignment_id)
        return [item for item in found if reference in (None, item.reference)]

    def pick_up(self, order: PickupOrder, call: int) -> Pickup:
        """Order a truck: each call another one.

        Raises:
            NotPossible: the consignment is unknown.
        """
        with self.store.transaction():
            at = self._now(self._booked(order.consignment))
            pickup = self.store.add_pickup(**order.model_dump(), at=at)
            self.store.conclude(call, 201, pickup.id)
            return pickup

    def _booked(self, consignment_id: str) -> Consignment:
        consignment = self.consignments.get(consignment_id)
        if consignment is None:
            raise NotPossible(404, f"no consignment {consignment_id!r}: ids look like AWB-1001")
        return consignment

    def _now(self, consignment: Consignment) -> datetime:
        """The replay's time for a consignment: real speed from the moment its alert is out."""
        alert = self.store.alert(consignment.id)
        if alert is None:
            return self.flights[consignment.flight].planned_departure - BEFORE_ALERT
        return alert.known_at + (self.wall() - alert.published_at)

    def _offers(self, tracked: Tracked) -> Iterator[Offer]:
        if _has_left(tracked):
            return
        booked_kg = self.store.booked_kg()
        for flight in self.flights.values():
            if flight.dest == tracked.dest and flight.id != tracked.current_flight:
                offer = self._offer(tracked, flight, booked_kg.get(flight.id, 0))
                if tracked.now < offer.cut_off and flight.planned_departure < tracked.now + HORIZON:
                    yield offer

    def _offer(self, tracked: Tracked, flight: Flight, booked_kg: int) -> Offer:
        free = tariff.capacity_kg(flight.seats) - tariff.sold_kg(flight) - booked_kg
        return Offer(
            flight=flight.id,
            carrier=flight.carrier,
            origin=flight.origin,
            dest=flight.dest,
            planned_departure=flight.planned_departure,
            planned_arrival=flight.planned_arrival,
            cut_off=tariff.cut_off(tracked, flight),
            free_kg=free,
            extra_cost=tariff.extra_cost(tracked, self.flights[tracked.flight], flight, free),
        )

    def _refuse_unavailable(self, order: Order) -> None:
        tracked = self.track(order.consignment)
        if _has_left(tracked):
            raise NotPossible(
                409, f"{order.consignment} has left on {tracked.current_flight}: leave it there"
            )
        offer = self._open_offer(tracked, order.flight)
        if offer.free_kg < tracked.kg:
            raise NotPossible(
                409,
                f"no capacity: {offer.flight} has {offer.free_kg} kg free, {tracked.id} weighs"
                f" {tracked.kg} kg; take another of GET /offers",
            )
        if offer.extra_cost != order.extra_cost:
            raise NotPossible(
                409,
                f"the price of {offer.flight} is now {offer.extra_cost} EUR, not"
                f" {order.extra_cost}; decide again and order at that price",
            )

    def _open_offer(self, tracked: Tracked, flight_id: str) -> Offer:
        flight = self.flights.get(flight_id)
        if flight is None:
            raise NotPossible(404, f"no flight {flight_id!r}: take one of GET /offers")
        if flight.dest != tracked.dest or flight.id == tracked.current_flight:
            raise NotPossible(409, f"{flight_id} does not move {tracked.id}: see GET /offers")
        offer = self._offer(tracked, flight, self.store.booked_kg().get(flight_id, 0))
        if tracked.now >= offer.cut_off:
            raise NotPossible(
                409,
                f"the cut-off of {flight_id} was {offer.cut_off:%Y-%m-%d %H:%M} UTC:"
                " take a later flight",
            )
        if flight.planned_departure >= tracked.now + HORIZON:
            raise NotPossible(409, f"{flight_id} cannot be booked yet: see GET /offers")
        return offer

    def _refuse_departed(self, booking: Booking) -> None:
        now = self._now(self._booked(booking.consignment))
        if sight(self.flights[booking.flight], now).status in _LEFT:
            raise NotPossible(
                409, f"{booking.flight} has left with {booking.consignment}: too late to cancel"
            )


_LEFT = (FlightStatus.DEPARTED, FlightStatus.LANDED)


def _has_left(tracked: Tracked) -> bool:
    return tracked.status in _LEFT


def _refuse_reuse(made: Booking, order: Order) -> None:
    same = (made.consignment, made.flight, made.extra_cost) == (
        order.consignment,
        order.flight,
        order.extra_cost,
    )
    if not same:
        raise NotPossible(
            422,
            f"this Idempotency-Key already booked {made.flight} for {made.consignment} at"
            f" {made.extra_cost} EUR ({made.id}): send another order under another key",
        )
