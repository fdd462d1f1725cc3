"""The values that a policy file is written in: durations, shares, limits, people, days, fields.

Each is read from what the file says, or refused with a fix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal, cast, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from handrail.actions import WHOLE
from handrail.policy.business_hours import MIDNIGHT

STUCK_AFTER = timedelta(minutes=10)
"""After how long a step that goes on failing is stuck, unless the policy says otherwise."""

Tripping = Literal["refusals", "failures", "in doubt", "roll-backs", "incidents"]

WINDOWS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=31),
}
"""The windows of limits, by name. They roll: any 31 days hold a month of the calendar."""

_YEAR = timedelta(days=366)
_DURATION = re.compile(r"(?=\d)" + "".join(rf"(?:(\d{{1,6}}){u})?" for u in "dhms"), re.ASCII)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)%", re.ASCII)
_ADDRESS = re.compile(r"[^@\s<>,;:]+@[^@\s<>,;:]+")
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ZONE = re.compile(r"UTC|[A-Z][A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+", re.ASCII)
_WINDOW = r"[a-z]+|[0-9dhms]+"
_PATH = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_AMOUNT = r"\d{1,18}(?:\.\d{1,6})?"
_UNIT = r"(?!per )[A-Za-z]{1,10}"
_CAP = re.compile(rf"({_AMOUNT})(?: ({_UNIT}))? per ({_WINDOW})(?: per ({_PATH}))?", re.ASCII)
_TRIP = re.compile(rf"(\d{{1,9}}) ([a-z -]+?) per ({_WINDOW})", re.ASCII)
_FIELD = re.compile(_PATH, re.ASCII)
_NUMBER = re.compile(r"\d{1,6}(?:\.\d{1,6})?", re.ASCII)
_TRIPS: tuple[Tripping, ...] = get_args(Tripping)
_WHOLE_WATCHED = ("confidence", "hour", "rate", "mix")
_HOW = "minute, hour, day, week, month, or a duration such as 15m"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WORDS_AT_LEAST = 3
_SHOWN = 60


def wrong(what: str, fix: str) -> PydanticCustomError:
    """A value that does not fit: what is wrong, and the fix."""
    return PydanticCustomError("policy", "{what}", {"what": what, "fix": fix})


def shown(value: object) -> str:
    """A value of the file, on one short line."""
    text = "" if value is None else " ".join(str(value).split())
    return f"{text[:_SHOWN]}..." if len(text) > _SHOWN else text or "nothing"


def duration(value: object) -> timedelta:
    """Read `30m`, `8h`, `2d` or `1h30m`.

    Raises:
        PydanticCustomError: if it is something else, nothing, or more than a year.
    """
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong(f"{shown(value)} is not a duration", "write it like 30m, 8h, 2d or 1h30m")
    names = ("days", "hours", "minutes", "seconds")
    length = timedelta(**{n: int(v or 0) for n, v in zip(names, found.groups(), strict=True)})
    if not timedelta(0) < length <= _YEAR:
        raise wrong(f"{value} is not between a second and a year", "write it like 30m or 8h")
    return length


def written(length: timedelta) -> str:
    """A duration as a policy file has it: `30m`, `1h30m`, `7d`."""
    seconds = int(length.total_seconds())
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def share(value: object) -> int:
    """Read `25%` or `0.5%`, in hundredths of a percent.

    Raises:
        PydanticCustomError: if it is something else, or more than all.
    """
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    part = int(Decimal(found[1]) * 100) if found else -1
    if not 0 <= part <= WHOLE:
        raise wrong(f"{shown(value)} is not a share of the cases", "write it like 25% or 0.5%")
    return part


def _person(value: object) -> str:
    if not (isinstance(value, str) and _ADDRESS.fullmatch(value.strip())):
        raise wrong(f"{shown(value)} is not an address", "write it like ana@example.com")
    return value.strip()


def _reason(value: object) -> str:
    if not (isinstance(value, str) and len(value.split()) >= _WORDS_AT_LEAST):
        fix = "say in words why this may run without a human"
        raise wrong(f"{shown(value)} is no reason", fix)
    return value


def _many(value: Any) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else [value]


def _names(value: object) -> tuple[str, ...]:
    """One name, or a list of different ones."""
    many = _many(value)
    names = [str(name) for name in many if isinstance(name, str) and name]
    if value is not None and (not names or len(names) != len(many)):
        raise wrong(f"{shown(value)} names no role", "write a role, or a list such as [a, b]")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise wrong(f"{twice[0]} stands twice", "each role is asked once: remove one")
    return tuple(names)


def _zone(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    # Only names of the IANA database: what a machine calls localtime differs from machine
    # to machine.
    if not _ZONE.fullmatch(text) or not _known(text):
        raise wrong(f"{shown(value)} is no time zone", _near_zone(text))
    return text


@cache
def _known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


def _near_zone(text: str) -> str:
    names = {name.casefold(): name for name in available_timezones() if _ZONE.fullmatch(name)}
    cities: Mapping[str, str] = {key.rpartition("/")[2]: name for key, name in names.items()}
    for known in (names, cities):
        close = get_close_matches(text.casefold(), known, n=1, cutoff=0.75)
        if close:
            return f"did you mean {known[close[0]]}?"
    return "write its name in the IANA database, such as Europe/Berlin or UTC"


def _days(value: object) -> frozenset[int]:
    """Weekdays, Monday is 0: `mon-fri`, `sun-thu`, `mon, wed, fri` or a list of these."""
    found: set[int] = set()
    for part in (part for each in _many(value) for part in str(each).lower().split(",")):
        first, dash, last = (name.strip() for name in part.partition("-"))
        if first not in _DAYS or (last if dash else first) not in _DAYS:
            fix = f'write it like mon-fri or "mon, wed, fri"; the days are {", ".join(_DAYS)}'
            raise wrong(f"{shown(part)} is no day of the week", fix)
        begin = _DAYS.index(first)
        length = (_DAYS.index(last if dash else first) - begin) % len(_DAYS)
        found |= {(begin + n) % len(_DAYS) for n in range(length + 1)}
    if not found:
        raise wrong("no day is named", "write it like mon-fri")
    return frozenset(found)


def _time(value: object) -> int:
    """A time of the day, in minutes after its beginning."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong(f"{shown(value)} is no time of the day", 'write it like "09:00" or "17:30"')
    return int(found[1]) * 60 + int(found[2]) if found[1] else MIDNIGHT


def _date(value: object) -> date:
    try:
        return date.fromisoformat(
            value if isinstance(value, str) and _DATE.fullmatch(value) else ""
        )
    except ValueError:
        raise wrong(f"{shown(value)} is no date", "write it like 2026-12-25") from None


@dataclass(frozen=True)
class Cap:
    """At most `amount`, in `unit` if one is named, in any `window`, for each value of `per`."""

    amount: Decimal
    unit: str | None
    window: timedelta
    named: str
    per: str | None = None

    @property
    def text(self) -> str:
        """The cap as an operator would write it."""
        unit = f" {self.unit}" if self.unit else ""
        per = f" per {self.per}" if self.per else ""
        return f"{self.amount:f}{unit} per {self.named}{per}"


@dataclass(frozen=True)
class Trip:
    """After `count` of `what` in `window` a breaker trips."""

    what: Tripping
    count: int
    window: timedelta
    named: str


def _window(named: str) -> timedelta:
    if named in WINDOWS:
        return WINDOWS[named]
    if named[0].isdigit():
        return duration(named)
    raise wrong(f"{named} is no window of time", f"write {_HOW}")


def _cap(value: object) -> Cap:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    found = _CAP.fullmatch(text)
    if found is None:
        fix = f"write it like 2000 per day or 500 EUR per hour per customer ({_HOW})"
        raise wrong(f"{shown(value)} is not a limit", fix)
    amount, unit, named, per = found.groups()
    return Cap(Decimal(amount), unit, _window(named), named, per)


def _caps(value: object) -> tuple[Cap, ...]:
    """One cap, or a list of different ones."""
    caps = tuple(_cap(each) for each in _many(value))
    if not caps:
        raise wrong("no limit is named", "write it like 2000 per day, or remove it")
    for position, cap in enumerate(caps):
        same = [c for c in caps[:position] if (c.unit, c.window, c.per) == _kind(cap)]
        if same:
            raise wrong(f"{cap.text} and {same[0].text} limit the same", "keep the lower one")
    return caps


def _kind(cap: Cap) -> tuple[str | None, timedelta, str | None]:
    return cap.unit, cap.window, cap.per


def _trip(value: object) -> Trip:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    found = _TRIP.fullmatch(text)
    if found is None or found[2] not in _TRIPS or int(found[1]) < 1:
        what = ", ".join(_TRIPS)
        fix = f"write it like 5 refusals per hour (of {what}; {_HOW})"
        raise wrong(f"{shown(value)} is nothing that trips a breaker", fix)
    return Trip(cast("Tripping", found[2]), int(found[1]), _window(found[3]), found[3])


def _fields(value: object) -> tuple[str, ...]:
    """One field, or a list of different ones."""
    many = _many(value)
    names = [name for name in many if isinstance(name, str) and _FIELD.fullmatch(name)]
    if not names or len(names) != len(many):
        fix = "write fields of the action, or evidence.field, such as [customer, amount]"
        raise wrong(f"{shown(value)} names no field", fix)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise wrong(f"{twice[0]} stands twice", "remove one")
    return tuple(names)


Watched = tuple[str, str]
"""What is watched: `amount` or `target` with a field, or one of the others with nothing."""


def _watched(value: object) -> tuple[Watched, ...]:
    found = tuple(_watch(each) for each in _many(value))
    twice = [each for each in found if found.count(each) > 1]
    if twice:
        raise wrong(f"{' '.join(twice[0]).strip()} stands twice", "remove one")
    if not found:
        raise wrong("nothing is watched", "write it like [amount, rate], or remove normal:")
    return found


def _watch(value: object) -> Watched:
    if isinstance(value, str) and value in _WHOLE_WATCHED:
        return value, ""
    if isinstance(value, str) and _FIELD.fullmatch(value):
        return "amount", value
    given: object = value
    named = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    target = named.get("target")
    if len(named) == 1 and isinstance(target, str) and _FIELD.fullmatch(target):
        return "target", target
    kinds = ", ".join(_WHOLE_WATCHED)
    fix = f"write a field that is a number, target: and a field, or one of {kinds}"
    raise wrong(f"{shown(given)} cannot be watched", fix)


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be off and count as the same; without `amount` the field is ignored.

    `share`: of what people wrote, 0..1; else in the unit of the field.
    """

    amount: Decimal | None
    share: bool = False


def _tolerance(value: object) -> Tolerance:
    if value == "ignore":
        return Tolerance(None)
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if _NUMBER.fullmatch(text.removesuffix("%")):
        part = text.endswith("%")
        return Tolerance(Decimal(text.removesuffix("%")) / (100 if part else 1), part)
    raise wrong(f"{shown(value)} is no tolerance", "write ignore, or how far off: 5% or 0.01")


def _positive(value: object) -> Decimal:
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not _NUMBER.fullmatch(text) or Decimal(text) <= 0:
        raise wrong(f"{shown(value)} is no positive number", "write it like 4 or 3.5")
    return Decimal(text)


_Amount = Annotated[str, Field(pattern=rf"^{_NUMBER.pattern}$")] | int | float
_Texts = str | list[str]
_Written = Annotated[str, Field(pattern=r"^(?=\d)(\d+d)?(\d+h)?(\d+m)?(\d+s)?$")]
_Percent = Annotated[str, Field(pattern=rf"^{_PERCENT.pattern}$")]
_Address = Annotated[str, Field(pattern=rf"^\s*{_ADDRESS.pattern}\s*$")]
_Clock = Annotated[str, Field(pattern=rf"^({_TIME.pattern})$")]
_Limits = Annotated[str, Field(pattern=r"^[0-9.]+ .*\bper ")]

# The second type is what a file has, which its JSON Schema says.
Duration = Annotated[timedelta, BeforeValidator(duration, json_schema_input_type=_Written)]
Person = Annotated[str, BeforeValidator(_person, json_schema_input_type=_Address)]
Reason = Annotated[str, BeforeValidator(_reason)]
Share = Annotated[int, BeforeValidator(share, json_schema_input_type=_Percent)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names, json_schema_input_type=_Texts | None)]
Zone = Annotated[str, BeforeValidator(_zone)]
Days = Annotated[frozenset[int], BeforeValidator(_days, json_schema_input_type=_Texts)]
TimeOfDay = Annotated[int, BeforeValidator(_time, json_schema_input_type=_Clock)]
Day = Annotated[date, BeforeValidator(_date)]
Caps = Annotated[
    tuple[Cap, ...], BeforeValidator(_caps, json_schema_input_type=_Limits | list[_Limits])
]
Trips = Annotated[Trip, BeforeValidator(_trip, json_schema_input_type=_Limits)]
Fields = Annotated[tuple[str, ...], BeforeValidator(_fields, json_schema_input_type=_Texts)]
Watch = Annotated[tuple[Watched, ...], BeforeValidator(_watched, json_schema_input_type=Any)]
Positive = Annotated[Decimal, BeforeValidator(_positive, json_schema_input_type=_Amount)]
Within = Annotated[Tolerance, BeforeValidator(_tolerance, json_schema_input_type=str | _Amount)]
