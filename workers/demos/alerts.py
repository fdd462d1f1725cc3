"""A shift of a plant's alarms for the alerts agent: Alertmanager, and the desk's Roundup.

Faults and alarms are generated from a seed and played faster than they were; which fault an alarm
comes from stays in `world`, and is what the report judges by.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from activities.alerts_facts import Alarm, Heard
from activities.alerts_systems import alerts_url, owner
from activities.support_systems import desk_url
from handrail import Event, State
from handrail.cli.output import Output
from handrail.runtime import System
from workers.board import CaseRow
from workers.show import Demo, show
from world.alerts import plant, score
from world.support import desk

SPEED = 300
"""How much faster a shift is played than it was, when `ALERTS_SPEED` does not say."""
_MINUTES = 4
"""What somebody needs to look at an alarm, and to find or write its issue: declared."""
_PATIENCE = timedelta(seconds=30)
_ISSUES = "SELECT _message, _about FROM _issue WHERE _customer LIKE ? AND _queue <> 'withdrawn'"
_NOTES = "SELECT _message, _about FROM _note WHERE _customer LIKE ? AND _queue <> 'withdrawn'"


def systems() -> tuple[System, ...]:
    """Alertmanager with the register, and the desk, where the agent will look for them."""
    return (
        _system("alerts.service", "alerts", ("--db", "{home}/alerts.db"), alerts_url()),
        _system("support.desk", "support-desk", ("--dir", "{home}/desk"), desk_url()),
    )


def _system(module: str, name: str, options: tuple[str, ...], url: str) -> System:
    at = urlsplit(url)
    where = ("--host", at.hostname or "127.0.0.1", "--port", str(at.port or 80))
    argv = ("{python}", "-m", f"world.{module}", *options, *where)
    return System(name=name, argv=argv, ready=f"{name.removeprefix('support-')} listens on")


async def events(home: Path) -> AsyncIterator[Event]:
    """Have each alarm ring at Alertmanager at its time, and yield what it posts."""
    del home
    day = await asyncio.to_thread(plant.made)
    last = plant.BEGINS
    async with httpx2.AsyncClient(base_url=alerts_url(), timeout=5) as client:
        for at, post, _ in day.posts():
            await asyncio.sleep((at - last).total_seconds() / float(os.environ["ALERTS_SPEED"]))
            last = at
            await _rung(client, post["alerts"])
            yield Heard.model_validate(post)


async def _rung(client: httpx2.AsyncClient, alerts: object) -> None:
    async with asyncio.timeout(_PATIENCE.total_seconds()):
        while True:
            try:
                (await client.post("/api/v2/alerts", json=alerts)).raise_for_status()
            except httpx2.TransportError:
                await asyncio.sleep(0.2)
            else:
                return


async def report(home: Path, cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """What came out: of the alarms, by what they really came from."""
    issues = await asyncio.to_thread(filed, home / "desk")
    came = await asyncio.to_thread(lambda: score.judged(plant.made(), issues))
    ends = Counter(case.state for case in cases)
    closed = sum(case.why.startswith("closed") for case in cases)
    return [
        ("alarms, and what they came from", f"{came.alarms}, {came.causes} causes"),
        ("issues (baseline: one for each alarm)", str(came.issues)),
        ("causes missed", str(came.missed)),
        ("issues with alarms of two causes", f"{came.merged}, {came.strayed} alarms strayed"),
        ("causes with two issues", str(came.split)),
        ("issues that name the component", f"{came.rooted} of {came.issues}"),
        ("alarms on no issue", str(came.unheard)),
        ("issues closed alone", str(closed)),
        ("a person is asked whether to close", str(ends[State.WAITING])),
        ("minutes, by hand and now", f"{_MINUTES * came.alarms}, {_MINUTES * came.issues}"),
        ("failed", str(ends[State.FAILED])),
    ]


def filed(home: Path) -> dict[str, tuple[str, set[tuple[str, datetime]]]]:
    """The issues in the desk's books: the component that each names, and its alarms."""
    found = dict[str, tuple[str, set[tuple[str, datetime]]]]()
    db = sqlite3.connect(f"file:{home}/db/db?mode=ro", uri=True)
    try:
        for cause, about in db.execute(_ISSUES, (owner("%"),)):
            found[cause] = (about.split(" ")[0], set())
        for cause, about in db.execute(_NOTES, (owner("%"),)):
            for words in about.split("\n")[1:]:
                at = Alarm.began(words).astimezone(UTC)
                found.setdefault(cause, ("", set()))[1].add((words.split(" ")[0], at))
    finally:
        db.close()
    return found


def shown() -> Demo:
    """The demonstration. The desk's password is of this machine alone."""
    os.environ.setdefault("ALERTS_SPEED", str(SPEED))
    password = os.environ.setdefault(f"HANDRAIL_SECRET_{desk.PASSWORD}", "of-this-machine")
    os.environ.setdefault(desk.PASSWORD, password)
    return Demo(agent="alerts", systems=systems(), events=events, report=report)


async def demo(out: Output, *, once: bool) -> int:
    """Play the alerts agent on a shift's alarms; with `once` until nothing moves."""
    return await show(out, shown(), once=once, fleet="workers.fleets.alerts:fleet")
