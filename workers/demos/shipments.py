"""A bad day's alerts for the shipments agent, and the systems that it writes to.

The flights and their delays are real, the freight on them is generated: world/SOURCE.md
says what is what.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from activities.shipments_facts import DelayAlert
from activities.shipments_systems import bookings_url, mail_server
from handrail import ConfigurationError, Event, State
from handrail.cli.output import Output
from handrail.runtime import System
from workers.board import CaseRow
from workers.show import Demo, show
from world import feed, mailbox, score
from world.consignments import generate
from world.flights import load_flights

ALERTS = 60
"""How many alerts are played when `SHIPMENTS_ALERTS` does not say. There are 328."""

PACE = timedelta(milliseconds=250)
"""Between two new alerts, so that a person sees what happens."""

PATIENCE = timedelta(seconds=30)
"""How long to wait for a booking service that is away."""

_BOOKINGS = "bookings.db"
_MAIL = "mail"


def systems() -> tuple[System, ...]:
    """The booking service and the mail server, where the agent will look for them."""
    bookings = urlsplit(bookings_url())
    mail_host, mail_port = mail_server()
    return (
        _system(
            "bookings",
            ("--db", f"{{home}}/{_BOOKINGS}"),
            (bookings.hostname or "127.0.0.1", bookings.port or 80),
        ),
        _system("mailbox", ("--dir", f"{{home}}/{_MAIL}"), (mail_host, mail_port)),
    )


def _system(name: str, options: tuple[str, ...], at: tuple[str, int]) -> System:
    host, port = at
    where = ("--host", host, "--port", str(port))
    return System(
        name=name,
        argv=("{python}", "-m", f"world.{name}", *options, *where),
        ready=f"{name} listens on",
    )


def how_many(most: int) -> int:
    """How many alerts to play, `most` being all.

    Raises:
        ConfigurationError: if `SHIPMENTS_ALERTS` is no such number.
    """
    given = os.environ.get("SHIPMENTS_ALERTS") or str(min(ALERTS, most))
    if not (given.isascii() and given.isdigit() and 0 < int(given) <= most):
        raise ConfigurationError(f"SHIPMENTS_ALERTS is {given!r}; write a number from 1 to {most}")
    return int(given)


def chosen() -> list[feed.DelayAlert]:
    """The alerts to play, spread evenly over the bad days, in the order of their time."""
    flights = load_flights()
    known = list(feed.alerts(flights, generate(flights).values()))
    count = how_many(len(known))
    return [known[i * len(known) // count] for i in range(count)]


async def events(home: Path) -> AsyncIterator[Event]:
    """Publish each alert to the booking service, which starts its clock, and yield it.

    A second run yields the same events, without a pause for those that were out already.
    """
    del home
    fields = set(DelayAlert.model_fields)
    async with httpx2.AsyncClient(base_url=bookings_url(), timeout=5) as client:
        for alert in await asyncio.to_thread(chosen):
            new = await _published(client, alert)
            yield DelayAlert.model_validate(alert.model_dump(include=fields))
            if new:
                await asyncio.sleep(PACE.total_seconds())


async def _published(client: httpx2.AsyncClient, alert: feed.DelayAlert) -> bool:
    """Publish an alert, also when the service dies meanwhile and comes back."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while True:
            try:
                return await feed.publish(client, alert)
            except httpx2.TransportError:
                await asyncio.sleep(PACE.total_seconds())


async def report(home: Path, cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """What came out: of the cases, and of the promises by what the flights really did."""
    came = await asyncio.to_thread(score.read, home / _BOOKINGS)
    mails = await asyncio.to_thread(lambda: sum(1 for _ in mailbox.read(home / _MAIL)))
    of = f"of {came.consignments}"
    rows = [("delays", str(came.consignments)), *_by_end(cases)]
    return [
        *rows,
        ("promises kept without the agent", f"{came.kept_without} {of}"),
        ("promises kept with it", f"{came.kept_with} {of}"),
        ("broken, had nobody acted, and kept", str(came.saved)),
        ("kept, had nobody acted, and broken", str(came.spoilt)),
        ("bookings that stand", str(came.rebooked)),
        ("extra cost", f"{came.extra_cost} EUR"),
        ("mails to customers", str(mails)),
    ]


def _by_end(cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
    ends = Counter(case.state for case in cases)
    done = [case for case in cases if case.state is State.DONE]
    moved = sum(1 for case in done if case.receipts)
    rows = [
        ("rebooked", str(moved)),
        ("left where they were", str(len(done) - moved)),
        ("waiting for a human", str(ends.pop(State.WAITING, 0))),
        ("refused by the policy or a check", str(ends.pop(State.REFUSED, 0))),
    ]
    ends.pop(State.DONE, None)
    return [*rows, *((state.replace("_", " "), str(count)) for state, count in ends.items())]


async def demo(out: Output, *, once: bool) -> int:
    """Play the shipments agent on a bad day's alerts; with `once` until nothing moves."""
    return await show(out, shown(), once=once)


def shown() -> Demo:
    """The demonstration, where its settings are right."""
    return Demo(agent="shipments", systems=systems(), events=events, report=report)
