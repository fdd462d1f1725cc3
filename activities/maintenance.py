"""The steps of the maintenance agent, which plans work on machines before they fail.

It reads the plant's historian (`MAINTENANCE_PLANT_URL`) and books windows in a CalDAV calendar
(`MAINTENANCE_CALENDAR_URL`); the stores agent sees to the spares. How near a machine is to its
failure is told by trees (`maintenance_risk`), learnt once from the plant's archive and kept in the
file `MAINTENANCE_MODEL`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, Field
from typing_extensions import override

from activities.maintenance_risk import HOURS, WARN, filled, signs
from activities.maintenance_systems import (
    GONE,
    arrays,
    call,
    compose,
    learnt,
    parse_calendar,
    uid_of,
)
from handrail import Action, Decision, Effect, Event, Final, decide, read, write

SLOTS, CREWS = (6, 10, 14, 18), 3
"""When a window may begin, in hours of the day, and how many at once."""
MOST_MISSING = 0.5
"""Share of readings that may be missing: with more nothing is said of a machine."""

Work = Literal["bearing", "seal", "motor", "inspection"]
"""The part that is put in, or a look at the machine by a person."""
PLANT_AT = (5.2, 20.8)
"""Where in the city the plant is, in km."""
AHEAD, OPEN = 60, 120
"""Minutes from now on from which a van may bring something, and for how long."""

OF_THE_DAY = Field(json_schema_extra={"unit": "min after midnight"})


class Look(Event):
    """Look at a machine, because its sensors say so; without one at all of them, by schedule."""

    at: AwareDatetime
    machine: int | None = Field(default=None, ge=0)
    faults: str | None = Field(default=None, max_length=200)
    """What is wrong with what it makes, where that is why: its order needs no wear then."""

    @property
    @override
    def key(self) -> str:
        what = "round" if self.machine is None else f"m{self.machine}"
        return f"{what}-{self.at:%Y%m%dT%H}{'-faults' if self.faults else ''}"


class Seen(BaseModel, frozen=True):
    """What the sensors of a machine say: signs of wear, and what could not be read."""

    machine: int
    signs: list[float]
    missing: float
    """Share of the week's readings that did not come, or were no numbers."""


class Window(BaseModel, frozen=True):
    """Work on a machine in the calendar."""

    uid: str
    machine: int
    part: Work
    start: AwareDatetime


class BookWindow(Action):
    """Book four hours of work on a machine: to put a new part in, or to inspect it."""

    machine: int
    part: Work
    start: AwareDatetime


class Deliver(Action):
    """Have a van bring the spare of a window to the plant."""

    window: str
    day: str
    early: Annotated[int, OF_THE_DAY]
    late: Annotated[int, OF_THE_DAY]


class Road(BaseModel, frozen=True):
    """The vans' day, as the dispatch service has it; the evidence for a delivery."""

    day: str
    now: Annotated[int, OF_THE_DAY]
    shift: Annotated[int, OF_THE_DAY]


class Wear(BaseModel, frozen=True):
    """The evidence for a window: what rules and approvers see."""

    risk: float
    missing: float
    faulty: bool = False
    """Whether what it makes is faulty."""
    planned: AwareDatetime | None = None
    """Work on this machine that is in the calendar already."""
    day: str = ""
    """The first on which a crew is free."""
    model: str
    """Digest of what the judgement was learnt by."""


# Reading


@read
async def watch(machine: int) -> Seen:
    """Read a machine's week from the historian, and what in it tells of wear."""
    found = await call("PLANT", "GET", f"/machines/{machine}/readings?hours={HOURS.long}")
    readings, missing = filled(arrays(found)["readings"].astype(float))
    if len(readings) < HOURS.long:
        return Seen(machine=machine, signs=[], missing=1.0)
    return Seen(machine=machine, signs=signs(readings, HOURS)[1][-1].tolist(), missing=missing)


@read(timeout=timedelta(minutes=3))
async def suspects() -> list[int]:
    """Read every machine's week: those of which it tells that a failure is near."""
    judge = await asyncio.to_thread(learnt)
    count = (await call("PLANT", "GET", "/clock")).json()["machines"]
    seen = [await watch(machine) for machine in range(count)]
    near = [each for each in seen if each.signs and each.missing <= MOST_MISSING]
    return [e.machine for e in near if judge.risk(np.array([e.signs]))[0] >= WARN]


@read
async def windows() -> list[Window]:
    """Read the calendar."""
    found = parse_calendar((await call("CALENDAR", "GET", "")).text)
    return [Window.model_validate(each) for each in found]


@read
async def road() -> Road | None:
    """The vans' day; None where crews fetch spares themselves (`MAINTENANCE_SPARES_BY`)."""
    if os.environ.get("MAINTENANCE_SPARES_BY") != "routes":
        return None
    return Road.model_validate((await call("DISPATCH", "GET", "/day")).json())


# Deciding


@decide(timeout=timedelta(minutes=3))
def plan_work(look: Look, seen: Seen, booked: list[Window]) -> Decision[BookWindow, Wear]:
    """Book the first free window after tomorrow's this hour, if a failure is near.

    A machine that has work ahead, or whose sensors are mostly silent, is left alone; one whose work
    is faulty is inspected.
    """
    judge = learnt()
    can = bool(seen.signs) and seen.missing <= MOST_MISSING
    rows = np.array([seen.signs])
    risk = round(float(judge.risk(rows)[0]), 3) if can else 0.0
    ahead = [w.start for w in booked if w.machine == seen.machine and w.start > look.at]
    start = first_slot(look.at, booked)
    wear = Wear(
        risk=risk,
        missing=seen.missing,
        faulty=look.faults is not None,
        planned=min(ahead, default=None),
        day=str(start.date()),
        model=judge.name,
    )
    if look.faults and risk < WARN and not ahead:
        inspect = BookWindow(machine=seen.machine, part="inspection", start=start)
        return Decision(action=inspect, rationale=look.faults, confidence=1.0, evidence=wear)
    if not can:
        why = f"{seen.missing:.0%} of the readings are missing: nothing can be said"
        return Decision(action=None, rationale=why, confidence=0.0, evidence=wear)
    if risk < WARN or ahead:
        why = f"work is planned for {ahead[0]:%Y-%m-%d %H:%M}" if ahead else "no failure is near"
        return Decision(action=None, rationale=why, confidence=1 - risk, evidence=wear)
    part: Any = judge.which(rows)[0]
    action = BookWindow(machine=seen.machine, part=part, start=start)
    why = f"a failure of the {part} within four days has a probability of {risk:.0%}"
    return Decision(action=action, rationale=why, confidence=risk, evidence=wear)


@decide
async def by_van(window: Window, on: Road) -> Decision[Deliver, Road]:
    """Have the spare brought today, unless the vans are on their way home."""
    early = on.now + AHEAD
    if early + OPEN > on.shift:
        return Decision(action=None, rationale="no van today", confidence=1.0, evidence=on)
    action = Deliver(window=window.uid, day=on.day, early=early, late=early + OPEN)
    why = f"it is wanted by {window.start:%Y-%m-%d %H:%M}"
    return Decision(action=action, rationale=why, confidence=1.0, evidence=on)


def first_slot(now: datetime, booked: Sequence[Window]) -> datetime:
    """The first window a day or more from now that a crew is free for."""
    taken = [window.start for window in booked]
    day = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    slots = (day + timedelta(days=d, hours=h) for d in range(365) for h in SLOTS)
    return next(s for s in slots if s >= now + timedelta(days=1) and taken.count(s) < CREWS)


# Writing


@write(idempotent=True)
async def cancel_window(action: BookWindow, effect: Effect) -> None:
    """Take a window out of the calendar, as this agent put it in; who moved it keeps it."""
    if effect.undoes is None:
        raise Final("cancel_window only ever takes a window of this agent back")
    there = await call("CALENDAR", "GET", f"{uid_of(effect.undoes.key)}.ics", allow=GONE)
    if there.status_code in GONE:
        return
    window = Window.model_validate(parse_calendar(there.text)[0])
    if window.start != action.start:
        raise Final(f"somebody has moved it to {window.start:%Y-%m-%d %H:%M}: it is theirs")
    match = {"If-Match": there.headers["ETag"]}
    await call("CALENDAR", "DELETE", f"{window.uid}.ics", headers=match, allow=GONE)


async def as_booked(action: BookWindow, effect: Effect, window: Window) -> str | None:
    """Read the window back: what is not as it was meant, in words."""
    del effect
    there = await call("CALENDAR", "GET", f"{window.uid}.ics", allow=GONE)
    if there.status_code in GONE:
        return "the calendar does not have it"
    has = Window.model_validate(parse_calendar(there.text)[0])
    meant = (action.machine, action.part, action.start)
    return None if (has.machine, has.part, has.start) == meant else f"the calendar has {has}"


@write(undo=cancel_window, idempotent=True, verify=as_booked)
async def book_window(action: BookWindow, effect: Effect) -> Window:
    """Put a window into the calendar under the effect's own name, if nothing has that name."""
    uid = uid_of(effect.key)
    headers = {"If-None-Match": "*", "Content-Type": "text/calendar"}
    content = compose(action.machine, action.part, action.start, uid)
    await call("CALENDAR", "PUT", f"{uid}.ics", headers=headers, content=content, allow={412})
    return Window(uid=uid, machine=action.machine, part=action.part, start=action.start)


@write(idempotent=True)
async def call_off(action: Deliver, effect: Effect) -> None:
    """Call a delivery off, if it was ordered; what a van has brought stays."""
    del action
    if effect.undoes is None:
        raise Final("call_off only ever takes a delivery of this agent back")
    body, headers = {"of": effect.undoes.key}, {"Idempotency-Key": effect.key}
    await call("DISPATCH", "POST", "/cancellations", json=body, headers=headers)


@write(undo=call_off, idempotent=True)
async def deliver(action: Deliver, effect: Effect) -> str:
    """Order a delivery under the effect's key, which the dispatch service takes once."""
    body = {"at": PLANT_AT, "early": action.early, "late": action.late}
    headers = {"Idempotency-Key": effect.key}
    answer = await call("DISPATCH", "POST", "/orders", json=body, headers=headers)
    return str(answer.json()["order"])
