"""`python -m tests.replay.scheduled`: has a schedule start cases, and records how it does."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from handrail import Fleet, Schedule
from handrail.client import Operator
from handrail.runtime import keep_in_step
from handrail.testing import Outside, record, running, server
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order

HISTORIES = Path(__file__).parent / "schedules"
NIGHTLY = "orders/nightly"


def order_of(at: datetime) -> Order:
    """The order of a day."""
    return Order(number=f"{at:%Y-%m-%d}")


def fleet(directory: Path) -> Fleet:
    """An agent with a schedule whose cases wait for each other."""
    nightly = Schedule(name="nightly", event=order_of, cron="0 2 * * *", jitter=timedelta(hours=1))
    return orders(directory, triggers=[nightly])


async def main() -> None:
    """Two nights, of which one has its case already."""
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        outside = Outside(directory / "outside.db")
        with outside.installed():
            async with (
                server(directory / "server") as started,
                running(fleet(directory), started, directory) as stage,
            ):
                await keep_in_step(stage.client, stage.fleet.agents["orders"])
                ana = Operator(stage.client, stage.ledger, by="ana@example.com")
                today = datetime.now(UTC).replace(hour=2, minute=0, second=0, microsecond=0)
                first = today - timedelta(days=2)
                await ana.trigger_schedule(NIGHTLY, first)
                found = await ana.backfill_schedule(NIGHTLY, first, first + timedelta(days=1))
                iso = [f"{run.at:%Y-%m-%dT%H:%M:%SZ}" for run in found.runs]
                handle = stage.client.get_workflow_handle(f"{NIGHTLY}-{iso[0]}..{iso[-1]}")
                await handle.result()
                await record(handle, HISTORIES / "two_nights.json")


if __name__ == "__main__":
    asyncio.run(main())
