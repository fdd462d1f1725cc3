"""The steps of the maintenance agent, which plans work on machines before they fail.

It reads the plant's historian (`MAINTENANCE_PLANT_URL`), books windows in a CalDAV calendar
(`MAINTENANCE_CALENDAR_URL`), and reserves and orders spares (`MAINTENANCE_STORES_URL`). How near a
machine is to its failure is told by trees (`maintenance_risk`), learnt once from the plant's
archive and kept in the file `MAINTENANCE_MODEL`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

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
    reserved,
    uid_of,
)
from handrail import Action, Decision, Effect, Event, Final, decide, read, write

SLOTS, CREWS = (6, 10, 14, 18), 3
"""When a window may begin, in hours of the day, and how many at once."""
MOST_MISSING = 0.5
"""Share of readings that may be missing: with more nothing is said of a machine."""
RESTOCK = {"bearing": 6, "seal": 5, "motor": 2}
"""How many are ordered of a spare, when fewer than two are free."""

Part = Literal["bearing", "seal", "motor"]


class Look(Event):
    """Look at a machine, because its sensors say so; without one at all of them, by schedule."""

    at: AwareDatetime
    machine: int | None = Field(default=None, ge=0)

    @property
    @override
    def key(self) -> str:
        what = "round" if self.machine is None else f"m{self.machine}"
        return f"{what}-{self.at:%Y%m%dT%H}"


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
    part: Part
    start: AwareDatetime


class Shelf(BaseModel, frozen=True):
    """A spare, as the stores have it. Price in EUR."""

    part: Part
    free: int
    ordered: int
    price: Decimal


class BookWindow(Action):
    """Book four hours of work on a machine, to put a new part in."""

    machine: int
    part: Part
    start: AwareDatetime


class Reserve(Action):
    """Reserve a spare for a window."""

    part: Part
    window: str


class Purchase(Action):
    """Order spares from their supplier (EUR)."""

    part: Part
    quantity: int = Field(ge=1)
    cost: Decimal = Field(ge=0, max_digits=10, decimal_places=2)


class Wear(BaseModel, frozen=True):
    """The evidence for a window: what rules and approvers see."""

    risk: float
    missing: float
    planned: AwareDatetime | None = None
    """Work on this machine that is in the calendar already."""
    model: str
    """Digest of what the judgement was learnt by."""


class Need(BaseModel, frozen=True):
    """The evidence for a spare."""

    free: int
    ordered: int
    price: Decimal


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
async def shelf(part: Part) -> Shelf:
    """Ask the stores for a spare."""
    return Shelf.model_validate((await call("STORES", "GET", f"/spares/{part}")).json())


# Deciding


@decide(timeout=timedelta(minutes=3))
def plan_work(look: Look, seen: Seen, booked: list[Window]) -> Decision[BookWindow, Wear]:
    """Book the first free window after tomorrow's this hour, if a failure is near.

    A machine that has work ahead, or whose sensors are mostly silent, is left alone.
    """
    judge = learnt()
    can = bool(seen.signs) and seen.missing <= MOST_MISSING
    rows = np.array([seen.signs])
    risk = round(float(judge.risk(rows)[0]), 3) if can else 0.0
    ahead = [w.start for w in booked if w.machine == seen.machine and w.start > look.at]
    wear = Wear(risk=risk, missing=seen.missing, planned=min(ahead, default=None), model=judge.name)
    if not can:
        why = f"{seen.missing:.0%} of the readings are missing: nothing can be said"
        return Decision(action=None, rationale=why, confidence=0.0, evidence=wear)
    if risk < WARN or ahead:
        why = f"work is planned for {ahead[0]:%Y-%m-%d %H:%M}" if ahead else "no failure is near"
        return Decision(action=None, rationale=why, confidence=1 - risk, evidence=wear)
    part: Any = judge.which(rows)[0]
    action = BookWindow(machine=seen.machine, part=part, start=first_slot(look.at, booked))
    why = f"a failure of the {part} within four days has a probability of {risk:.0%}"
    return Decision(action=action, rationale=why, confidence=risk, evidence=wear)


def first_slot(now: datetime, booked: Sequence[Window]) -> datetime:
    """The first window a day or more from now that a crew is free for."""
    taken = [window.start for window in booked]
    day = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    slots = (day + timedelta(days=d, hours=h) for d in range(365) for h in SLOTS)
    return next(s for s in slots if s >= now + timedelta(days=1) and taken.count(s) < CREWS)


@decide
async def which_spare(window: Window, has: Shelf) -> Decision[Reserve, Need]:
    """Reserve the spare that the window needs, if one is free."""
    need = Need(free=has.free, ordered=has.ordered, price=has.price)
    action = Reserve(part=window.part, window=window.uid) if has.free else None
    why = f"{has.free} free"
    return Decision(action=action, rationale=why, confidence=1.0, evidence=need)


@decide
async def restock(has: Shelf) -> Decision[Purchase, Need]:
    """Order more of a spare of which fewer than two are free, unless some are on their way."""
    need = Need(free=has.free, ordered=has.ordered, price=has.price)
    why = f"{has.free} free, {has.ordered} on their way"
    if has.free >= 2 or has.ordered:  # noqa: PLR2004  # said above
        return Decision(action=None, rationale=why, confidence=1.0, evidence=need)
    count = RESTOCK[has.part]
    action = Purchase(part=has.part, quantity=count, cost=has.price * count)
    return Decision(action=action, rationale=why, confidence=1.0, evidence=need)


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
async def release(action: Reserve, effect: Effect) -> None:
    """Release what was reserved, if it is still."""
    del action
    if effect.undoes is None:
        raise Final("release only ever takes a reservation of this agent back")
    for each in await reserved(effect.undoes.key):
        await call("STORES", "DELETE", f"/reservations/{each['id']}", allow=GONE)


async def find_reservation(action: Reserve, effect: Effect) -> int | None:
    """The reservation that carries the effect's key, if there is one."""
    del action
    found = await reserved(effect.key)
    return int(found[0]["id"]) if found else None


@write(undo=release, find=find_reservation, settles=timedelta(seconds=2))
async def reserve(action: Reserve, effect: Effect) -> int:
    """Reserve a spare. The stores take no key, but can be searched by a reference."""
    said = {"part": action.part, "reference": effect.key, "window": action.window}
    return int((await call("STORES", "POST", "/reservations", json=said)).json()["id"])


@write
async def purchase(action: Purchase, effect: Effect) -> int:
    """Order spares. Neither key nor search: if its answer is lost, a human is asked."""
    del effect
    said = {"part": action.part, "quantity": action.quantity}
    return int((await call("STORES", "POST", "/orders", json=said)).json()["id"])
