"""`python -m tests.replay.stewards`: plays a steward's life on the real server, and records it.

Do that only for a change that is meant to be incompatible: stewards that are open wedge on it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio import workflow

from handrail import Fleet
from handrail.actions import Level
from handrail.client import stewards as autonomy
from handrail.oversight import (
    Change,
    Keyring,
    Order,
    Target,
    Trust,
    level_order,
    lift_order,
    order_row,
    steward_id,
    stop_order,
)
from handrail.testing import Stage, eventually, record, running, server
from tests.agents.fleets import orders, policy
from tests.replay.record import as_of_old

HISTORIES = Path(__file__).parent / "stewards"
BOSS, ANA = "boss@example.com", "ana@example.com"
PAY = Target("orders", step="pay")


def fleet(directory: Path) -> Fleet:
    """An agent whose full freedom takes two people."""
    control = {"people": [BOSS, ANA], "two": ["full"]}
    supervised = {"pay": {"autonomy": "supervised"}}
    return orders(directory, policy(actions=supervised, control=control))


async def send(stage: Stage, order: Order) -> Change:
    """Give an order, and say what became of it."""
    await autonomy.tell_steward(
        stage.client, "orders", order.kind, autonomy.order_signal(order, None)
    )
    return await became(stage, order)


async def became(stage: Stage, order: Order, said_by: int = 1) -> Change:
    """What became of an order."""
    patience = timedelta(seconds=30)
    change = await autonomy.order_became(
        stage.client, "orders", order.id, said_by=said_by, patience=patience
    )
    assert change is not None
    return change


async def play(stage: Stage) -> None:
    """Less, more by two, a stop, its end, what is no order; and one that waits for ever."""
    now = datetime.now(UTC)
    await autonomy.ensure_stewards(stage.client, ["orders"])
    await send(stage, level_order(PAY, Level.PILOT, None, ANA, now, why="odd"))
    more = level_order(PAY, Level.FULL, 2_500, BOSS, now, why="it went well")
    await send(stage, more)
    second = {"id": more.id, "by": ANA, "why": "so it did"}
    await autonomy.tell_steward(stage.client, "orders", "second", second)
    await became(stage, more, 2)
    halt = stop_order(Target("orders"), ANA, now, "it pays twice")
    await send(stage, halt)
    await autonomy.tell_steward(stage.client, "orders", "level", {"level": "more"})
    await send(stage, lift_order(order_row(halt), ANA, now, "mended"))
    await send(stage, level_order(PAY, Level.FULL, None, BOSS, now))


async def flood(stage: Stage) -> None:
    """More orders at once than are taken, of every kind, and one that counts after them."""
    now = datetime.now(UTC)
    await autonomy.ensure_stewards(stage.client, ["orders"])
    handle = stage.client.get_workflow_handle(steward_id("orders"))
    bodies: tuple[dict[str, str], ...] = ({}, {"step": "pay"}, {"step": "nothing"})
    stops = [{"by": ANA, **bodies[n % 3], "why": "x"} for n in range(60)]
    cases = [{"by": ANA, "case": f"orders:{n}"} for n in range(150)]
    await asyncio.gather(*(handle.signal("stop", body) for body in [*stops, *cases]))
    await asyncio.gather(*(handle.signal("unknown", n) for n in range(50)))
    await eventually(lambda: _judged_all(stage))
    await send(stage, level_order(PAY, Level.PILOT, None, ANA, now))


async def crowd(stage: Stage) -> None:
    """Stops of writes that the agent does not have, and the same again, as they were once taken."""
    now, patched, workflow.patched = datetime.now(UTC), workflow.patched, as_of_old
    await autonomy.ensure_stewards(stage.client, ["orders"])
    handle = stage.client.get_workflow_handle(steward_id("orders"))
    stops = [{"by": ANA, "step": "nothing", "why": f"x{n // 2}"} for n in range(6)]
    await asyncio.gather(*(handle.signal("stop", body) for body in stops))
    await eventually(lambda: _judged_all(stage))
    await send(stage, level_order(PAY, Level.PILOT, None, ANA, now))
    workflow.patched = patched


async def _judged_all(stage: Stage) -> bool:
    book = await autonomy.steward_book(stage.client, "orders")
    return book is not None and not any(book.asked().stops)


async def main() -> None:
    """Record it."""
    for name, plays in {"turned": play, "flooded": flood, "crowded": crowd}.items():
        # One that is there is what open stewards live by.
        if not (HISTORIES / f"{name}.json").exists():
            await _record(name, plays)


async def _record(recorded: str, plays: Callable[[Stage], Awaitable[None]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        started = server(directory / "server")
        await started.start()
        try:
            trust = Trust(keyring=Keyring(directory / "none.json"), proof="unproven")
            async with running(fleet(directory), started, directory, trust=trust) as stage:
                await plays(stage)
                await asyncio.sleep(1)
                await record(
                    stage.client.get_workflow_handle(steward_id("orders")),
                    HISTORIES / f"{recorded}.json",
                )
        finally:
            await started.stop()


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)
