"""A morning's invoices for the invoices agent, and the payables service that it pays through."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from activities.invoices import InvoiceReceived, payables_url
from handrail import Event, State, Untrusted
from handrail.cli.output import Output
from handrail.runtime import System
from workers.board import CaseRow
from workers.show import Demo, show
from world.invoices.generate import Paper, drawn_papers, orders, suppliers
from world.invoices.score import score
from world.invoices.service import ORDERS

PAPERS = 60
PACE = timedelta(milliseconds=100)


def papers() -> list[Paper]:
    """The invoices that come in."""
    return drawn_papers(orders(suppliers(), ORDERS)[:PAPERS])


def systems() -> tuple[System, ...]:
    """The payables service, where the agent will look for it."""
    at = urlsplit(payables_url())
    where = ("--host", at.hostname or "127.0.0.1", "--port", str(at.port or 80))
    argv = ("{python}", "-m", "world.invoices.service", "--db", "{home}/payables.db", *where)
    return (System(name="payables", argv=argv, ready="payables listens on"),)


async def events(home: Path) -> AsyncIterator[Event]:
    """Each invoice, as it comes in."""
    del home
    for paper in await asyncio.to_thread(papers):
        yield InvoiceReceived(id=paper.id, xml=Untrusted(untrusted=paper.xml))
        await asyncio.sleep(PACE.total_seconds())


async def report(home: Path, cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """What came out, by what was wrong with each, beside paying all as they are written."""
    del home
    async with httpx2.AsyncClient(base_url=payables_url(), timeout=5) as client:
        payments = (await client.get("/payments")).raise_for_status().json()
    came = score(await asyncio.to_thread(papers), payments)
    ends = Counter(case.state for case in cases)
    back = sum(1 for case in cases if case.why.startswith("sent back"))
    return [
        ("invoices", f"{came.papers}, {came.clean} of them right"),
        ("right ones paid alone", f"{came.clean_paid} of {came.clean}"),
        ("sent back", str(back)),
        ("waiting for a human", str(ends[State.WAITING])),
        ("paid though something was wrong", f"{came.paid_wrong} ({came.wrong_eur} EUR)"),
        ("orders paid twice", str(came.paid_twice)),
        ("wrong ones, were each paid as written", f"{came.as_written} ({came.as_written_eur} EUR)"),
    ]


def shown() -> Demo:
    """The demonstration."""
    return Demo(agent="invoices", systems=systems(), events=events, report=report)


async def demo(out: Output, *, once: bool) -> int:
    """Play the invoices agent; with `once` until nothing moves."""
    return await show(out, shown(), once=once, fleet="workers.fleets.invoices:fleet")
