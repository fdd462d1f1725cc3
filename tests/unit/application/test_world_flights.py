"""The extract, what can be known of a flight, the generated freight and the alerts."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from world import tariff
from world.consignments import DAYS, Consignment, Goods, generate
from world.feed import alerts
from world.flights import Flight, FlightStatus, load_flights, sight
from world.make_extract import NEW_YORK, arrival
from world.score import score
from world.store import Booking

FLIGHTS = load_flights()
CONSIGNMENTS = generate(FLIGHTS)
NOON = datetime(2013, 3, 8, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def a_flight(*, left: int | None = 0, landed: int | None = 120, name: str = "XX1") -> Flight:
    """Planned from noon to 14:00; ``left`` and ``landed`` are minutes after noon."""
    return Flight(
        id=name,
        carrier="XX",
        number=1,
        origin="JFK",
        dest="ORD",
        tailnum=None,
        seats=140,
        miles=740,
        planned_departure=NOON,
        planned_arrival=NOON + 120 * MINUTE,
        actual_departure=None if left is None else NOON + left * MINUTE,
        actual_arrival=None if landed is None else NOON + landed * MINUTE,
    )


def a_consignment(*, flight: str = "XX1", promised: int = 180, **changes: object) -> Consignment:
    values = {
        "id": "AWB-1",
        "customer": "Harbor Tools",
        "email": "harbor.tools@example.com",
        "goods": Goods.STANDARD,
        "kg": 100,
        "value": Decimal(4000),
        "origin": "JFK",
        "dest": "ORD",
        "flight": flight,
        "promised": NOON + promised * MINUTE,
    }
    return Consignment.model_validate(values | changes)


def test_extract_holds_each_bad_day_and_the_day_after() -> None:
    days = {f.planned_departure.astimezone(NEW_YORK).date() for f in FLIGHTS.values()}
    assert days == {day + timedelta(days=after) for day in DAYS for after in (0, 1)}
    assert len(FLIGHTS) == 5633


def test_extract_agrees_with_a_flight_looked_up_by_hand() -> None:
    # 2013-03-08: United 1545, 05:15 in Newark to 08:14 in Houston, 4 minutes early, 13 early
    flight = FLIGHTS["UA1545-EWR-20130308"]
    houston = ZoneInfo("America/Chicago")
    assert flight.planned_departure == datetime(2013, 3, 8, 5, 15, tzinfo=NEW_YORK)
    assert flight.planned_arrival == datetime(2013, 3, 8, 8, 14, tzinfo=houston)
    assert flight.actual_departure == flight.planned_departure - 4 * MINUTE
    assert flight.actual_arrival == flight.planned_arrival - 13 * MINUTE


def test_every_flight_takes_a_plausible_time() -> None:
    for flight in FLIGHTS.values():
        mph = flight.miles / (flight.block / timedelta(hours=1))
        assert 50 < mph < 500, flight
        if flight.actual_departure and flight.actual_arrival:
            assert flight.actual_departure < flight.actual_arrival


def test_overnight_arrival_lands_on_the_next_day() -> None:
    departure = datetime(2013, 3, 8, 23, 59, tzinfo=NEW_YORK)
    landed = arrival(departure, "350", ZoneInfo("America/Puerto_Rico"))
    assert landed == datetime(2013, 3, 9, 7, 50, tzinfo=UTC)


def test_arrival_at_midnight_is_written_2400() -> None:
    departure = datetime(2013, 6, 13, 21, 0, tzinfo=NEW_YORK)
    landed = arrival(departure, "2400", ZoneInfo("America/Chicago"))
    assert landed == datetime(2013, 6, 14, 5, 0, tzinfo=UTC)


def test_nothing_of_the_future_shows() -> None:
    late = a_flight(left=100, landed=400)
    planned = sight(late, NOON + 29 * MINUTE)
    assert (planned.status, planned.estimated_arrival) == ("scheduled", NOON + 120 * MINUTE)
    announced = sight(late, NOON + 30 * MINUTE)
    assert (announced.status, announced.estimated_arrival) == ("scheduled", NOON + 225 * MINUTE)
    flying = sight(late, NOON + 100 * MINUTE)
    assert (flying.status, flying.estimated_arrival) == ("departed", NOON + 220 * MINUTE)
    circling = sight(late, NOON + 300 * MINUTE)
    assert (circling.status, circling.estimated_arrival) == ("departed", NOON + 300 * MINUTE)
    assert sight(late, NOON + 400 * MINUTE).status is FlightStatus.LANDED


def test_cancellation_is_known_half_an_hour_after_the_plan() -> None:
    cancelled = a_flight(left=None, landed=None)
    assert sight(cancelled, NOON + 29 * MINUTE).status is FlightStatus.SCHEDULED
    seen = sight(cancelled, NOON + 30 * MINUTE)
    assert (seen.status, seen.estimated_arrival) == ("cancelled", None)


def test_consignments_are_the_same_everywhere() -> None:
    again = generate(load_flights())
    assert again == CONSIGNMENTS
    assert generate(FLIGHTS, seed=1) != CONSIGNMENTS
    assert next(iter(CONSIGNMENTS)) == "AWB-1001"


def test_every_consignment_fits_its_flight() -> None:
    for consignment in CONSIGNMENTS.values():
        flight = FLIGHTS[consignment.flight]
        assert consignment.promised > flight.planned_arrival
        assert consignment.kg <= tariff.capacity_kg(flight.seats)
        assert consignment.email.endswith("@example.com")
        assert (consignment.origin, consignment.dest) == (flight.origin, flight.dest)


def test_alerts_are_ordered_stable_and_one_for_a_consignment() -> None:
    first, second = (list(alerts(FLIGHTS, CONSIGNMENTS.values())) for _ in range(2))
    assert first == second
    assert [a.known_at for a in first] == sorted(a.known_at for a in first)
    assert len({a.key for a in first}) == len(first) >= 300
    assert {a.status for a in first} >= {FlightStatus.SCHEDULED, FlightStatus.CANCELLED}


@pytest.mark.parametrize("day", DAYS)
def test_alerts_of_one_day(day: date) -> None:
    some = list(alerts(FLIGHTS, CONSIGNMENTS.values(), day=day, limit=20))
    assert len(some) == 20
    for alert in some:
        planned = FLIGHTS[alert.flight].planned_departure
        assert planned.astimezone(NEW_YORK).date() == day


def test_alert_says_what_was_known_then() -> None:
    (alert,) = alerts({"XX1": a_flight(left=100, landed=400)}, [a_consignment()])
    assert alert.known_at == NOON + 30 * MINUTE
    assert (alert.minutes_late, alert.estimated_arrival) == (105, NOON + 225 * MINUTE)


def test_no_alert_while_the_promise_holds() -> None:
    assert not list(alerts({"XX1": a_flight(left=20, landed=400)}, [a_consignment()]))


def test_alert_on_departure_when_the_goods_are_already_aboard() -> None:
    (alert,) = alerts({"XX1": a_flight(left=25, landed=400)}, [a_consignment(promised=130)])
    assert (alert.known_at, alert.status) == (NOON + 25 * MINUTE, "departed")


def test_cost_follows_the_documented_formula() -> None:
    booked, consignment = a_flight(), a_consignment()
    # (25 + 100 x (0.14 + 0.00035 x 740)) x 1.0
    assert tariff.extra_cost(consignment, booked, booked, 1200) == Decimal("64.90")
    other = booked.model_copy(update={"carrier": "YY", "origin": "LGA"})
    pharma = a_consignment(goods=Goods.PHARMA)
    # x 1.6 for pharma, x 1.5 for the other carrier, x 1.3 for scarcity, + 60 for the truck
    assert tariff.extra_cost(pharma, booked, other, 100) == Decimal("262.49")


def test_other_airport_closes_earlier() -> None:
    flight = a_flight()
    assert tariff.cut_off(a_consignment(), flight) == NOON - 45 * MINUTE
    assert tariff.cut_off(a_consignment(origin="EWR"), flight) == NOON - 120 * MINUTE


def a_booking(
    number: int, consignment: str, flight: str, *, standing: bool = True, cost: str = "10.50"
) -> Booking:
    return Booking(
        id=f"BK-{number}",
        key=str(number),
        consignment=consignment,
        flight=flight,
        kg=100,
        extra_cost=Decimal(cost),
        status="booked" if standing else "cancelled",
        booked_at=NOON,
    )


def test_score_counts_with_what_really_happened() -> None:
    flights = {
        "late": a_flight(landed=400, name="late"),
        "fine": a_flight(landed=170, name="fine"),
        "gone": a_flight(left=None, landed=None, name="gone"),
    }
    consignments = [
        a_consignment(id=f"AWB-{n}", flight=flight)
        for n, flight in enumerate(["late", "late", "fine", "late", "fine"], 1)
    ]
    bookings = [
        a_booking(1, "AWB-1", "fine"),
        a_booking(2, "AWB-2", "gone"),
        a_booking(3, "AWB-3", "late"),
        a_booking(4, "AWB-4", "fine", standing=False),
        a_booking(5, "AWB-9", "fine"),
    ]
    result = score(flights, consignments, bookings)
    assert result.model_dump() == {
        "consignments": 5,
        "rebooked": 3,
        "kept_without": 2,
        "kept_with": 2,
        "saved": 1,
        "spoilt": 1,
        "extra_cost": Decimal("31.50"),
    }


def test_second_booking_counts_and_costs_twice() -> None:
    flights = {"late": a_flight(landed=400, name="late"), "fine": a_flight(name="fine")}
    bookings = [a_booking(1, "AWB-1", "late"), a_booking(2, "AWB-1", "fine")]
    result = score(flights, [a_consignment(flight="late")], bookings)
    assert (result.rebooked, result.kept_with, result.extra_cost) == (1, 1, Decimal("21.00"))
