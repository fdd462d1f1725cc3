"""Steps that misbehave, each as its event says: once, and then no more."""

from __future__ import annotations

import asyncio
import functools
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

from temporalio.exceptions import ApplicationError
from typing_extensions import override

from handrail import (
    Action,
    Decision,
    Effect,
    Event,
    Final,
    NoEvidence,
    Usage,
    decide,
    notify,
    read,
    spent,
    write,
)
from handrail.testing import Outside

MEGABYTE = 1024 * 1024
THREE = 3


class Odd(Event):
    """What goes wrong, and in which step."""

    number: str
    step: str
    what: str = ""

    @property
    @override
    def key(self) -> str:
        return self.number


class Make(Action):
    """Make something odd."""

    what: str


class Other(Action):
    """Something that the decide step is not declared to decide."""

    what: str = ""


class UnprintableError(Exception):
    """An exception that cannot even say what it is."""

    @override
    def __str__(self) -> str:
        raise RuntimeError("no words")


class UnusualError(BaseException):
    """Not caught by `except Exception`."""


def _over_itself(depth: int) -> BaseException:
    error = OSError("the line is dead")
    for _ in range(depth):
        above = OSError("the line is dead")
        above.__cause__ = error
        error = above
    return error


RAISED: dict[str, BaseException] = {
    "ValueError": ValueError("a value"),
    "KeyError": KeyError("a key"),
    "OSError": OSError(5, "a disk"),
    "StopIteration": StopIteration(),
    "ExceptionGroup": ExceptionGroup("several", [ValueError("one"), ValueError("two")]),
    "CancelledError": asyncio.CancelledError(),
    "GeneratorExit": GeneratorExit(),
    "SystemExit": SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "UnusualError": UnusualError("unusual"),
    "UnprintableError": UnprintableError(),
    "five megabytes": ValueError("x" * 5 * MEGABYTE),
    "surrogates": ValueError("\ud800 \x00 \u202e"),
    "300 causes": _over_itself(300),
    "a long name": type("L" * 3 * MEGABYTE, (ValueError,), {})("long"),
}


@read
async def burst(what: str) -> str:
    """Raise anything at all, the first time."""
    await Outside.current().do("burst", what)
    if len(Outside.current().calls("burst")) == 1:
        raise RAISED.get(what, ApplicationError("later", next_retry_delay=timedelta(days=365)))
    return "well"


@read
async def mistaken(what: str) -> int:
    """Return or raise what only a mistake in the program does, every time."""
    if what == "TypeError":
        raise TypeError("a mistake")
    return cast("int", {"a text": "seven", "nothing": None, "a coroutine": burst}[what])


@read
async def heavy(megabytes: str) -> str:
    """Return megabytes."""
    return "x" * (int(megabytes) * MEGABYTE)


@read(timeout=timedelta(milliseconds=300))
async def slow(what: str) -> str:
    """Take too long, the first time."""
    await Outside.current().do("slow", what)
    if len(Outside.current().calls("slow")) == 1:
        await asyncio.sleep(30)
    return "well"


@read
async def shaky(what: str) -> str:
    """Fail as often as the world says."""
    return await Outside.current().put("shaky", what)


@decide
async def choose(what: str) -> Decision[Make, NoEvidence]:
    """Decide wrongly, if told to."""
    decision: Any = Decision[Make, NoEvidence](
        action=Make(what=what), rationale="x", confidence=1, evidence=NoEvidence()
    )
    if what == "a text":
        return cast("Any", "make it")
    if what == "another action":
        return cast(
            "Any",
            Decision[Other, NoEvidence](
                action=Other(), rationale="x", confidence=1, evidence=NoEvidence()
            ),
        )
    if what == "megabytes":
        return decision.model_copy(update={"rationale": "x" * 3 * MEGABYTE})
    return decision


HALF = "\ud83d"
"""Half of a smiling face, as it is left when a stream is cut off."""

UNFIT: dict[str, Any] = {
    "texts": {f"a{HALF}": [f"\x00{HALF}\ude00"], "b": float("nan"), "c": (float("inf"), 10**100)},
    "deep": functools.reduce(lambda inner, _: [inner], range(3_000), cast("Any", "x")),
    "a huge number": {"x": 10**5_000},
    "keys": {f"{HALF}": 1, "\udc4d": 2},
}


@read
async def scribble(what: str) -> dict[str, Any]:
    """Return what no JSON holds."""
    await Outside.current().do("scribble", what)
    if what == "final":
        raise Final(f"half {HALF} and \x00")
    return cast("dict[str, Any]", UNFIT.get(what, {}))


@decide
async def scrawl(what: str) -> Decision[Make, NoEvidence]:
    """Decide in words that no JSON, database or terminal takes."""
    await Outside.current().do("model", what)
    return Decision[Make, NoEvidence](
        action=Make(what=f"{what} \x00{HALF}"),
        rationale=f"\x1b[31m{HALF}",
        confidence=1,
        evidence=NoEvidence(),
        usage=Usage(input_tokens=10**30 if what == "tokens" else 1, model=HALF),
    )


@decide(tries=3)
async def ponder(what: str) -> Decision[Make, NoEvidence]:
    """Ask a model that answers badly three times, each time in one way."""
    await Outside.current().do("model", what)
    spent(Usage(input_tokens=70, output_tokens=30, cost=Decimal("0.01")))
    if len(Outside.current().calls("model")) <= THREE:
        answers: dict[str, Any] = {"dict": {"action": 7}, "text": "well"}
        if what == "invalid":
            Make.model_validate_json('{"waht": "?"}')
        if what == "final":
            raise Final("it will never know")
        if what == "TypeError":
            raise TypeError("a mistake")
        if what == "not retryable":
            raise ApplicationError("the contract is over", non_retryable=True)
        if what == "slow":
            await asyncio.sleep(30)
        if what not in answers:
            raise RAISED.get(what, OSError("the model is away"))
        return answers[what]
    return Decision[Make, NoEvidence](
        action=Make(what=what), rationale="x", confidence=1, evidence=NoEvidence()
    )


@write(idempotent=True)
async def unmake(action: Make, effect: Effect) -> str:
    """Take it back."""
    return await Outside.current().put("unmake", effect.key)


@write(idempotent=True, undo=unmake)
async def make(action: Make, effect: Effect) -> str:
    """Do it, and raise or return something odd."""
    done = await Outside.current().put("make", effect.key)
    if action.what in RAISED and len(Outside.current().calls("make")) == 1:
        raise RAISED[action.what]
    if action.what.startswith("never"):
        raise Final(f"never {HALF}\x00")
    if action.what.startswith("texts"):
        return f"made {HALF}\x00"
    odd: dict[str, Any] = {
        "an object": object(),
        "a number": 7,
        "much": "x" * 3 * MEGABYTE,
    }
    return odd.get(action.what, done)


@notify
async def announce(what: str) -> None:
    """Tell somebody who cannot be reached."""
    await Outside.current().put("announce", what)
