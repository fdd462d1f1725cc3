"""Triggers: what starts cases of an agent by itself, as its author declares it; without effects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from temporalio.client import (
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    ScheduleSpec,
)

from handrail.actions import Event, person
from handrail.client import case_id, iso
from handrail.exceptions import CaseError, ConfigurationError
from handrail.policy import written
from handrail.runtime.cron import cron_fault

LONGEST_NAME = 60

_NAME = re.compile(r"[\w][\w.-]*")

OVERLAPS = {
    "skip": ScheduleOverlapPolicy.SKIP,
    "buffer_one": ScheduleOverlapPolicy.BUFFER_ONE,
    "buffer_all": ScheduleOverlapPolicy.BUFFER_ALL,
    "allow_all": ScheduleOverlapPolicy.ALLOW_ALL,
}
"""What becomes of a time while the case before goes on, as Temporal names it."""


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """What starts cases of an agent by itself, under a name of its own."""

    name: str

    def __post_init__(self) -> None:
        """See that the name can be one.

        Raises:
            ConfigurationError: if it cannot.
        """
        if not _NAME.fullmatch(self.name) or len(self.name) > LONGEST_NAME:
            raise ConfigurationError(
                f"{self.name!r} cannot name a trigger: use letters, digits, `-`, `_` and `.`, at "
                f"most {LONGEST_NAME}"
            )


@dataclass(frozen=True, kw_only=True)
class Form(Trigger):
    """A form in the inbox, made from the event's model, for more people than the policy names.

    `people`: addresses, `@example.com` for everybody of a domain, or `*` for all who may sign in.
    """

    people: tuple[str, ...]

    def is_for(self, who: str) -> bool:
        """Whether somebody may ask by it."""
        who = person(who)
        listed = {each if each.startswith("@") else person(each) for each in self.people}
        return not listed.isdisjoint({"*", who, f"@{who.rpartition('@')[2]}"})


@dataclass(frozen=True, kw_only=True)
class Schedule(Trigger):
    """Cases at certain times: one of `every`, `cron` and `calendars` (Temporal's own).

    `event` makes the event of the time that a case stands for, which is given in `time_zone`: the
    same time must give the same key, for a back-fill to find the case. `jitter`: a case begins at
    most so much later. `overlap`: what becomes of a time while the case before goes on: skipped,
    kept until its end (one, or all), or begun beside it. `catch_up`: how late a time may still be
    begun, when the server or the network was away.
    """

    event: Callable[[datetime], Event]
    every: timedelta | None = None
    cron: str | None = None
    calendars: Sequence[ScheduleCalendarSpec] = ()
    time_zone: str = "UTC"
    jitter: timedelta = timedelta(0)
    overlap: Literal["skip", "buffer_one", "buffer_all", "allow_all"] = "skip"
    catch_up: timedelta = timedelta(days=1)

    def __post_init__(self) -> None:
        """See that it can be a schedule.

        Raises:
            ConfigurationError: if it cannot, with what to do.
        """
        super().__post_init__()
        if [self.every is not None, self.cron is not None, bool(self.calendars)].count(True) != 1:
            self._fault("give one of every=, cron= and calendars=")
        if self.every is not None and self.every < timedelta(seconds=1):
            self._fault("every= must be a second or more")
        if self.cron is not None and (wrong := cron_fault(self.cron)) is not None:
            self._fault(f"{self.cron!r} is no cron string, such as `30 7 * * MON-FRI`{wrong}")
        if self.overlap not in OVERLAPS:
            self._fault(f"overlap= is one of {', '.join(OVERLAPS)}")
        if not all(isinstance(each, timedelta) for each in (self.jitter, self.catch_up)):  # pyright: ignore[reportUnnecessaryIsInstance]
            self._fault("jitter= and catch_up= are times, such as timedelta(minutes=5)")
        if self.jitter < timedelta(0) or self.catch_up < timedelta(seconds=10):
            self._fault("jitter= cannot be negative, and catch_up= is ten seconds or more")
        try:
            ZoneInfo(self.time_zone)
        except (OSError, ValueError, LookupError):
            self._fault(f"there is no time zone {self.time_zone!r}; such as Europe/Vienna")

    def _fault(self, what: str) -> None:
        raise ConfigurationError(f"schedule {self.name}: {what}")

    def event_at(self, at: datetime) -> Event:
        """The event of the case that stands for this time."""
        return self.event(at.astimezone(ZoneInfo(self.time_zone)))

    def spec(self) -> ScheduleSpec:
        """When, as Temporal takes it."""
        return ScheduleSpec(
            calendars=self.calendars,
            intervals=[ScheduleIntervalSpec(self.every)] if self.every is not None else [],
            cron_expressions=[self.cron] if self.cron is not None else [],
            time_zone_name=self.time_zone,
        )

    def in_words(self) -> str:
        """When, in words."""
        if self.every is not None:
            return f"every {written(self.every)}"
        when = f"cron {self.cron}" if self.cron is not None else f"{len(self.calendars)} calendars"
        return f"{when}, {self.time_zone}"


def triggers_of(agent: str, given: Iterable[Trigger]) -> Mapping[str, Trigger]:
    """The triggers of an agent by their names.

    Raises:
        ConfigurationError: if one is none, or two have one name.
    """
    found: dict[str, Trigger] = {}
    for each in given:
        if not isinstance(each, Trigger):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{agent}: {each!r} is no trigger, such as Schedule(...)")
        if each.name in found:
            raise ConfigurationError(f"{agent}: two triggers are called `{each.name}`; rename one")
        found[each.name] = each
    return found


def schedules_of(triggers: Mapping[str, Trigger]) -> dict[str, Schedule]:
    """The schedules among the triggers of an agent."""
    return {name: each for name, each in triggers.items() if isinstance(each, Schedule)}


def trigger_faults(agent: str, kind: type[Event], triggers: Mapping[str, Trigger]) -> Iterator[str]:
    """What is wrong with the events that its schedules make, tried for a time."""
    for each in schedules_of(triggers).values():
        if (fault := _event_fault(agent, kind, each)) is not None:
            yield fault


def _event_fault(agent: str, kind: type[Event], schedule: Schedule) -> str | None:
    named, at = f"{agent}: schedule {schedule.name}", datetime.now(UTC).replace(microsecond=0)
    try:
        event = event_of_kind(schedule, at, kind)
        case_id(agent, event.key, type(event).__name__)
        again = event_of_kind(schedule, at, kind).key
    # A `datetime` is the one argument it gets.
    except TypeError as error:
        fix = f"fix: `def ...(at: datetime) -> {kind.__name__}`"
        return f"{named} makes no event of {iso(at)}: {error}; {fix}"
    # The author's own code may raise anything.
    except Exception as error:  # noqa: BLE001
        return f"{named} makes no event of {iso(at)}: {type(error).__name__}: {error}"
    if again != event.key:
        what = f"makes another key of {iso(at)} each time ({event.key}, then {again})"
        return f"{named} {what}; fix: make it of the time that it is given"
    return None


def event_of_kind(schedule: Schedule, at: datetime, kind: type[Event]) -> Event:
    """The event of the case that stands for a time, which its agent takes.

    Raises:
        CaseError: if the author's code makes anything else.
    """
    event = schedule.event_at(at)
    if not isinstance(event, kind):
        made = type(event).__name__
        raise CaseError(f"it makes {made}; fix: let it make a {kind.__name__}")
    return event
