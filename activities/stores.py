"""The steps of the stores agent: spares for planned work, and orders when few are left.

It writes to the stores' service (`MAINTENANCE_STORES_URL`), which knows no idempotency key.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field
from typing_extensions import override

from activities.maintenance_systems import GONE, call
from handrail import Action, Decision, Effect, Event, Final, decide, read, write

RESTOCK = {"bearing": 6, "seal": 5, "motor": 2}
"""How many are ordered of a spare, when fewer than two are free."""

Part = Literal["bearing", "seal", "motor"]

EUR = Field(json_schema_extra={"unit": "EUR"})


class SpareNeeded(Event):
    """Work is planned, and needs a spare."""

    window: str = Field(pattern=r"^[\w-]{1,64}$")
    """Its name in the calendar."""
    part: Part
    machine: int
    start: AwareDatetime

    @property
    @override
    def key(self) -> str:
        return self.window


class Shelf(BaseModel, frozen=True):
    """A spare, as the stores have it. Price in EUR."""

    part: Part
    free: int
    ordered: int
    price: Decimal


class Reserve(Action):
    """Reserve a spare for a window."""

    part: Part
    window: str


class Purchase(Action):
    """Order spares from their supplier (EUR)."""

    part: Part
    quantity: int = Field(ge=1)
    cost: Annotated[Decimal, EUR] = Field(ge=0, max_digits=10, decimal_places=2)


class Need(BaseModel, frozen=True):
    """The evidence for a spare."""

    free: int
    ordered: int
    price: Annotated[Decimal, EUR]


@read
async def shelf(part: Part) -> Shelf:
    """Ask the stores for a spare."""
    return Shelf.model_validate((await call("STORES", "GET", f"/spares/{part}")).json())


@decide
async def which_spare(needed: SpareNeeded, has: Shelf) -> Decision[Reserve, Need]:
    """Reserve the spare that the window needs, if one is free."""
    need = Need(free=has.free, ordered=has.ordered, price=has.price)
    action = Reserve(part=needed.part, window=needed.window) if has.free else None
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


async def reserved(key: str) -> list[dict[str, Any]]:
    """What is reserved under a reference."""
    return (await call("STORES", "GET", "/reservations", params={"reference": key})).json()


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
