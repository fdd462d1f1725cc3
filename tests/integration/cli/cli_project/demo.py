"""What the small project's demo shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path

from paying import Invoice

from handrail.actions import Event
from handrail.runtime.dev import CaseRow, Demo, System


async def events(home: Path) -> AsyncIterator[Event]:
    del home
    for number, amount in enumerate((10, 300, 5000, 20, 400)):
        yield Invoice(id=f"D-{number}", amount=Decimal(amount))
        await asyncio.sleep(0.1)


async def report(home: Path, cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
    paid = [line for line in (home / "till.txt").read_text().splitlines() if line]
    return [("paid at the till", str(len(paid))), ("cases", str(len(cases)))]


demo = Demo(
    agent="pay",
    systems=(System("till", ("{python}", "till.py", "{home}/till.txt"), "till is open"),),
    events=events,
    report=report,
)
