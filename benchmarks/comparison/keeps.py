"""What each contender keeps, tried: kill -9 between effect and receipt, and in other places.

The effects are counted by the outside system, which is a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.comparison.contenders import Contender
from benchmarks.comparison.measure import HELD, PASSING, keys
from benchmarks.comparison.process import ContenderBroken, Running
from benchmarks.comparison.servers import Backend
from handrail.testing import eventually

Outside = Literal["key", "find", "bare"]
"""What the outside system can do: it heeds keys; it can be asked; neither."""

PATIENCE = 90.0
"""Seconds that a contender has to go on by itself after it was killed."""

_UNANSWERED = 30.0
"""Seconds after which a yes that had no effect counts as refused."""

_DEADLINE = 5


@dataclass(frozen=True)
class Kill:
    """Cases whose process was killed when the effect was there and its receipt was not.

    `effects`: in the outside system, of all cases. `asks`: cases that ask a human. `resumed`:
    how many a person had to resume. `seconds`: until the last came to rest.
    """

    outside: Outside
    cases: int
    effects: int
    done: int
    asks: int
    resumed: int
    seconds: float


@dataclass(frozen=True)
class Keeps:
    """What was tried of one contender, and how it came out.

    `yes`: a yes that was given while no worker ran counted when one ran again. `deadline`: a
    question that nobody answered came to its end by itself, over a killed worker. `forged`: a yes
    in the approver's name, sent by somebody else, was taken. `records`: of an ended case, how
    many are still there.
    """

    kills: tuple[Kill, ...]
    yes: bool
    deadline: bool
    forged: bool
    records: int


@dataclass(frozen=True)
class Trial:
    """A contender, and where it is tried."""

    contender: Contender
    backend: Backend
    home: Path

    @contextlib.asynccontextmanager
    async def running(self, **given: str) -> AsyncGenerator[Running]:
        """Its process in this context."""
        process = await Running.start(self.contender, self.backend, self.home, **given)
        try:
            yield process
        finally:
            await process.kill()


async def tried(on: Trial, cases: int) -> Keeps:
    """Try everything."""
    modes: tuple[Outside, ...] = ("key", "bare")
    if on.contender.name.startswith("Handrail"):
        modes = ("key", "find", "bare")
    kills = [await killed(on, mode, cases) for mode in modes]
    return Keeps(
        kills=tuple(kills),
        yes=await _yes_without_a_worker(on),
        deadline=await _deadline(on),
        forged=await _forged(on),
        records=await _records(on),
    )


async def killed(on: Trial, mode: Outside, cases: int) -> Kill:
    """Kill it between effect and receipt, start it again, and see what becomes of the cases."""
    outside, named = on.backend.outside, keys(cases)
    heeds = mode == "key"
    await outside.behave(keys=heeds, holding=True)

    async def entered() -> bool:
        booked = await outside.behave(keys=heeds, holding=True)
        return all(booked.get(key) for key in named)

    async with on.running(recovery=mode) as process:
        await process.ask("start", named, cost=PASSING)
        await eventually(entered, what=f"the write of {on.contender.name}")
    # It is dead by now; what it had asked for was done, and it was never told.
    before = await outside.behave(keys=heeds)
    begun, resumed = time.monotonic(), 0
    async with on.running(recovery=mode) as process:
        ends = await _ends(process, named, PATIENCE)
        left = [key for key, end in zip(named, ends, strict=True) if end == "open"]
        if left:
            resumed = len(left)
            await process.ask("resume", left)
            again = iter(await _ends(process, left, PATIENCE))
            ends = [next(again) if end == "open" else end for end in ends]
    booked = await outside.behave()
    assert all(before[key] == 1 for key in named)  # noqa: S101  # once, before it was killed
    return Kill(
        outside=mode,
        cases=cases,
        effects=sum(booked[key] for key in named),
        done=ends.count("done"),
        asks=ends.count("asks a human"),
        resumed=resumed,
        seconds=time.monotonic() - begun,
    )


async def _ends(process: Running, named: list[str], within: float) -> list[str]:
    return await process.ask("results", named, within=within)


async def _held(process: Running) -> list[str]:
    named = keys(1)
    await process.ask("start", named, cost=HELD)
    await process.quiet()
    return named


async def _yes_without_a_worker(on: Trial) -> bool:
    async with on.running() as process:
        named = await _held(process)
    async with on.running(role="client") as client:
        try:
            await client.ask("send", named)
        except ContenderBroken:
            return False
    async with on.running() as process:
        return await _ends(process, named, PATIENCE) == ["done"]


async def _deadline(on: Trial) -> bool:
    async with on.running(deadline=str(_DEADLINE)) as process:
        named = await _held(process)
    await asyncio.sleep(_DEADLINE)
    async with on.running(deadline=str(_DEADLINE)) as process:
        return await _ends(process, named, PATIENCE) in (["expired"], ["refused"])


async def _forged(on: Trial) -> bool:
    async with on.running() as process:
        named = await _held(process)
        await process.ask("forge", named)
        return await _ends(process, named, _UNANSWERED) == ["done"]


async def _records(on: Trial) -> int:
    async with on.running() as process:
        named = keys(1)
        await process.ask("run", named, cost=PASSING)
        (records,) = await process.ask("history", named)
        return records
