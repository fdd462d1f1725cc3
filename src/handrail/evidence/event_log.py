"""Event logs of a manual process: what was done in which case, when, and by whom. Pure.

A row is one activity that was completed. What cannot be read is named with its line and its
reason, and the rest of the log is read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from handrail.exceptions import InvalidRequest, fallback

KNOWN = {
    "case": "case caseid case_concept_name traceid trace ticket ticketid caseno casenumber",
    "activity": "activity concept_name activityname event eventname task step action activityid",
    "at": "timestamp time_timestamp time completetimestamp complete end endtime completed "
    "endtimestamp date datetime eventtime completetime at",
    "begun": "starttimestamp start starttime begun begin begintime started startdate",
    "who": "resource org_resource user person who employee agent performer userid",
    "cost": "cost costs cost_total eventcost",
    "lifecycle": "lifecycle_transition lifecycle lifecycleid transition",
}
"""How columns of event logs are usually named, without blanks, signs and capitals."""

NEEDED = ("case", "activity", "at")

DELIMITERS = ",;\t|"
"""What may part the cells of a CSV: what its first line has most of."""
_DATES = ("%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%y")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_FORMATS = tuple(date + time for date in _DATES for time in _TIMES)
_TRIED = 2_000
"""Times of so many rows, spread over the log, say how they are written."""
_FIELD = 1_000_000
_DONE, _BEGINS = frozenset({"", "complete"}), "start"
_NO_TOUCH = frozenset(
    {
        *("schedule", "assign", "withdraw", "reassign", "suspend", "resume"),
        *("pi_abort", "ate_abort", "autoskip", "manualskip", "unknown"),
    }
)
"""What else XES says of an activity."""
_EPOCH = re.compile(r"(\d{10})(\d{3})?(?:\.\d+)?")
"""Seconds since 1970, or thousandths of them, from 2001 to 2286."""
_DAY = len("20260102")
_ZONES = (" UTC", " GMT")


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One activity that was completed in a case; `begun`, `who` and `cost` where the log has them.

    `facts`: what else stands with it, by column.
    """

    case: str
    activity: str
    at: datetime
    begun: datetime | None = None
    who: str = ""
    cost: Decimal | None = None
    facts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class BadRow:
    """A row that was left out: the line it ends on, and why."""

    line: int
    why: str


@dataclass
class EventLog:
    """What was read of a log, in the order of its rows, and what could not be."""

    name: str
    events: list[LoggedEvent] = field(default_factory=list[LoggedEvent])
    bad: list[BadRow] = field(default_factory=list[BadRow])

    def cases(self) -> dict[str, list[LoggedEvent]]:
        """The events of each case in the order in which they happened.

        Of those at the same moment the order of the rows stands.
        """
        found: dict[str, list[LoggedEvent]] = {}
        for each in self.events:
            found.setdefault(each.case, []).append(each)
        for events in found.values():
            events.sort(key=lambda each: each.at)
        return found


@dataclass(frozen=True)
class LogColumns:
    """What somebody said of a CSV log; what they did not is found.

    `named`: the column of each of `KNOWN`. `time_format` as of `strptime`; a time without a
    zone is taken for UTC.
    """

    named: Mapping[str, str] = field(default_factory=dict[str, str])
    delimiter: str | None = None
    time_format: str | None = None


AS_FOUND = LogColumns()


def read_csv_log(lines: Iterable[str], name: str, told: LogColumns = AS_FOUND) -> EventLog:
    """An event log in CSV, whose first row names the columns.

    Raises:
        InvalidRequest: if it has no rows, a column that is needed is not there, or its times
            can be read in two ways.
    """
    csv.field_size_limit(_FIELD)
    rows = iter(lines)
    first = next(rows, "").removeprefix("\ufeff")
    if first.lower().startswith("sep="):  # by Excel, for Excel
        first = next(rows, "")
    # An outside file: quoted line breaks in the names of columns are not met.
    delimiter = told.delimiter or max(DELIMITERS, key=first.count)
    header = [each.strip() for cells in csv.reader([first], delimiter=delimiter) for each in cells]
    places = _places(header, told.named, name)
    log = EventLog(name)
    read = list(_rows(rows, delimiter, len(header), log))
    if not read and not log.bad:
        raise InvalidRequest(f"{name} has no row below the names of its columns")
    when = TimeReader.found([row[places["at"]] for _, row in read], told.time_format, name)
    joined = Lifecycle(log)
    for line, row in read:
        try:
            joined.add(_event(row, header, places, when), _cell(row, places, "lifecycle"))
        except ValueError as error:
            log.bad.append(BadRow(line, str(error)))
    joined.end()
    return require_events(log)


def require_events(log: EventLog) -> EventLog:
    """The log, if there is anything in it.

    Raises:
        InvalidRequest: if there is not, and nothing is named as left out.
    """
    if not log.events and not log.bad:
        raise InvalidRequest(f"{log.name} has no activity that was completed in a case")
    return log


def _rows(
    lines: Iterator[str], delimiter: str, width: int, log: EventLog
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            log.bad.append(BadRow(reader.line_num + 1, f"is no CSV: {error}"))
            continue
        line = reader.line_num + 1
        if row is None:
            return
        if len(row) == width:
            yield line, row
        elif row:
            log.bad.append(BadRow(line, f"has {len(row)} cells, and there are {width} columns"))


def _places(header: Sequence[str], named: Mapping[str, str], name: str) -> dict[str, int]:
    plain = [_plain(each) for each in header]
    found: dict[str, int] = {}
    for what, usual in KNOWN.items():
        if what in named:
            if not named[what] and what not in NEEDED:
                continue
            if named[what] not in header:
                raise InvalidRequest(
                    f"{name} has no column {named[what]}; it has: {', '.join(header)}"
                )
            found[what] = header.index(named[what])
            continue
        place = next((plain.index(e) for e in map(_plain, usual.split()) if e in plain), None)
        if place is not None and place not in found.values():
            found[what] = place
    missing = [each for each in NEEDED if each not in found]
    if missing:
        options = " ".join(f"--column {each}=NAME" for each in missing)
        raise InvalidRequest(
            f"{name}: which column is the {' and the '.join(missing)}? It has: "
            f"{', '.join(header) or 'none'}; fix: {options}"
        )
    for what, place in found.items():
        if header.count(header[place]) > 1:
            raise InvalidRequest(
                f"{name} has several columns {header[place]}: which is the {what} is not guessed; "
                "fix: give each a name of its own"
            )
    return found


def _plain(name: str) -> str:
    return "".join(each for each in name.lower() if each.isalnum())


def _event(
    row: Sequence[str], header: Sequence[str], places: Mapping[str, int], when: TimeReader
) -> LoggedEvent:
    taken = set(places.values())
    begun = _cell(row, places, "begun")
    return logged_event(
        _cell(row, places, "case"),
        _cell(row, places, "activity"),
        when.of(_cell(row, places, "at")),
        begun=when.of(begun) if begun else None,
        who=_cell(row, places, "who"),
        cost=_cell(row, places, "cost"),
        facts={
            header[n]: value
            for n, each in enumerate(row)
            if n not in taken and (value := each.strip())
        },
    )


def _cell(row: Sequence[str], places: Mapping[str, int], what: str) -> str:
    return row[places[what]].strip() if what in places else ""


def logged_event(
    case: str,
    activity: str,
    at: datetime,
    *,
    facts: Mapping[str, str],
    begun: datetime | None = None,
    who: str = "",
    cost: str = "",
) -> LoggedEvent:
    """An event, of which what must be there is.

    Raises:
        ValueError: if it is not, or the cost is no number.
    """
    if not case:
        raise ValueError("names no case")
    if not activity:
        raise ValueError("names no activity")
    if begun is not None and begun > at:
        raise ValueError(f"ends at {at.isoformat()}, before it begins at {begun.isoformat()}")
    return LoggedEvent(case, activity, at, begun, who, _money(cost) if cost else None, facts)


def _money(text: str) -> Decimal:
    if re.fullmatch(r"-?\d{1,3},\d{3}", text):
        raise ValueError(f"has a cost that can be read in two ways: {text}")
    # Of a comma and a point the last one parts the decimals.
    comma, point = text.rfind(","), text.rfind(".")
    plain = text.replace(".", "").replace(",", ".") if comma > point else text.replace(",", "")
    try:
        found = Decimal(plain)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise ValueError(f"has a cost that is no number: {text[:40]}")
    return found


class Lifecycle:
    """Joins the start of an activity to its end, where a log has a row of each."""

    def __init__(self, log: EventLog) -> None:
        """Of this log."""
        self.log = log
        self.open: dict[tuple[str, str], list[LoggedEvent]] = {}

    def add(self, event: LoggedEvent, transition: str = "") -> None:
        """One more row. What is neither start nor end (schedule, assign, suspend) is no touch.

        Raises:
            ValueError: if XES knows no such transition.
        """
        transition, waits = transition.lower(), self.open.get((event.case, event.activity), [])
        if transition == _BEGINS:
            self.open.setdefault((event.case, event.activity), []).append(event)
        elif transition in _DONE:
            if waits and event.begun is None and waits[0].at <= event.at:
                event = replace(event, begun=waits.pop(0).at)
            self.log.events.append(event)
        elif transition not in _NO_TOUCH:
            raise ValueError(f"has no lifecycle of XES (start, complete): {transition[:40]}")

    def end(self) -> None:
        """What was begun and not ended is kept as what it is: done at its start."""
        self.log.events.extend(each for begun in self.open.values() for each in begun)


class TimeReader:
    """Reads the times of one log, which are all written alike."""

    def __init__(self, form: str | None) -> None:
        """As `strptime` has it; None is ISO 8601, or seconds since 1970."""
        self.form = form

    @classmethod
    def found(cls, texts: Sequence[str], form: str | None, name: str) -> TimeReader:
        """How times are written that are all written alike, if nobody says it.

        Raises:
            InvalidRequest: if they can be read in two ways.
        """
        if form is not None:
            return cls(form)
        tried = [each for each in texts[:: len(texts) // _TRIED + 1] if each.strip()]
        fits = {each: sum(map(cls(each).fits, tried)) for each in (None, *_FORMATS)}
        most = max(fits.values())
        best = [each for each, count in fits.items() if count == most]
        if most and len(best) > 1:
            ways = " or ".join(f"--time-format '{each}'" for each in best)
            raise InvalidRequest(
                f"{name}: its times, such as {tried[0][:40]}, can be read in two ways; fix: {ways}"
            )
        return cls(best[0] if most else None)

    def fits(self, text: str) -> bool:
        """Whether a text is written so."""
        return fallback(None, lambda: _parsed(text.strip(), self.form)) is not None

    def of(self, text: str) -> datetime:
        """A time; one without a zone is UTC. One of ISO 8601 among others is what it says.

        Raises:
            ValueError: if the text is none.
        """
        text = text.strip()
        for form in dict.fromkeys((self.form, None)):
            try:
                at = _parsed(text, form)
                return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
            except (ValueError, OverflowError):
                continue
        raise ValueError(f"has a time that cannot be read: {text[:40]}" if text else "has no time")


def _parsed(text: str, form: str | None) -> datetime:
    if form is None:
        if (text.isdecimal() and len(text) != _DAY) or "." in text[:11]:
            return _since_1970(text)
        zone = text[-4:] if text[-4:].upper() in _ZONES else ""
        return datetime.fromisoformat(f"{text.removesuffix(zone)}Z" if zone else text)
    # A zone in the format is kept, and a time without one is UTC: see of.
    return datetime.strptime(text, form)  # noqa: DTZ007


def _since_1970(text: str) -> datetime:
    """A number as a moment. Read as a date without signs it would be one of 1712, say."""
    found = _EPOCH.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return datetime.fromtimestamp(float(text) / (1_000 if found[2] else 1), UTC)
