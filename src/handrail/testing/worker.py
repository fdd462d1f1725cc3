"""The process of a `CrashingWorker`: what a fork of it, which has imported all this, runs."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
from datetime import timedelta
from typing import NoReturn

from temporalio.client import Client

from handrail.guardrails import allow_skipped_time
from handrail.ledger import Ledger
from handrail.runtime import Fleet
from handrail.testing.crash import WorkerPlan, crash_at
from handrail.testing.stage import UNPROVEN
from handrail.wire import build_models

# What every fork would do again, half a second each: rule-engine makes the tables of its grammar as
# it is imported, and models are built when a worker starts.
importlib.import_module("rule_engine")
build_models()

_LOOK = timedelta(milliseconds=500)


def load_fleet(named: str, arguments: tuple[str, ...]) -> Fleet:
    """The fleet that a plan names.

    Raises:
        TypeError: if what it names neither is nor returns a fleet.
    """
    module, _, name = named.partition(":")
    found = getattr(importlib.import_module(module), name)
    fleet = found if isinstance(found, Fleet) else found(*arguments)
    if not isinstance(fleet, Fleet):
        raise TypeError(f"{named} is no Fleet")
    return fleet


async def _orphaned() -> None:
    """Wait until the process that started this one is gone, however it went."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110  # the kernel tells nobody
        await asyncio.sleep(_LOOK.total_seconds())


async def main(plan: WorkerPlan) -> None:
    """Run the worker until SIGTERM, or until nobody is there to end it."""
    allow_skipped_time()
    fleet = load_fleet(plan.fleet, plan.arguments)
    plugin = fleet.plugin(plan.payload_dir)
    client = await Client.connect(plan.address, namespace=plan.namespace, plugins=[plugin])
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    crash_at(plan.crashes, plan.fired_dir)
    async with (
        Ledger(plan.ledger) as ledger,
        fleet.running(client, ledger, trust=UNPROVEN, graceful_shutdown_timeout=plan.grace),
    ):
        ends = [asyncio.ensure_future(told.wait()), asyncio.ensure_future(_orphaned())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()


def run(plan: WorkerPlan) -> NoReturn:
    """Run the worker of a plan, and end the process."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(plan))
    # Steps that hang have threads, which an ordinary end would wait for.
    os._exit(0)
