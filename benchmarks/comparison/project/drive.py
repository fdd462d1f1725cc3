# ruff: noqa: INP001  # every contender's process has this folder on its path
"""The process of a contender: it does what lines of JSON on its stdin say, and answers each.

It runs in the contender's own environment and imports nothing but the standard library.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any, Protocol


class Contender(Protocol):
    """What each contender can do. A case is named by its key."""

    async def start(self, key: str, cost: Decimal) -> None:
        """Begin a case; it goes on by itself."""

    async def result(self, key: str) -> str:
        """Wait until it has ended, and say how: `done` is what is wanted."""
        ...

    async def approve(self, key: str) -> None:
        """Let a case that waits go on, as the approver."""

    async def forge(self, key: str) -> None:
        """Send a yes in the approver's name, as anybody can who reaches the system."""

    async def resume(self, key: str) -> None:
        """Do by hand what the contender's documentation says to do after a crash."""

    async def asked(self, key: str) -> bool:
        """Whether it asks a human what became of its write."""
        ...

    async def history(self, key: str) -> int:
        """How many records of an ended case it still has."""
        ...


async def _lanes(
    keys: list[str], at_once: int, do: Callable[[str], Awaitable[None]]
) -> list[float]:
    """Do it for each key, so many at once; milliseconds of each."""
    left, took = iter(keys), list[float]()

    async def lane() -> None:
        for key in left:
            begun = time.perf_counter()
            await do(key)
            took.append((time.perf_counter() - begun) * 1000)

    await asyncio.gather(*(lane() for _ in range(at_once)))
    return took


async def _ended(contender: Contender, key: str) -> None:
    how = await contender.result(key)
    if how != "done":
        raise RuntimeError(f"{key} ended {how!r}")


async def _answer(contender: Contender, said: dict[str, Any]) -> Any:
    do, cost = said["do"], Decimal(said.get("cost", 0))
    keys: list[str] = said.get("keys", [])
    at_once: int = said.get("at_once", 16)

    async def whole(key: str) -> None:
        await contender.start(key, cost)
        await _ended(contender, key)

    async def approved(key: str) -> None:
        await contender.approve(key)
        await _ended(contender, key)

    async def begun(key: str) -> None:
        await contender.start(key, cost)

    lanes: dict[str, Callable[[str], Awaitable[None]]] = {
        "run": whole,
        "start": begun,
        "approve": approved,
        "send": contender.approve,
        "forge": contender.forge,
        "resume": contender.resume,
    }
    if do in lanes:
        return await _lanes(keys, at_once, lanes[do])
    if do == "results":
        return await asyncio.gather(*(_in_time(contender, key, said["within"]) for key in keys))
    if do == "history":
        return [await contender.history(key) for key in keys]
    raise ValueError(do)


async def _in_time(contender: Contender, key: str, within: float) -> str:
    """How it ended; that it asks a human, or has not ended."""
    ending = asyncio.ensure_future(contender.result(key))
    end = time.monotonic() + within
    while time.monotonic() < end:
        done, _ = await asyncio.wait({ending}, timeout=0.5)
        if done:
            return ending.result()
        if await contender.asked(key):
            break
    asks = await contender.asked(key)
    ending.cancel()
    return "asks a human" if asks else "open"


async def _serve(opened: AbstractAsyncContextManager[Contender]) -> None:
    async with opened as contender:
        print(json.dumps("ready"), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await _answer(contender, json.loads(line))), flush=True)
    sys.stdout.flush()
    os._exit(0)  # some of them may abort, or wait for their threads, while the interpreter ends


def main(opened: Callable[[bool], AbstractAsyncContextManager[Contender]]) -> None:
    """Run until stdin ends. `opened`: the contender, with its worker if it is asked for one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    works = os.environ.get("COMPARISON_ROLE", "worker") == "worker"
    sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    try:
        import uvloop  # noqa: PLC0415  # where the environment has it
    except ImportError:
        asyncio.run(_serve(opened(works)))
    else:
        uvloop.run(_serve(opened(works)))
