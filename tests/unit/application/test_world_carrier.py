"""The carrier's rules, without HTTP: on the real flights, under a wall clock of the test's own."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from world.carrier import (
    Carrier,
    NewNote,
    NotPossible,
    Offer,
    Order,
    PickupOrder,
    StickerOrder,
)
from world.consignments import generate
from world.feed import DelayAlert, alerts
from world.flights import FlightStatus, load_flights
from world.store import Store

FLIGHTS = load_flights()
CONSIGNMENTS = generate(FLIGHTS)
ALERTS = [
    alert
    for alert in alerts(FLIGHTS, CONSIGNMENTS.values())
    if alert.status is FlightStatus.CANCELLED
]


class Wall:
    """A clock on the wall that the test moves."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def carrier(tmp_path: Path, wall: Wall) -> Iterator[Carrier]:
    store = Store(tmp_path / "bookings.db")
    yield Carrier(FLIGHTS, CONSIGNMENTS, store, wall)
    store.close()


def a_call(carrier: Carrier) -> int:
    return carrier.store.receive(
        method="POST", path="/bookings", key=None, digest="", body="", at=carrier.wall()
    )


def published(carrier: Carrier) -> tuple[DelayAlert, Offer]:
    """Publish the first alert that leaves an offer with room, on a flight that really left."""
    for alert in ALERTS:
        carrier.publish(alert)
        kg = CONSIGNMENTS[alert.consignment].kg
        for offer in carrier.offers(alert.consignment).offers:
            if offer.free_kg >= kg and FLIGHTS[offer.flight].actual_departure:
                return alert, offer
    raise AssertionError("no alert leaves an offer")


def order_of(alert: DelayAlert, offer: Offer) -> Order:
    return Order(consignment=alert.consignment, flight=offer.flight, extra_cost=offer.extra_cost)


def refusal(carrier: Carrier, order: Order, key: str = "k") -> NotPossible:
    with pytest.raises(NotPossible) as raised:
        carrier.book(order, key, a_call(carrier))
    return raised.value


def test_clock_runs_at_real_speed_from_publication(carrier: Carrier, wall: Wall) -> None:
    alert = ALERTS[0]
    planned = FLIGHTS[alert.flight].planned_departure
    assert carrier.track(alert.consignment).now == planned - timedelta(hours=1)
    carrier.publish(alert)
    wall.time += timedelta(minutes=7)
    carrier.publish(alert)  # again: changes nothing
    assert carrier.track(alert.consignment).now == alert.known_at + timedelta(minutes=7)


def test_offers_are_later_flights_to_the_same_place_before_their_cut_off(carrier: Carrier) -> None:
    alert, _ = published(carrier)
    tracked = carrier.track(alert.consignment)
    offers = carrier.offers(alert.consignment)
    assert offers.now == tracked.now
    for offer in offers.offers:
        assert offer.dest == tracked.dest
        assert tracked.now < offer.cut_off < offer.planned_departure
        assert offer.flight != tracked.current_flight
    arrivals = [offer.planned_arrival for offer in offers.offers]
    assert arrivals == sorted(arrivals)


def test_booking_moves_the_consignment_and_takes_room(carrier: Carrier) -> None:
    alert, offer = published(carrier)
    booking, replayed = carrier.book(order_of(alert, offer), "k", a_call(carrier))
    tracked = carrier.track(alert.consignment)
    assert not replayed
    assert (tracked.current_flight, tracked.booking) == (offer.flight, booking.id)
    assert carrier.store.booked_kg() == {offer.flight: tracked.kg}


def test_same_key_replays_even_when_it_could_no_longer_be_booked(
    carrier: Carrier, wall: Wall
) -> None:
    alert, offer = published(carrier)
    first, _ = carrier.book(order_of(alert, offer), "k", a_call(carrier))
    wall.time += timedelta(days=3)
    again, replayed = carrier.book(order_of(alert, offer), "k", a_call(carrier))
    assert (again, replayed) == (first, True)
    assert [call.effect for call in carrier.store.calls()] == [first.id, None]


def test_same_key_for_another_order_is_refused(carrier: Carrier) -> None:
    alert, offer = published(carrier)
    carrier.book(order_of(alert, offer), "k", a_call(carrier))
    other = order_of(alert, offer).model_copy(update={"flight": "UA1-EWR-20130308"})
    assert refusal(carrier, other).status == 422


def test_passed_cut_off_is_refused(carrier: Carrier, wall: Wall) -> None:
    alert, offer = published(carrier)
    wall.time += offer.cut_off - alert.known_at
    refused = refusal(carrier, order_of(alert, offer))
    assert (refused.status, "cut-off" in refused.detail) == (409, True)
    assert offer.flight not in {o.flight for o in carrier.offers(alert.consignment).offers}


def test_another_price_is_refused_with_the_present_one(carrier: Carrier) -> None:
    alert, offer = published(carrier)
    cheaper = order_of(alert, offer).model_copy(update={"extra_cost": offer.extra_cost - 1})
    refused = refusal(carrier, cheaper)
    assert (refused.status, str(offer.extra_cost) in refused.detail) == (409, True)


def test_full_flight_is_refused_until_a_cancellation_frees_it(carrier: Carrier) -> None:
    alert, offer = published(carrier)
    kg = CONSIGNMENTS[alert.consignment].kg
    blocking = carrier.store.add_booking(
        key="other",
        consignment="AWB-1001",
        flight=offer.flight,
        kg=offer.free_kg - kg + 1,
        extra_cost=offer.extra_cost,
        at=alert.known_at,
    )
    refused = refusal(carrier, order_of(alert, offer))
    assert (refused.status, "no capacity" in refused.detail) == (409, True)
    carrier.cancel(blocking.id, a_call(carrier))
    booking, _ = carrier.book(order_of(alert, offer), "k", a_call(carrier))
    assert booking.status == "booked"


def test_consignment_that_has_left_stays(carrier: Carrier, wall: Wall) -> None:
    late = next(
        alert
        for alert in alerts(FLIGHTS, CONSIGNMENTS.values())
        if alert.status is FlightStatus.SCHEDULED and FLIGHTS[alert.flight].actual_departure
    )
    carrier.publish(late)
    offer = carrier.offers(late.consignment).offers[-1]
    left = FLIGHTS[late.flight].actual_departure
    assert left is not None
    wall.time += left - late.known_at
    assert carrier.offers(late.consignment).offers == ()
    assert "has left" in refusal(carrier, order_of(late, offer)).detail


def test_flight_to_elsewhere_is_refused(carrier: Carrier) -> None:
    alert, offer = published(carrier)
    elsewhere = next(flight for flight in FLIGHTS.values() if flight.dest != offer.dest)
    order = order_of(alert, offer).model_copy(update={"flight": elsewhere.id})
    assert refusal(carrier, order).status == 409
    unknown = order.model_copy(update={"flight": "nonsense"})
    assert refusal(carrier, unknown).status == 404


def test_cancelling_twice_changes_one_thing(carrier: Carrier) -> None:
    alert, offer = published(carrier)
    booking, _ = carrier.book(order_of(alert, offer), "k", a_call(carrier))
    for _ in range(2):
        assert carrier.cancel(booking.id, a_call(carrier)).status == "cancelled"
    assert carrier.track(alert.consignment).current_flight == alert.flight
    assert [call.effect for call in carrier.store.calls()] == [booking.id, booking.id, None]


def test_booking_whose_flight_left_cannot_be_cancelled(carrier: Carrier, wall: Wall) -> None:
    alert, offer = published(carrier)
    booking, _ = carrier.book(order_of(alert, offer), "k", a_call(carrier))
    left = FLIGHTS[offer.flight].actual_departure
    assert left is not None
    wall.time += left - alert.known_at
    with pytest.raises(NotPossible, match="has left"):
        carrier.cancel(booking.id, a_call(carrier))


@pytest.mark.parametrize("bad", ["", "BK-", "BK-0", "BK-x", "BK-²", "ST-1", "BK-" + "9" * 40])
def test_unknown_booking_is_said_to_be_unknown(carrier: Carrier, bad: str) -> None:
    with pytest.raises(NotPossible) as raised:
        carrier.find_booking(bad)
    assert raised.value.status == 404


def test_stickers_double_and_can_be_found(carrier: Carrier) -> None:
    order = StickerOrder(consignment="AWB-1001", text="keep cool", reference="r")
    stuck = [carrier.stick(order, a_call(carrier)) for _ in range(2)]
    assert carrier.stickers("AWB-1001", "r") == stuck
    assert carrier.stickers("AWB-1001", "other") == []
    assert carrier.unstick(stuck[0].id, a_call(carrier)).status == "removed"


def test_pickups_are_known_only_to_the_ledger_of_calls(carrier: Carrier) -> None:
    order = PickupOrder(consignment="AWB-1001")
    ids = [carrier.pick_up(order, a_call(carrier)).id for _ in range(2)]
    assert [call.effect for call in carrier.store.calls()] == ids == ["PU-1", "PU-2"]


def test_unknown_consignment_is_said_to_be_unknown(carrier: Carrier) -> None:
    with pytest.raises(NotPossible, match="AWB-1001"):
        carrier.track("AWB-0")


def test_a_note_is_told_until_a_newer_one_is_written(carrier: Carrier) -> None:
    noted = next(c for c in CONSIGNMENTS.values() if c.note)
    assert carrier.track(noted.id).note == noted.note
    for text in ("first", "второй"):
        assert carrier.note(noted.id, NewNote(text=text)).note == text
    with pytest.raises(NotPossible) as raised:
        carrier.note("AWB-1", NewNote(text="nobody's"))
    assert raised.value.status == 404


def test_a_carrier_may_put_a_booking_on_a_later_flight(carrier: Carrier) -> None:
    alert, offer = published(carrier)
    booking, _ = carrier.book(order_of(alert, offer), "k", a_call(carrier))
    changed = carrier.rearrange(booking.id)
    assert changed.flight != booking.flight
    assert FLIGHTS[changed.flight].planned_arrival > offer.planned_arrival
    assert changed.model_dump(exclude={"flight"}) == booking.model_dump(exclude={"flight"})
    assert carrier.track(alert.consignment).current_flight == changed.flight
