"""`python -m benchmarks.walks [--json FILE]`: how much code a reader follows on three journeys.

A plain write, from its event to its receipt; a signed ruling in the inbox, up to the write that
it allows; a stop by command, up to the door's refusal and the write once it is lifted. They run
for real, in one process, and a profiler hook keeps which functions of the engine are entered on
the way, in the order of their first calls. Left out are the test kit, and what runs on import.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import inspect
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

from temporalio.common import SearchAttributeKey

import handrail
from benchmarks.report import table
from handrail import Fleet, Keyring, State, Trust
from handrail.cli.app import run as command
from handrail.testing import Outside, Stage, eventually, running, server
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy
from tests.agents.orders_steps import Order
from tests.integration.inbox.conftest import ANA, Run, inboxes

ENGINE = f"{Path(handrail.__file__).parent}{os.sep}"
KIT = f"{ENGINE}testing{os.sep}"
IN_ROOMS = Path(ENGINE, "guardrails").is_dir()
"""Whether the engine lies in packages; where it does not, a flat module is a room of its own."""

QUIET = 0.7
"""Seconds without a call of the engine after which nothing more is under way."""

AT_REST = frozenset({"_turn", "stood_still"})
"""What a worker's loop does ten times a second, also while nothing is under way."""

BOSS = "boss@example.com"
ONE_WRITE = Order(number="1", parts=("pay",))
STATE = SearchAttributeKey.for_keyword("HandrailState")

_COMPREHENSION = re.compile(r"\.<locals>\.<(?:listcomp|setcomp|dictcomp|genexpr)>")


@dataclass(frozen=True)
class Walk:
    """The functions that a journey entered, as (module, function), in order of first calls."""

    calls: tuple[tuple[str, str], ...] = ()

    @property
    def modules(self) -> dict[str, int]:
        """How many functions were entered in each module, in the order of the way."""
        return dict(Counter(module for module, _ in self.calls))

    @property
    def rooms(self) -> dict[str, int]:
        """How many modules were entered in each room, in the order of the way."""
        return dict(Counter(map(room, self.modules)))

    def figures(self) -> dict[str, int]:
        """Its length. A stay is a run of first calls in one place, a return one more there."""
        stays = len(list(groupby(module for module, _ in self.calls)))
        return {
            "modules": len(self.modules),
            "functions": len(self.calls),
            "rooms": len(self.rooms),
            "stays": stays,
            "returns": stays - len(self.modules),
            "room stays": len(list(groupby(room(module) for module, _ in self.calls))),
        }


def room(module: str) -> str:
    """The package of the engine in which a module lies; `ground` are those in none."""
    first, _, inside = module.partition("/")
    return first if inside or not IN_ROOMS else "ground"


class Tracer:
    """A profiler hook that keeps which functions of the engine are entered, in all threads."""

    def __init__(self) -> None:
        self.walk = Walk()
        self._calls: dict[tuple[str, str], None] = {}
        self._last = 0.0

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Keep a call of the engine; Python says every call and return of anything."""
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(ENGINE):
            return
        if code.co_name in AT_REST:
            return
        # Without that flag it is the body of a module or a class, which runs on import.
        if not code.co_flags & inspect.CO_OPTIMIZED or code.co_filename.startswith(KIT):
            return
        module = code.co_filename.removeprefix(ENGINE).replace(os.sep, "/")
        self._calls.setdefault((module, _COMPREHENSION.sub("", code.co_qualname)))
        self._last = time.monotonic()

    @contextlib.asynccontextmanager
    async def walking(self) -> AsyncGenerator[None]:
        """Take for the walk what is entered in this context; what began before it ends first."""
        await self._quiet()
        self._calls.clear()
        yield
        await self._quiet()
        self.walk = Walk(tuple(self._calls))

    async def _quiet(self) -> None:
        self._last = time.monotonic()
        async with asyncio.timeout(60):
            while time.monotonic() < self._last + QUIET:  # noqa: ASYNC110  # silence is no event
                await asyncio.sleep(QUIET / 10)


@contextlib.contextmanager
def tracing() -> Generator[Tracer]:
    """Trace this thread, and those that begin in this context: a pool must not be older."""
    tracer, before = Tracer(), (sys.getprofile(), threading.getprofile())
    sys.setprofile(tracer)
    threading.setprofile(tracer)
    try:
        yield tracer
    finally:
        sys.setprofile(before[0])
        threading.setprofile(before[1])


# The journeys


async def plain_write(tracer: Tracer, run: RunFleet, home: Path) -> Walk:
    """One write that nothing holds: from the event to the receipt.

    Its worker has judged the policy before it began, as `handrail worker` does.
    """
    fleet = orders(home)
    _require(not fleet.agent("orders").faults())
    async with run(fleet, home) as stage:
        async with tracer.walking():
            outcome = await (await stage.start("orders", ONE_WRITE)).outcome()
        _require(outcome.status is State.DONE, outcome.receipts)
    return tracer.walk


async def ruling(tracer: Tracer, run: Run) -> Walk:
    """An approval that the inbox signs: from the page of the gate to the end of the case."""
    async with run() as inbox, inbox.visitor(ANA) as ana:
        case = await inbox.ask()
        url = f"/gates/{case.id}/{(await case.gate()).gate}"
        async with tracer.walking():
            await ana.get(url)
            await ana.post(url, verb="approve", why="fair")
            outcome = await case.outcome()
        _require(outcome.receipts, outcome.rulings[-1].via)
    return tracer.walk


async def stopping(tracer: Tracer, run: RunFleet, home: Path) -> Walk:
    """A stop by command, a write that the door refuses, and the write once it is lifted."""
    fleet = orders(home, policy(proof="required"))
    trust = Trust(Keyring(home / "keys" / "trusted.json"), "required")
    async with run(fleet, home, trust=trust) as stage:
        own = {
            "HANDRAIL_HOME": str(home),
            "TEMPORAL_ADDRESS": stage.client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": stage.client.namespace,
        }
        rest = {k: v for k, v in os.environ.items() if not k.startswith(("HANDRAIL_", "TEMPORAL_"))}
        with mock.patch.dict(os.environ, rest | own, clear=True):
            await _command("keys", "new", "--person", BOSS, "--trust")
            async with tracer.walking():
                await _command("stop", "orders", "--by", BOSS, "--why", "it went mad")
                case = await stage.start("orders", ONE_WRITE)

                async def paused() -> bool:
                    # The server is asked: a query would be answered by the engine.
                    known = (await case.handle.describe()).typed_search_attributes
                    return known.get(STATE) == State.PAUSED

                await eventually(paused)
                await _command("lift", "orders", "--by", BOSS, "--why", "mended")
                outcome = await case.outcome()
        _require(outcome.status is State.DONE, outcome.receipts)
    return tracer.walk


async def _command(*argv: str) -> None:
    _require(await asyncio.to_thread(command, list(argv)) == 0)


def _require(*true: object) -> None:
    if not all(true):
        raise RuntimeError(f"a journey went another way, its figures say nothing: {true}")


async def walks(home: Path) -> dict[str, Walk]:
    """Go all three ways, each with a fleet and a ledger of its own."""
    found: dict[str, Walk] = {}
    with tracing() as tracer:
        async with server(home / "server") as started:

            def run(fleet: Fleet, at: Path, **more: Any) -> AbstractAsyncContextManager[Stage]:
                return running(fleet, started, at, **more)

            ways: dict[str, Callable[[Path], Awaitable[Walk]]] = {
                "event to receipt": lambda at: plain_write(tracer, run, at),
                "ruling in the inbox to its write": lambda at: ruling(tracer, inboxes(started, at)),
                "stop to the lifted write": lambda at: stopping(tracer, run, at),
            }
            for number, (name, way) in enumerate(ways.items()):
                (at := home / str(number)).mkdir()
                with Outside(at / "outside.db").installed():
                    found[name] = await way(at)
    return found


def report(found: Mapping[str, Walk]) -> str:
    """The figures as a table, and the modules of each journey in the order of the way."""
    measures = Walk().figures()
    parts = [table(("journey", *measures), [(n, *w.figures().values()) for n, w in found.items()])]
    for name, walk in found.items():
        lines = [f"{count:4}  {module}" for module, count in walk.modules.items()]
        parts.append("\n".join([f"{name}: functions entered in each module", "", *lines]))
    return "\n\n".join(parts)


def main() -> None:
    """Go all three ways, and print how long they are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.walks", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all calls there too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="handrail-walks-") as home:
        # What commands print, and what is logged, is not the report.
        with contextlib.redirect_stdout(sys.stderr):
            found = asyncio.run(walks(Path(home)))
        print(report(found), flush=True)
    if given.json is not None:
        told = {
            name: walk.figures()
            | {"by room": walk.rooms, "by module": walk.modules, "calls": walk.calls}
            for name, walk in found.items()
        }
        given.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    # The SDK's threads may abort the process while the interpreter ends.
    os._exit(0)


if __name__ == "__main__":
    main()
