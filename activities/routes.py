"""The steps of the routes agent: who drives where, as traffic, rain and customers change it.

It talks to the dispatch service over HTTP (`ROUTES_DISPATCH_URL`), which takes a plan once under
its key, and only where it was made of the plan of now. How it decides: `activities.routes_solver`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import httpx2
from pydantic import BaseModel, Field
from typing_extensions import override

from activities.routes_solver import CALM_PRICE, Situation, as_it_is, foresee, solve
from handrail import (
    Action,
    Decision,
    Effect,
    Event,
    Final,
    Schedule,
    current_effect,
    decide,
    notify,
    read,
    write,
)

DISPATCH_URL = "http://127.0.0.1:8560"
PATIENCE = timedelta(seconds=5)
WORTH_IT = 0.5
"""Kilometres, or what they are worth, that a new plan must gain."""

MANY = 20
"""Orders that change vans at once, from which on people are asked."""

UPHEAVAL = 15.0
"""What such a plan must gain, in kilometres, beside one that moves fewer."""

TOLD_FROM = 15
"""Minutes by which a visit must shift for its customer to be told."""

FIRST_ITERATIONS, ITERATIONS = 1000, 200

KM = Field(json_schema_extra={"unit": "km"})


class Changed(Event):
    """Something happened on the road or with the orders, or half an hour is over."""

    day: str = Field(pattern=r"^[\w-]{1,40}$")
    minute: int = Field(ge=0, le=1440)
    what: Literal["half-hour", "order", "cancelled", "traffic", "van"]
    about: str = Field(default="", pattern=r"^[\w-]{0,40}$")

    @property
    @override
    def key(self) -> str:
        return "-".join(filter(None, (self.day, f"{self.minute:03}", self.what, self.about)))


def half_hour(at: datetime) -> Changed:
    """The event of a half hour by the clock."""
    minute = max(0, at.hour * 60 + at.minute - 480)
    return Changed(day=f"{at:%Y-%m-%d}", minute=minute, what="half-hour")


EVERY_HALF_HOUR = Schedule(name="half-hour", event=half_hour, every=timedelta(minutes=30))


class Dispatch(Action):
    """Give the vans another plan."""

    day: str
    based_on: int
    routes: dict[str, tuple[str, ...]]


class Change(BaseModel, frozen=True, extra="forbid"):
    """The evidence: what another plan does, at the pace of now."""

    moves: int
    """Orders that change vans."""
    first: bool
    """Whether it is the first plan of the day."""
    late_before: int
    late_after: int
    km_before: Annotated[float, KM]
    km_after: Annotated[float, KM]
    undriven: tuple[str, ...]
    """Orders for another day."""
    told: tuple[str, ...]
    """Customers whose visit shifts so much that they are told."""


@read
async def situation(day: str) -> Situation | None:
    """Read what is known now; None where this day is not the one on the road."""
    found = Situation.model_validate(await _call("GET", "/day"))
    return found if found.day == day else None


@decide(timeout=timedelta(seconds=60))
def replan(known: Situation) -> Decision[Dispatch, Change]:
    """Plan all that is open again; the plan of now stays where that gains next to nothing."""
    now = as_it_is(known)
    new = solve(known, iterations=ITERATIONS if known.version else FIRST_ITERATIONS)
    was = {stop: van.id for van in known.vans for stop in van.stops}
    if known.version and _moves(was, new) > MANY:
        calm = solve(known, iterations=ITERATIONS, move_price=CALM_PRICE)
        gains = foresee(known, calm).price - foresee(known, new).price
        new = calm if gains < UPHEAVAL else new
    unplanned = {order.id for order in known.orders} - {s for van in known.vans for s in van.stops}
    before, after = foresee(known, now), foresee(known, new)
    if after.price > before.price - WORTH_IT:
        new, after = now, before
    is_now = {stop for stops in new.values() for stop in stops}
    shifts = {
        stop
        for stop, at in after.arrivals.items()
        if stop in was and abs(at - before.arrivals.get(stop, at)) >= TOLD_FROM
    }
    undriven = sorted(order.id for order in known.orders if order.id not in is_now)
    change = Change(
        moves=_moves(was, new),
        first=known.version == 0,
        late_before=before.late,
        late_after=after.late,
        km_before=before.km,
        km_after=after.km,
        undriven=tuple(undriven),
        told=tuple(sorted({*shifts, *undriven})),
    )
    same = new == now and not unplanned & is_now
    action = Dispatch(day=known.day, based_on=known.version, routes=new)
    return Decision(
        action=None if same or not known.orders else action,
        rationale=_reasons(change, kept=same),
        confidence=1.0 if same or after.late <= before.late else 0.7,
        evidence=change,
    )


def _moves(was: Mapping[str, str], routes: Mapping[str, Sequence[str]]) -> int:
    """How many orders change vans."""
    return sum(was.get(stop, van) != van for van, stops in routes.items() for stop in stops)


def _reasons(change: Change, *, kept: bool) -> str:
    now = f"{change.late_before} late, {change.km_before:.0f} km to go"
    if kept:
        return f"The plan stays: {now}, and no other one is better."
    then = f"{change.late_after} late, {change.km_after:.0f} km"
    return f"{now}; then {then}, with {change.moves} orders moved to other vans."


@write(idempotent=True)
async def restore(action: Dispatch, effect: Effect) -> None:
    """Put the plan before back, unless another one came since."""
    if effect.undoes is None:
        raise Final("restore only ever takes a plan of this agent back")
    await _call("POST", "/restores", {"based_on": action.based_on + 1}, key=effect.key)


@write(undo=restore, idempotent=True)
async def dispatch(action: Dispatch, effect: Effect) -> int:
    """Give the plan to the dispatch service, under the effect's key; the version that it is."""
    body = {"based_on": action.based_on, "routes": action.routes}
    return (await _call("POST", "/plans", body, key=effect.key))["version"]


@notify
async def tell(version: int, drivers: list[str], customers: list[str]) -> None:
    """Tell the drivers of their lists, and the customers whose visit shifts."""
    message = {"version": version, "drivers": drivers, "customers": customers}
    await _call("POST", "/messages", message, key=current_effect().key)


@functools.cache
def _service() -> httpx2.AsyncClient:
    url = os.environ.get("ROUTES_DISPATCH_URL") or DISPATCH_URL
    return httpx2.AsyncClient(base_url=url, timeout=PATIENCE.total_seconds())


async def disconnect() -> None:
    """Close the connections to the dispatch service; the next step opens new ones."""
    if _service.cache_info().currsize:
        await _service().aclose()
        _service.cache_clear()


async def _call(method: str, path: str, content: Any = None, key: str | None = None) -> Any:
    """Ask the dispatch service for something.

    Raises:
        Final: if it declines, with its own words. It did nothing then.
        httpx2.HTTPError: if it cannot answer now; a write may or may not have happened.
    """
    headers = {"Idempotency-Key": key} if key else {}
    response = await _service().request(method, path, json=content, headers=headers)
    if response.is_client_error and response.status_code not in {408, 425, 429}:
        raise Final(response.text[:300])
    response.raise_for_status()
    return response.json()
