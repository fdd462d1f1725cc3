"""All demonstrations at once, on one server: what a company's fleet looks like.

`COMPANY_MINUTES` spreads the same events over so many minutes, with more of them where there are
more: a fleet is watched at work, and not how fast it is.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from activities.maintenance_systems import where
from handrail import ConfigurationError, Event
from handrail.cli.context import settings
from handrail.cli.output import Output
from handrail.runtime import open_ledger
from workers.board import CaseRow
from workers.demos import (
    alerts,
    inspection,
    invoices,
    leads,
    maintenance,
    onboarding,
    reconciliation,
    research,
    routes,
    sales,
    shipments,
    support,
)
from workers.show import Demo, show

_DEMOS = (
    shipments,
    support,
    invoices,
    onboarding,
    maintenance,
    inspection,
    routes,
    leads,
    sales,
    alerts,
    research,
)
_EVENTS = {
    "invoices": 60,
    "onboarding": 62,
    "maintenance": 60,
    "inspection": 100,
    "routes": 29,
    "sales": 12,
    "research": 31,
}
"""About how many events each has, of those that come one after the other and are no setting."""
_A_MINUTE, _ALERTS, _SHIFT = 5, 328, 345
"""Of shipments and of support; how many alerts there are at most; the minutes of alarms."""


async def demo(out: Output, *, once: bool) -> int:
    """Play all agents, who hand work to each other; with `once` until nothing moves.

    Raises:
        ConfigurationError: if `COMPANY_MINUTES` is no number of minutes.
    """
    fleet = "workers.fleets.company:fleet"
    return await show(out, *shown(_minutes()), once=once, fleet=fleet)


def _minutes() -> int:
    given = os.environ.get("COMPANY_MINUTES") or "0"
    if not (given.isascii() and given.isdigit()):
        raise ConfigurationError(f"COMPANY_MINUTES is {given!r}; write a number of minutes")
    return int(given)


def shown(minutes: int = 0) -> tuple[Demo, ...]:
    """Every demonstration, spread over so many minutes; with none as fast as each is by itself."""
    os.environ.setdefault("SUPPORT_REFUNDS_BY", "refunds")
    os.environ.setdefault("MAINTENANCE_SPARES_BY", "routes")
    os.environ.setdefault("MAINTENANCE_DISPATCH_URL", routes.url())
    # One calendar server has the plant's windows and the sellers' tasks.
    calendar = urlsplit(where("CALENDAR"))
    sales_at = f"http://sales:sales@{calendar.hostname}:{calendar.port}/sales/"
    os.environ.setdefault("SALES_CALENDAR_URL", sales_at)
    if minutes:
        count = _A_MINUTE * minutes
        os.environ.setdefault("SHIPMENTS_ALERTS", str(min(_ALERTS, count)))
        os.environ.setdefault("SUPPORT_MESSAGES", str(count))
        os.environ.setdefault("ALERTS_SPEED", str(_SHIFT / minutes))
    own = (*(each.shown() for each in _DEMOS), *reconciliation.shown())
    others = (Demo(agent, (), _nothing, _no_rows) for agent in ("stores", "refunds"))
    every = tuple(map(_handed_to, (*own, *others)))
    return tuple(_spread(each, minutes) for each in every) if minutes else every


def _spread(each: Demo, minutes: int) -> Demo:
    """The demonstration with its events so far apart that they take so many minutes."""
    counts = dict.fromkeys(("shipments", "support"), _A_MINUTE * minutes) | _EVENTS
    whole = timedelta(minutes=minutes).total_seconds()
    before = whole if each.agent == "nightly" else 0  # last: its report is over all of them
    after = whole / counts[each.agent] if each.agent in counts else 0

    async def events(home: Path) -> AsyncIterator[Event]:
        await asyncio.sleep(before)
        async for event in each.events(home):
            yield event
            await asyncio.sleep(after)

    return replace(each, events=events)


def _handed_to(each: Demo) -> Demo:
    """The demonstration, whose report says also what other agents handed on."""

    async def report(home: Path, cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
        async with open_ledger(settings()) as ledger:
            ended = await ledger.cases_recorded(each.agent)
        givers = Counter(row.parent.partition(":")[0] for row in ended if row.parent)
        givers.pop(each.agent, None)
        rows = [(f"handed on by {giver}", f"{n} ended") for giver, n in sorted(givers.items())]
        return [*await each.report(home, cases), *rows]

    return replace(each, report=report)


async def _nothing(home: Path) -> AsyncIterator[Event]:
    """No events: other agents give it work."""
    del home
    for event in ():
        yield event


async def _no_rows(home: Path, cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """Only how many cases there are."""
    del home
    return [("cases", str(len(cases)))]
