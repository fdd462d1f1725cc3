"""The parts of a policy file that guard and watch writes: their models, and how they are read.

Each value is read whole by one function, so that what is wrong is said where it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from handrail.policy.values import WINDOWS, Duration, Person, Share, duration, share, shown, wrong

Text = Annotated[str, Field(min_length=1, max_length=2_000)]
LevelName = Literal["stop", "pilot", "human_led", "supervised", "full"]
Risk = Literal["low", "medium", "high", "critical"]
Tripping = Literal["refusals", "failures", "in doubt", "roll-backs", "incidents"]

_WINDOW = r"[a-z]+|[0-9dhms]+"
_PATH = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_AMOUNT = r"\d{1,18}(?:\.\d{1,6})?"
_UNIT = r"(?!per )[A-Za-z]{1,10}"
_CAP = re.compile(rf"({_AMOUNT})(?: ({_UNIT}))? per ({_WINDOW})(?: per ({_PATH}))?", re.ASCII)
_TRIP = re.compile(rf"(\d{{1,9}}) ([a-z -]+?) per ({_WINDOW})", re.ASCII)
_FIELD = re.compile(_PATH, re.ASCII)
_NUMBER = re.compile(r"\d{1,6}(?:\.\d{1,6})?", re.ASCII)
_TRIPS = ("refusals", "failures", "in doubt", "roll-backs", "incidents")
_WHOLE_WATCHED = ("confidence", "hour", "rate", "mix")
_HOW = "minute, hour, day, week, month, or a duration such as 15m"


class Doc(BaseModel):
    """A part of a policy file: frozen, without keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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


def _listed(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else [value]


def _caps(value: object) -> tuple[Cap, ...]:
    """One cap, or a list of different ones."""
    caps = tuple(_cap(each) for each in _listed(value))
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
    many = _listed(value)
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
    found = tuple(_watch(each) for each in _listed(value))
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


def _positive(value: object) -> Decimal:
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not _NUMBER.fullmatch(text) or Decimal(text) <= 0:
        raise wrong(f"{shown(value)} is no positive number", "write it like 4 or 3.5")
    return Decimal(text)


def _review(value: object) -> object:
    if isinstance(value, dict):
        return cast("dict[str, object]", value)
    share(value)  # what is wrong with it is said where it stands
    return {"random": value}


Caps = Annotated[tuple[Cap, ...], BeforeValidator(_caps)]
After = Annotated[Trip, BeforeValidator(_trip)]
Fields = Annotated[tuple[str, ...], BeforeValidator(_fields)]
Watch = Annotated[tuple[Watched, ...], BeforeValidator(_watched)]
Positive = Annotated[Decimal, BeforeValidator(_positive)]


class RefuseDoc(Doc):
    """A rule that refuses; in `only`, one without which the write is refused."""

    when: Text
    why: Text


class RiskDoc(Doc):
    """The most that any setting may come to, for each class of risk."""

    low: LevelName | None = None
    medium: LevelName | None = None
    high: LevelName | None = None
    critical: LevelName | None = None


class DuplicatesDoc(Doc):
    """Which fields make a write the same as an earlier one, and for how long."""

    same: Fields
    within: Duration


class NormalDoc(Doc):
    """What is learned of an agent's writes, from how many of them, and how far off is odd."""

    learn: Annotated[StrictInt, Field(ge=2, le=100_000)] = 30
    watch: Watch
    z: Positive = Decimal(4)


class ReviewDoc(Doc):
    """Which share of what ran alone is looked at afterwards, and by whom."""

    random: Share = 0
    unusual: Share = 0
    role: str | None = Field(default=None, alias="for")


class ControlDoc(Doc):
    """Who may turn an agent's autonomy, and for which levels it takes two of them."""

    people: Annotated[tuple[Person, ...], Field(min_length=1)] | None = None
    two: tuple[LevelName, ...] = ()


class BreakerDoc(Doc):
    """After what the agent's autonomy is lowered, and to which level."""

    after: After
    then: LevelName


class BudgetsDoc(Doc):
    """What the agent's own thinking may cost."""

    tokens: Caps = ()
    cost: Caps = ()


Review = Annotated[ReviewDoc, BeforeValidator(_review)]


def keys_of(above: list[Any]) -> type[BaseModel] | None:
    """The model whose keys may stand at a place of the file; None where it is none of these."""
    match above:
        case ["actions", _, "refuse" | "only", _]:
            return RefuseDoc
        case ["actions", _, "duplicates"]:
            return DuplicatesDoc
        case ["actions", _, "normal"]:
            return NormalDoc
        case ["actions", _, "review"]:
            return ReviewDoc
        case ["caps"]:
            return RiskDoc
        case ["control"]:
            return ControlDoc
        case ["breakers", _]:
            return BreakerDoc
        case ["budgets"]:
            return BudgetsDoc
        case _:
            return None
