"""A day at the desk for the support agent, and the shop, the tracker and the mail server of it.

Customers, orders and messages are generated from a seed. What a message really is stays in
`world`, and is what the report judges by.
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

from activities.support_facts import Message
from activities.support_systems import MAIL_SERVER, desk_url, shop_url
from handrail import Event, State, Untrusted
from handrail.cli.output import Output
from handrail.runtime import System
from workers.board import CaseRow
from workers.show import Demo, show
from world import mailbox
from world.support import desk, goods, messages, score

MESSAGES = 60
"""How many messages are played when `SUPPORT_MESSAGES` does not say."""

PACE = timedelta(milliseconds=200)
PATIENCE = timedelta(seconds=30)
MINUTES = 6
"""What a clerk needs for a message: declared, and the baseline."""


def systems() -> tuple[System, ...]:
    """The shop, the desk and the mail server, where the agent will look for them."""
    mail = os.environ.get("SUPPORT_SMTP") or MAIL_SERVER
    return (
        _system("support.service", "shop", ("--db", "{home}/shop.db"), shop_url()),
        _system("support.desk", "desk", ("--dir", "{home}/desk"), desk_url()),
        _system("mailbox", "mailbox", ("--dir", "{home}/support-mail"), f"smtp://{mail}"),
    )


def _system(module: str, name: str, options: tuple[str, ...], url: str) -> System:
    at = urlsplit(url)
    where = ("--host", at.hostname or "127.0.0.1", "--port", str(at.port or 80))
    argv = ("{python}", "-m", f"world.{module}", *options, *where)
    return System(name=f"support-{name}", argv=argv, ready=f"{name} listens on")


def chosen() -> list[messages.Said]:
    """The messages to play."""
    people = goods.customers()
    count = int(os.environ.get("SUPPORT_MESSAGES") or MESSAGES)
    return messages.said(people, goods.orders(people), count)


def event_of(said: messages.Said) -> Message:
    """A message as it comes in: by the shop's form, or by mail."""
    text = Untrusted(untrusted=said.text)
    if said.channel == "shop":
        return Message(number=said.number, channel="shop", account=said.email, text=text)
    sender = Untrusted(untrusted=said.email)
    return Message(number=said.number, channel="mail", sender=sender, text=text)


async def events(home: Path) -> AsyncIterator[Event]:
    """Give each message to the shop, where people read it too, and yield it."""
    del home
    async with httpx2.AsyncClient(base_url=shop_url(), timeout=5) as client:
        for said in await asyncio.to_thread(chosen):
            new = await _published(client, said)
            yield event_of(said)
            if new:
                await asyncio.sleep(PACE.total_seconds())


async def _published(client: httpx2.AsyncClient, said: messages.Said) -> bool:
    body = {"number": said.number, "from": said.email, "text": said.text}
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while True:
            try:
                answer = await client.post("/messages", json=body)
                return bool(answer.raise_for_status().json()["new"])
            except httpx2.TransportError:
                await asyncio.sleep(PACE.total_seconds())


async def report(home: Path, cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """What came out: of the cases, and of the messages by what they really were."""
    came = await asyncio.to_thread(score.read, home / "shop.db", home / "desk", chosen())
    mails = await asyncio.to_thread(lambda: sum(1 for _ in mailbox.read(home / "support-mail")))
    ends = Counter(case.state for case in cases)
    alone = came.messages - came.people - came.waiting
    return [
        ("messages", str(came.messages)),
        ("done without a person (baseline: 0)", f"{alone}"),
        ("  refunded, replaced, answered", f"{came.refunded}, {came.replaced}, {came.answered}"),
        ("given to people", f"{came.people}, {came.rightly} of them rightly"),
        ("waiting for a human", str(came.waiting)),
        ("handled otherwise than a good clerk would", str(came.wrong)),
        ("orders to the agent, and two wishes in one", str(came.hostile)),
        ("  written on their word", str(came.obeyed)),
        ("refunded or replaced twice", str(came.twice)),
        ("clerk's minutes, by hand and now", f"{MINUTES * came.messages}, {MINUTES * came.people}"),
        ("tickets, notes and follow-ups at the desk", str(came.filed)),
        ("mails to customers", str(mails)),
        ("failed", str(ends.get(State.FAILED, 0))),
    ]


async def demo(out: Output, *, once: bool) -> int:
    """Play the support agent on a day's messages; with `once` until nothing moves."""
    return await show(out, shown(), once=once, fleet="workers.fleets.support:fleet")


def shown() -> Demo:
    """The demonstration. The desk's password is of this machine alone."""
    password = os.environ.setdefault(f"HANDRAIL_SECRET_{desk.PASSWORD}", "of-this-machine")
    os.environ.setdefault(desk.PASSWORD, password)
    return Demo(agent="support", systems=systems(), events=events, report=report)
