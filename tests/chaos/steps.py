"""The steps of the agent under test: all three kinds of write, each with its undo."""

import asyncio
import contextlib
import functools
import os
from datetime import timedelta
from typing import Any

import httpx2
from pydantic import BaseModel
from typing_extensions import override

from handrail import (
    Action,
    Decision,
    Effect,
    Event,
    NotDone,
    current_effect,
    decide,
    notify,
    read,
    write,
)
from handrail.failpoints import reached
from tests.chaos.plan import Kind

OUTSIDE = "CHAOS_OUTSIDE"
"""The variable that says where the outside systems are."""

WRITE_TIMEOUT = timedelta(seconds=4)
SETTLES = timedelta(seconds=2)


class Order(Event):
    """What starts a case."""

    id: str
    kind: Kind
    amount: int
    spoil: bool
    takes: float
    hands_to: str = ""

    @property
    @override
    def key(self) -> str:
        return self.id


class Keyed(Action):
    """Do it where the outside system takes a key."""

    amount: int
    takes: float


class Findable(Action):
    """Do it where the outside system can be asked."""

    amount: int
    takes: float


class Plain(Action):
    """Do it where the outside system can do neither."""

    amount: int
    takes: float


class Seen(BaseModel):
    """The evidence."""

    level: int


ACTIONS: dict[Kind, type[Keyed | Findable | Plain]] = {
    "keyed": Keyed,
    "findable": Findable,
    "plain": Plain,
}


OTHER = "-other"
"""What the name of the agent ends with that another one hands its work to."""


@functools.cache
def client() -> httpx2.AsyncClient:
    """One client for a process.

    The steps' own timeouts are the ones that count. Connections stay open for long: it is the
    hardest case, since a zombie that thaws can send at once, without connecting first.
    """
    kept = httpx2.Limits(keepalive_expiry=600)
    return httpx2.AsyncClient(base_url=os.environ[OUTSIDE], timeout=30, verify=False, limits=kept)


async def warm_up() -> None:
    """Open a connection."""
    with contextlib.suppress(httpx2.HTTPError):
        await client().get("/truth", params={"case": "", "op": ""})


async def send(
    surface: str, op: str, case: str, ref: str, *, of: str | None = None, takes: float = 0
) -> int:
    """Make an effect in the outside world, which `takes` seconds; returns its number there.

    Raises:
        NotDone: if nobody listened, so that nothing can have happened.
    """
    # The books know it by the case that somebody wanted, whoever does it in the end.
    case = case.replace(f"{OTHER}:", ":")
    if op != "undo":
        reached("client:sending" if op == "do" else "client:telling", case)
    wanted = {"case": case, "ref": ref, "of": of, "takes": takes}
    try:
        answer = await client().post(f"/{surface}/{op}", json=wanted)
    except httpx2.ConnectError as error:
        raise NotDone("nobody listens there") from error
    answer.raise_for_status()
    if op == "do":
        reached("client:answered", case)
    return answer.json()["number"]


async def find(op: str, ref: str) -> int | None:
    """The number of an effect by its reference, if it is there."""
    answer = await client().get(f"/findable/{op}", params={"ref": ref})
    answer.raise_for_status()
    return answer.json()["number"]


def undone(effect: Effect) -> str:
    """The reference of what an undo takes back."""
    assert effect.undoes is not None
    return effect.undoes.key


async def _find_done(_: Any, effect: Effect) -> int | None:
    return await find("do", effect.key)


async def _find_undone(_: Any, effect: Effect) -> int | None:
    return await find("undo", effect.key)


@read
async def look(order: Order) -> int:
    """Look at the world."""
    await asyncio.sleep(order.takes)
    return order.amount


@decide
async def choose(order: Order, level: int) -> Decision[Keyed | Findable | Plain, Seen]:
    """Choose what to do."""
    action = ACTIONS[order.kind](amount=order.amount, takes=order.takes)
    return Decision(action=action, rationale="ordered", confidence=1, evidence=Seen(level=level))


@write(idempotent=True, timeout=WRITE_TIMEOUT)
async def undo_keyed(action: Keyed, effect: Effect) -> int:
    """Take it back under a key."""
    return await send(
        "keyed", "undo", effect.case, effect.key, of=undone(effect), takes=action.takes
    )


@write(find=_find_undone, settles=SETTLES, timeout=WRITE_TIMEOUT)
async def undo_findable(action: Findable, effect: Effect) -> int:
    """Take it back so that it can be found."""
    return await send(
        "findable", "undo", effect.case, effect.key, of=undone(effect), takes=action.takes
    )


@write(timeout=WRITE_TIMEOUT)
async def undo_plain(action: Plain, effect: Effect) -> int:
    """Take it back, and never know."""
    return await send("plain", "undo", effect.case, effect.key, takes=action.takes)


@write(undo=undo_keyed, idempotent=True, timeout=WRITE_TIMEOUT)
async def do_keyed(action: Keyed, effect: Effect) -> int:
    """Do it under a key."""
    return await send("keyed", "do", effect.case, effect.key, takes=action.takes)


@write(undo=undo_findable, find=_find_done, settles=SETTLES, timeout=WRITE_TIMEOUT)
async def do_findable(action: Findable, effect: Effect) -> int:
    """Do it so that it can be found."""
    return await send("findable", "do", effect.case, effect.key, takes=action.takes)


@write(undo=undo_plain, timeout=WRITE_TIMEOUT)
async def do_plain(action: Plain, effect: Effect) -> int:
    """Do it, and never know."""
    return await send("plain", "do", effect.case, effect.key, takes=action.takes)


@notify(timeout=WRITE_TIMEOUT)
async def tell(number: int) -> int:
    """Say that it is done."""
    effect = current_effect()
    return await send("told", "tell", effect.case, effect.key)
