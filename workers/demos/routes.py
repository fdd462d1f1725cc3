"""A day of deliveries for the routes agent, and the dispatch service that it plans for.

The city, its orders and its traffic are generated: see world/routes. The day is played in about a
minute: the clock goes on when the agent has planned for what happened.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from activities.routes import DISPATCH_URL, Changed
from handrail import Event, State
from handrail.cli.output import Output
from handrail.runtime import System
from workers.board import CaseRow
from workers.show import Demo, show
from world.routes import city
from world.routes.picture import route_map

SEED = 102
THINKING = timedelta(seconds=1)
"""How long the clock waits for a plan; then the vans drive on with the one they have."""

_AGAIN = timedelta(milliseconds=200)


def url() -> str:
    """Where the dispatch service is."""
    return os.environ.get("ROUTES_DISPATCH_URL") or DISPATCH_URL


async def events(home: Path) -> AsyncIterator[Event]:
    """Let the day go on, moment by moment, and yield what happens in each."""
    del home
    day = city.day(SEED)
    for minute in city.moments(day):
        key = f"clock-{minute}"
        await _call("POST", "/clock", {"now": minute}, key=key)
        before = (await _call("GET", "/day"))["version"]
        happened = Changed(day=f"D{SEED}", minute=minute, what="half-hour")
        for order in day.orders.values():
            if minute and minute in {order.known, order.cancelled}:
                what = "order" if minute == order.known else "cancelled"
                happened = Changed(day=f"D{SEED}", minute=minute, what=what, about=order.id)
        yield happened
        await _planned(before, first=minute == 0)
    await _call("POST", "/clock", {"now": 2 * city.SHIFT}, key="clock-end")


async def _planned(before: int, *, first: bool) -> None:
    """Wait for another plan: some time, since the plan may stay; for the first one, until it is."""
    waited = timedelta()
    while first or waited < THINKING:
        if (await _call("GET", "/day"))["version"] != before:
            return
        await asyncio.sleep(_AGAIN.total_seconds())
        waited += _AGAIN


async def report(home: Path, cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """What came out, beside the same day with the morning's plan kept; and the map of it."""
    score = await _call("GET", "/score")
    kept, agent = score["kept"], score["agent"]
    messages = await _call("GET", "/came/message")
    plans = await _call("GET", "/came/plan")
    brought = await _call("GET", "/came/order")
    drawn = await asyncio.to_thread(route_map, SEED, plans, brought)
    await asyncio.to_thread((home / "routes.svg").write_text, drawn)
    of = f"of {agent['orders']}"
    return [
        ("moments planned for", str(len(cases))),
        ("plans that went out", str(len(plans))),
        ("on time", f"{agent['on_time']} {of}; with the morning's plan kept {kept['on_time']}"),
        ("km", f"{agent['km']}; kept {kept['km']}"),
        ("late minutes", f"{agent['late_minutes']}; kept {kept['late_minutes']}"),
        ("not driven that day", f"{agent['never']}; kept {kept['never']}"),
        ("orders that others brought", str(len(brought))),
        ("drivers told", str(sum(len(each["drivers"]) for each in messages))),
        ("customers told", str(sum(len(each["customers"]) for each in messages))),
        ("waiting for a human", str(sum(case.state is State.WAITING for case in cases))),
        ("map", str(home / "routes.svg")),
    ]


async def _call(method: str, path: str, content: Any = None, key: str = "") -> Any:
    """Ask the dispatch service, also while it dies and comes back."""
    headers = {"Idempotency-Key": key} if key else {}
    async with asyncio.timeout(60), httpx2.AsyncClient(base_url=url(), timeout=20) as client:
        while True:
            try:
                answer = await client.request(method, path, json=content, headers=headers)
            except httpx2.TransportError:
                await asyncio.sleep(_AGAIN.total_seconds())
                continue
            return answer.raise_for_status().json()


def shown() -> Demo:
    """The demonstration, where its settings are right."""
    at = urlsplit(url())
    where = ("--host", at.hostname or "127.0.0.1", "--port", str(at.port or 80))
    serving = ("{python}", "-m", "world.routes.service", "--db", "{home}/dispatch.db")
    system = System(
        name="dispatch",
        argv=(*serving, "--seed", str(SEED), *where),
        ready="dispatch listens on",
    )
    return Demo(agent="routes", systems=(system,), events=events, report=report)


async def demo(out: Output, *, once: bool) -> int:
    """Play the routes agent on a day; with `once` until nothing moves."""
    return await show(out, shown(), once=once, fleet="workers.fleets.routes:fleet")
