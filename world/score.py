"""What came of it: promises kept with the agent and without, by what the flights really did.

``python -m world.score --db PATH`` prints it for the consignments whose alerts are out.
"""

import argparse
import sqlite3
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel

from world.consignments import PER_DAY, SEED, Consignment, generate
from world.flights import Flight, load_flights
from world.store import Booking, Store


class Score(BaseModel, frozen=True):
    """Of some consignments, how many arrived as promised, and at what price."""

    consignments: int
    rebooked: int
    """With a booking that stands."""
    kept_without: int
    """Had every consignment stayed on its first flight."""
    kept_with: int
    """As booked in the end; the new flight may have been late or cancelled too."""
    saved: int
    """Broken without the agent, kept with it."""
    spoilt: int
    """Kept without the agent, broken with it."""
    extra_cost: Decimal
    """EUR, for all bookings that stand; two for one consignment cost twice."""


def score(
    flights: Mapping[str, Flight],
    consignments: Iterable[Consignment],
    bookings: Iterable[Booking],
) -> Score:
    """Judge ``consignments`` by their newest standing booking in ``bookings`` (oldest first)."""
    scope = {consignment.id: consignment for consignment in consignments}
    standing = [item for item in bookings if item.status == "booked" and item.consignment in scope]
    moved = {booking.consignment: booking.flight for booking in standing}
    without = {item.id for item in scope.values() if _kept(item, flights[item.flight])}
    kept = {
        item.id for item in scope.values() if _kept(item, flights[moved.get(item.id, item.flight)])
    }
    return Score(
        consignments=len(scope),
        rebooked=len(moved),
        kept_without=len(without),
        kept_with=len(kept),
        saved=len(kept - without),
        spoilt=len(without - kept),
        extra_cost=sum((booking.extra_cost for booking in standing), Decimal("0.00")),
    )


def read(db: Path, *, per_day: int = PER_DAY, seed: int = SEED) -> Score:
    """The score of the consignments whose alerts are published in the booking service's file.

    It may be read while the service runs. Pass what the service was started with.

    Raises:
        FileNotFoundError: there is no such file.
        sqlite3.OperationalError: it cannot be read.
    """
    if not db.exists():
        raise FileNotFoundError(f"no bookings database at {db}: start world.bookings first")
    flights = load_flights()
    consignments = generate(flights, per_day=per_day, seed=seed)
    store = Store(db)
    try:
        alerted = [consignments[alert.consignment] for alert in store.alerts()]
        return score(flights, alerted, store.bookings())
    finally:
        store.close()


def main() -> None:
    """Print the score as JSON."""
    parser = argparse.ArgumentParser(description="Promises kept with the agent and without.")
    parser.add_argument("--db", type=Path, required=True, help="the booking service's file")
    parser.add_argument("--per-day", type=int, default=PER_DAY)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    try:
        result = read(options.db, per_day=options.per_day, seed=options.seed)
    except (FileNotFoundError, sqlite3.Error) as error:
        raise SystemExit(str(error)) from error
    print(result.model_dump_json(indent=2))  # noqa: T201 - what was asked for


def _kept(consignment: Consignment, flight: Flight) -> bool:
    return flight.actual_arrival is not None and flight.actual_arrival <= consignment.promised


if __name__ == "__main__":
    main()
