"""What the small project's demo shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path

from paying import Invoice

from handrail.actions import Event
from handrail.cli.output import Output
from handrail.runtime import System
from workers.board import CaseRow
from workers.show import Demo, show


async def events(home: Path) -> AsyncIterator[Event]:
    del home
    for number, amount in enumerate((10, 300, 5000, 20, 400)):
        yield Invoice(id=f"D-{number}", amount=Decimal(amount))
        await asyncio.sleep(0.1)


async def report(home: Path, cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
    paid = [line for line in (home / "till.txt").read_text().splitlines() if line]
    return [("paid at the till", str(len(paid))), ("cases", str(len(cases)))]


async def demo(out: Output, *, once: bool) -> int:
    till = System("till", ("{python}", "till.py", "{home}/till.txt"), "till is open")
    shown = Demo(agent="pay", systems=(till,), events=events, report=report)
    return await show(out, shown, once=once)
