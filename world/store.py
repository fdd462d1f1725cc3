"""The booking service's SQLite database: what is committed here has happened.

One connection, used from one thread. A transaction never awaits, so no two interleave; with
write-ahead log and ``synchronous=FULL`` each commit is on disk before it returns, and a
``kill -9`` at any moment leaves everything as committed.
"""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS alerts (
    consignment TEXT PRIMARY KEY, key TEXT NOT NULL,
    known_at TEXT NOT NULL, published_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS bookings (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE,
    consignment TEXT NOT NULL, flight TEXT NOT NULL, kg INTEGER NOT NULL,
    extra_cost TEXT NOT NULL, status TEXT NOT NULL, booked_at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS bookings_flight ON bookings (flight, status);
CREATE INDEX IF NOT EXISTS bookings_consignment ON bookings (consignment, status);
CREATE TABLE IF NOT EXISTS stickers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, consignment TEXT NOT NULL,
    reference TEXT, text TEXT NOT NULL, status TEXT NOT NULL, stuck_at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS stickers_consignment ON stickers (consignment);
CREATE TABLE IF NOT EXISTS pickups (
    number INTEGER PRIMARY KEY AUTOINCREMENT, consignment TEXT NOT NULL,
    note TEXT NOT NULL, ordered_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER PRIMARY KEY AUTOINCREMENT, method TEXT NOT NULL, path TEXT NOT NULL,
    key TEXT, digest TEXT NOT NULL, body TEXT NOT NULL, received_at TEXT NOT NULL,
    status INTEGER, effect TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS notes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, consignment TEXT NOT NULL,
    text TEXT NOT NULL, written_at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS notes_consignment ON notes (consignment);
"""
_LOCKED_FOR_S = 2.0


class Booking(BaseModel, frozen=True):
    """Room for a consignment on a flight other than the one it was first booked on."""

    id: str
    key: str
    """The idempotency key it was made under."""
    consignment: str
    flight: str
    kg: int
    extra_cost: Decimal
    """EUR."""
    status: Literal["booked", "cancelled"]
    booked_at: AwareDatetime
    """By the consignment's own clock."""


class Sticker(BaseModel, frozen=True):
    """A handling sticker: made again by each call, but findable by its reference."""

    id: str
    consignment: str
    reference: str | None
    text: str
    status: Literal["stuck", "removed"]
    stuck_at: AwareDatetime


class Pickup(BaseModel, frozen=True):
    """A truck ordered from the legacy system, which forgets it for its clients."""

    id: str
    consignment: str
    note: str
    ordered_at: AwareDatetime


class Call(BaseModel, frozen=True):
    """One writing request that reached the service, whatever became of it."""

    id: int
    method: str
    path: str
    key: str | None
    digest: str
    """SHA-256 of the body, in hex."""
    body: str
    received_at: AwareDatetime
    """Wall time."""
    status: int | None
    """What it was to be answered with. None: the process died before it decided."""
    effect: str | None
    """The id of what this call changed. None: it changed nothing."""


class Published(BaseModel, frozen=True):
    """An alert that is out: at ``published_at`` (wall time) it was ``known_at`` in the replay."""

    consignment: str
    key: str
    known_at: AwareDatetime
    published_at: AwareDatetime


class Store:
    """The tables of the booking service.

    Raises:
        sqlite3.OperationalError: by any method, if the file cannot be opened, is read-only,
            full, or locked for more than 2 seconds. Nothing was written then.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=_LOCKED_FOR_S, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Commit everything inside at its end, or nothing if it raises."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def receive(
        self, *, method: str, path: str, key: str | None, digest: str, body: str, at: datetime
    ) -> int:
        """Record a call before anything is done about it; returns its number."""
        return self._insert(
            "calls",
            {
                "method": method,
                "path": path,
                "key": key,
                "digest": digest,
                "body": body,
                "received_at": at.isoformat(),
            },
        )

    def conclude(self, call: int, status: int, effect: str | None = None) -> None:
        """Record how a call is answered and what it changed, in the transaction that does it."""
        self._db.execute(
            "UPDATE calls SET status = ?, effect = ? WHERE number = ?", (status, effect, call)
        )

    def calls(self) -> list[Call]:
        """Every writing call ever received, oldest first."""
        return [
            Call.model_validate({**row, "id": row["number"]})
            for row in self._rows("SELECT * FROM calls ORDER BY number")
        ]

    def add_booking(
        self, *, key: str, consignment: str, flight: str, kg: int, extra_cost: Decimal, at: datetime
    ) -> Booking:
        """Book. Raises sqlite3.IntegrityError if the key was used before."""
        number = self._insert(
            "bookings",
            {
                "key": key,
                "consignment": consignment,
                "flight": flight,
                "kg": kg,
                "extra_cost": str(extra_cost),
                "status": "booked",
                "booked_at": at.isoformat(),
            },
        )
        return self._one_booking("number = ?", number)

    def cancel_booking(self, booking: Booking) -> Booking:
        """Mark it cancelled, which frees its kilograms."""
        number = _number(booking.id, "BK")
        self._db.execute("UPDATE bookings SET status = 'cancelled' WHERE number = ?", (number,))
        return self._one_booking("number = ?", number)

    def change_booking(self, booking: Booking, flight: str) -> Booking:
        """Put a booking on another flight, as the carrier does by itself."""
        number = _number(booking.id, "BK")
        self._db.execute("UPDATE bookings SET flight = ? WHERE number = ?", (flight, number))
        return self._one_booking("number = ?", number)

    def booking(self, booking_id: str) -> Booking | None:
        """The booking of that id, cancelled or not."""
        return _first(self._bookings("number = ?", _number(booking_id, "BK")))

    def booking_by_key(self, key: str) -> Booking | None:
        """The booking made under that idempotency key, cancelled or not."""
        return _first(self._bookings("key = ?", key))

    def current_booking(self, consignment: str) -> Booking | None:
        """The newest booking of a consignment that is not cancelled."""
        live = self._bookings("consignment = ? AND status = 'booked'", consignment)
        return live[-1] if live else None

    def bookings(self) -> list[Booking]:
        """All bookings, cancelled ones too, oldest first."""
        return self._bookings("1 = ?", 1)

    def booked_kg(self) -> dict[str, int]:
        """Kilograms booked through this service, by flight."""
        rows = self._rows(
            "SELECT flight, sum(kg) AS kg FROM bookings WHERE status = 'booked' GROUP BY flight"
        )
        return {row["flight"]: row["kg"] for row in rows}

    def add_sticker(
        self, *, consignment: str, reference: str | None, text: str, at: datetime
    ) -> Sticker:
        """Print another sticker."""
        number = self._insert(
            "stickers",
            {
                "consignment": consignment,
                "reference": reference,
                "text": text,
                "status": "stuck",
                "stuck_at": at.isoformat(),
            },
        )
        return self._stickers("number = ?", number)[0]

    def remove_sticker(self, sticker: Sticker) -> Sticker:
        """Mark it removed."""
        number = _number(sticker.id, "ST")
        self._db.execute("UPDATE stickers SET status = 'removed' WHERE number = ?", (number,))
        return self._stickers("number = ?", number)[0]

    def sticker(self, sticker_id: str) -> Sticker | None:
        """The sticker of that id, removed or not."""
        return _first(self._stickers("number = ?", _number(sticker_id, "ST")))

    def stickers(self, consignment: str) -> list[Sticker]:
        """All stickers of a consignment, removed ones too, oldest first."""
        return self._stickers("consignment = ?", consignment)

    def add_pickup(self, *, consignment: str, note: str, at: datetime) -> Pickup:
        """Order another truck."""
        values = {"consignment": consignment, "note": note, "ordered_at": at.isoformat()}
        number = self._insert("pickups", values)
        return Pickup.model_validate({**values, "id": f"PU-{number}"})

    def add_note(self, *, consignment: str, text: str, at: datetime) -> None:
        """Write another note; the newest is what is told."""
        values = {"consignment": consignment, "text": text, "written_at": at.isoformat()}
        self._insert("notes", values)

    def note(self, consignment: str) -> str | None:
        """The newest note that was written here into a consignment."""
        rows = self._rows(
            "SELECT text FROM notes WHERE consignment = ? ORDER BY number DESC LIMIT 1",
            consignment,
        )
        return _first([str(row["text"]) for row in rows])

    def add_alert(self, alert: Published) -> bool:
        """Start a consignment's clock; False if it runs already, and then nothing changes."""
        cursor = self._db.execute(
            "INSERT INTO alerts VALUES (:consignment, :key, :known_at, :published_at)"
            " ON CONFLICT DO NOTHING",
            alert.model_dump(mode="json"),
        )
        return cursor.rowcount == 1

    def alert(self, consignment: str) -> Published | None:
        """The published alert of a consignment."""
        rows = self._rows("SELECT * FROM alerts WHERE consignment = ?", consignment)
        return _first([Published.model_validate(row) for row in rows])

    def alerts(self) -> list[Published]:
        """All published alerts, in the order of publication."""
        rows = self._rows("SELECT * FROM alerts ORDER BY rowid")
        return [Published.model_validate(row) for row in rows]

    def _insert(self, table: str, values: dict[str, Any]) -> int:
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - our own names
        number = self._db.execute(statement, values).lastrowid
        assert number is not None  # noqa: S101 - an INSERT into a rowid table has one
        return number

    def _one_booking(self, where: str, value: object) -> Booking:
        return self._bookings(where, value)[0]

    def _bookings(self, where: str, value: object) -> list[Booking]:
        rows = self._rows(f"SELECT * FROM bookings WHERE {where} ORDER BY number", value)  # noqa: S608 - our own words
        return [Booking.model_validate({**row, "id": f"BK-{row['number']}"}) for row in rows]

    def _stickers(self, where: str, value: object) -> list[Sticker]:
        rows = self._rows(f"SELECT * FROM stickers WHERE {where} ORDER BY number", value)  # noqa: S608 - our own words
        return [Sticker.model_validate({**row, "id": f"ST-{row['number']}"}) for row in rows]

    def _rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        return [dict(row) for row in self._db.execute(query, values)]


def _number(public_id: str, prefix: str) -> int:
    """The row's number in ``BK-12``; 0, which no row has, if it is no such id."""
    before, _, number = public_id.partition("-")
    fits = before == prefix and number.isascii() and number.isdigit() and len(number) <= 18  # noqa: PLR2004 - fits 64 bits
    return int(number) if fits else 0


def _first(items: Sequence[T]) -> T | None:
    return items[0] if items else None
