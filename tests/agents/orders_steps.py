"""Steps of an agent that fulfils orders: each of the three kinds of write, and every undo.

pay     takes an idempotency key     undone by refund, which does too
ship    can be asked                 undone by recall, which can neither
post    neither                      cannot be undone
call    neither                      undone by uncall, which takes the key
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Literal

from typing_extensions import override

from handrail import (
    Action,
    Decision,
    Effect,
    Event,
    Final,
    NotDone,
    current_effect,
    decide,
    notify,
    read,
    write,
)
from handrail.actions import Wire
from handrail.testing import Outside, OutsideError

SOON = timedelta(milliseconds=200)
"""How long after it was asked the outside system may still do it."""

Part = Literal["pay", "ship", "post", "call", "tell", "break", "wait"]


class Order(Event):
    """An order. `parts` is what the agent does about it, one after the other.

    `padding` makes its payment longer; `paid` is how far a standing order has come;
    `worth` is what its case says of itself as it ends.
    """

    number: str
    amount: Decimal = Decimal(50)
    parts: tuple[Part, ...] = ("pay",)
    padding: int = 0
    times: int = 1
    paid: int = 0
    worth: str | None = None

    @property
    @override
    def key(self) -> str:
        return self.number


class Pay(Action):
    """Pay for an order."""

    order: str
    amount: Decimal


class Ship(Action):
    """Send a parcel."""

    order: str


class Post(Action):
    """Post a letter."""

    order: str


class Call(Action):
    """Call a van."""

    order: str


class Facts(Wire):
    """What a decision about an order rests on."""

    amount: Decimal
    stock: int


async def _done(surface: str, effect: Effect, action: Action, *, once: bool = False) -> str:
    """Do it in the outside world, which says by its errors what became of it."""
    world = Outside.current()
    body = action.model_dump(mode="json")
    try:
        if once:
            return await world.put(surface, effect.key, body)
        return await world.do(surface, effect.key, body)
    except OutsideError as error:
        if str(error).startswith("final"):
            raise Final(str(error)) from error
        if str(error).startswith("not done"):
            raise NotDone(str(error)) from error
        raise


async def _is_there(surface: str, undo: Effect) -> bool:
    assert undo.undoes is not None
    return await Outside.current().find(surface, undo.undoes.key) is not None


@read
async def look_up(order: str) -> int:
    """What is in stock."""
    await Outside.current().put("warehouse", order)
    return 7


def _payment(order: Order) -> Pay:
    return Pay(order=order.number + " " * order.padding, amount=order.amount)


@decide
async def choose(order: Order) -> Decision[Pay, Facts]:
    """How much is to be paid."""
    return Decision(
        action=_payment(order) if "pay" in order.parts else None,
        rationale="The goods are in stock. **Trust me.**",
        confidence=0.9,
        evidence=Facts(amount=order.amount, stock=7),
    )


@write(idempotent=True)
async def refund(action: Pay, effect: Effect) -> str:
    """Give the money back, if it was paid."""
    if not await _is_there("pay", effect):
        return "nothing to give back"
    return await _done("refund", effect, action, once=True)


@write(idempotent=True, undo=refund)
async def pay(action: Pay, effect: Effect) -> str:
    """Pay."""
    return await _done("pay", effect, action, once=True)


@write
async def recall(action: Ship, effect: Effect) -> str:
    """Have the parcel sent back, if it was sent."""
    if not await _is_there("ship", effect):
        return "nothing to send back"
    return await _done("recall", effect, action)


async def find_parcel(action: Ship, effect: Effect) -> str | None:
    """Whether the parcel is on its way."""
    return await Outside.current().find("ship", effect.key)


def misdirected(action: Ship) -> Ship:
    """A parcel that nobody ordered."""
    return Ship(order=f"{action.order} to nowhere")


@write(find=find_parcel, settles=SOON, undo=recall, plant=misdirected)
async def ship(action: Ship, effect: Effect) -> str:
    """Send the parcel."""
    return await _done("ship", effect, action)


@write
async def post(action: Post, effect: Effect) -> str:
    """Post the letter."""
    return await _done("post", effect, action)


@write(idempotent=True)
async def uncall(action: Call, effect: Effect) -> str:
    """Send the van away."""
    return await _done("uncall", effect, action, once=True)


@write(undo=uncall)
async def call(action: Call, effect: Effect) -> str:
    """Call the van."""
    return await _done("call", effect, action)


@notify
async def tell(order: str) -> None:
    """Tell the customer."""
    await Outside.current().put("tell", current_effect().key, order)
