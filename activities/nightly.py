"""The steps of the nightly report: what the fleet did in a day or a month, and whether it adds up.

It reads Handrail's ledger, the books and the bank's tray, holds the three against each other, puts
the report into the books once under its name, and mails it (`NIGHTLY_SMTP`, as `host:port`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from typing import Any, Literal
from urllib.parse import quote

import aiosmtplib
from pydantic import BaseModel
from typing_extensions import override

from activities.reconciliation_statements import gaps
from activities.reconciliation_systems import Tray, call, items, posted, tray
from handrail import (
    Action,
    Decision,
    Effect,
    Event,
    Final,
    current_effect,
    decide,
    notify,
    read,
    write,
)
from handrail.client import Operator
from handrail.evidence import AgentReport
from handrail.ledger import CaseRow, EffectState, Ledger
from handrail.runtime import Settings, open_ledger

MAIL_SERVER, READERS = "127.0.0.1:8595", "management@example.com"
PATIENCE = timedelta(seconds=10)
_POSTS = ("reconciliation", "post")


class ReportDue(Event):
    """A day, or the month that a day is of, is to be reported on."""

    period: Literal["day", "month"]
    on: date

    @property
    @override
    def key(self) -> str:
        return f"day-{self.on}" if self.period == "day" else f"month-{self.on:%Y-%m}"

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From when on, and until before when (UTC)."""
        first, after = self.on, self.on + timedelta(days=1)
        if self.period == "month":
            first = self.on.replace(day=1)
            after = (first + timedelta(days=31)).replace(day=1)
        begin, end = (datetime.combine(each, time(), UTC) for each in (first, after))
        return begin, end


class AgentSums(BaseModel, frozen=True):
    """What one agent did. `asked`: questions to people; `ends`: ended cases by state."""

    agent: str
    ends: dict[str, int]
    writes: int
    alone: int
    asked: int
    value: Decimal | None = None


class BookSums(BaseModel, frozen=True):
    """What the books took, and how they stand (EUR)."""

    postings: dict[str, int]
    posted: Decimal
    waiting: list[str]
    """Lines of the bank that are not posted yet."""
    unknown: Decimal
    """On the account for what nobody knows yet."""
    open: int
    owed: Decimal
    overdue: list[str]
    aside: list[str]


class Summed(BaseModel, frozen=True):
    """A period's sums. `differences`: what does not add up, each in words."""

    name: str
    agents: list[AgentSums]
    books: BookSums
    differences: list[str]


class PutReport(Action):
    """Put a report where it is kept: once, under its name."""

    name: str
    text: str


class Adds(BaseModel, frozen=True):
    """The evidence for a report: whether it adds up."""

    differences: list[str]
    differ: int
    """How many."""
    cases: int
    agents: int


# Reading


@read(timeout=timedelta(minutes=2))
async def sum_up(due: ReportDue) -> Summed:
    """Add up what every agent of the fleet did, and hold it against books and bank."""
    since, until = due.span
    until = min(until, datetime.now(UTC))
    async with _ledger() as ledger:
        agents, wrong = await fleet_sums(ledger, since, until)
        wrong += await _books_against(ledger, since, until)
    has = await tray()
    wrong += _bank_against(has, await posted())
    books = await _books(has, since, until)
    wrong += [f"a statement is missing before {each}" for each in gaps(has.good)]
    return Summed(name=due.key, agents=agents, books=books, differences=wrong)


@asynccontextmanager
async def _ledger() -> AsyncGenerator[Ledger]:
    async with open_ledger(Settings.from_environment()) as ledger:
        yield ledger


async def fleet_sums(
    ledger: Ledger, since: datetime, until: datetime
) -> tuple[list[AgentSums], list[str]]:
    """Each agent's sums from its cases and effects, held against its owner's report."""
    cases = await ledger.cases_recorded(None, since, until)
    closed = Operator(None, ledger, clock=lambda: until)
    names = {each.agent for each in cases} | set(await ledger.latest_writes())
    found, wrong = list[AgentSums](), list[str]()
    for name in sorted(names):
        effects = await ledger.effects_during(name, since, until)
        done = [e for e in effects if e.state is EffectState.DONE and e.begun >= since]
        own, report = await _counted(ledger, closed, name, (since, until))
        reckoned = _reckoned(report)
        if reckoned != len(own):
            wrong.append(f"{name}: {len(own)} cases ended, its report has {reckoned}")
        asked = await ledger.questions_recorded(name, since, until)
        found.append(
            AgentSums(
                agent=name,
                ends=dict(Counter(str(each.state) for each in own)),
                writes=len(done),
                alone=sum(each.alone is True for each in done),
                asked=len(asked),
                value=report.value.net,
            )
        )
    return found, wrong


async def _counted(
    ledger: Ledger, closed: Operator, name: str, span: tuple[datetime, datetime], looks: int = 3
) -> tuple[list[CaseRow], AgentReport]:
    """The cases of an agent that ended, and its report; another look where they differ.

    While a day goes on, a case may be recorded between the one and the other.
    """
    own = await ledger.cases_recorded(name, *span)
    report = await closed.report(name, span[0])
    if len(own) != _reckoned(report) and looks > 1:
        return await _counted(ledger, closed, name, span, looks - 1)
    return own, report


def _reckoned(report: AgentReport) -> int:
    """How many ended cases a report counts, with those that it says are no tasks."""
    return report.tasks + sum(n for why, n in report.left_out.items() if why != "open")


async def _books_against(ledger: Ledger, since: datetime, until: datetime) -> list[str]:
    """Which postings the ledger knows nothing of, and which the books do not have."""
    agent, step = _POSTS
    everything = await posted()
    kept = {each["key"] for each in everything}
    effects = await ledger.effects_during(agent, since, until)
    done = {e.key for e in effects if e.step == step and e.state is EffectState.DONE}
    back = {e.case for e in effects if e.step == "take_back" and e.state is EffectState.DONE}
    lost = [e.key for e in effects if e.key in done - kept and e.case not in back]
    wrong = [f"posting {key} is in the ledger, and not in the books" for key in lost]
    for each in everything:
        during = since <= datetime.fromisoformat(each["at"]) < until
        if during and each["key"] not in done:
            effect = await ledger.effect(each["key"])
            if effect is None or effect.state is not EffectState.DONE:
                wrong.append(f"posting {each['key']} is in the books, and not in the ledger")
    return wrong


def _bank_against(has: Tray, everything: list[dict[str, Any]]) -> list[str]:
    """Which postings are of no line of the bank, or of another amount than it."""
    lines = {(each.statement, each.number): each.amount for each in has.lines}
    wrong: list[str] = []
    for each in everything:
        paid = lines.get((each["statement"], each["line"]))
        if paid is None:
            wrong.append(f"posting {each['key']} is of no line of the bank")
        elif paid != Decimal(each["amount"]):
            wrong.append(f"posting {each['key']} is of {each['amount']} EUR, its line of {paid}")
    return wrong


async def _books(has: Tray, since: datetime, until: datetime) -> BookSums:
    everything = await posted()
    during = [e for e in everything if since <= datetime.fromisoformat(e["at"]) < until]
    done = {(each["statement"], each["line"]) for each in everything}
    owed = [each for each in await items() if each.open > 0]
    late = [each for each in owed if each.due < until.date()]
    aside = await call("GET", "/aside")
    return BookSums(
        postings=dict(Counter(each["kind"] for each in during)),
        posted=_sum(each["amount"] for each in during),
        waiting=[
            f"{each.statement}, line {each.number}: {each.amount} EUR"
            for each in has.lines
            if (each.statement, each.number) not in done
        ],
        unknown=_sum(each["amount"] for each in everything if not each["invoice"]),
        open=len(owed),
        owed=_sum(each.open for each in owed),
        overdue=[f"{each.id}: {each.open} EUR since {each.due}" for each in late],
        aside=[f"{e['file']}, part {e['part']}: {e['fault']} ({e['lines']} lines)" for e in aside],
    )


def _sum(amounts: Iterable[Any]) -> Decimal:
    return sum(map(Decimal, amounts), Decimal(0))


# Deciding


@decide
async def compose(summed: Summed) -> Decision[PutReport, Adds]:
    """Write the report; what does not add up stands first in it."""
    facts = Adds(
        differences=summed.differences,
        differ=len(summed.differences),
        cases=sum(sum(each.ends.values()) for each in summed.agents),
        agents=len(summed.agents),
    )
    action = PutReport(name=summed.name, text=in_words(summed))
    why = f"{facts.cases} cases of {facts.agents} agents, {len(facts.differences)} differences"
    return Decision(action=action, rationale=why, confidence=1.0, evidence=facts)


def in_words(summed: Summed) -> str:
    """The report as people read it."""
    books, rows = summed.books, list[str]()
    for each in summed.agents:
        ends = ", ".join(f"{n} {state}" for state, n in sorted(each.ends.items())) or "none"
        value = "" if each.value is None else f", value {each.value} EUR"
        rows.append(
            f"{each.agent}: {ends}; {each.writes} writes, {each.alone} of them alone; "
            f"{each.asked} questions{value}"
        )
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(books.postings.items())) or "none"
    return "\n".join(
        [
            f"Report {summed.name}",
            *(summed.differences or ["Ledger, books and bank agree."]),
            "",
            *rows,
            "",
            f"Postings: {kinds}; {books.posted} EUR",
            f"Lines of the bank that are not posted: {len(books.waiting)}",
            *(f"  {each}" for each in books.waiting),
            f"On the account for what nobody knows yet: {books.unknown} EUR",
            f"Open: {books.open} items, {books.owed} EUR",
            f"Overdue: {len(books.overdue)} items",
            *(f"  {each}" for each in books.overdue),
            f"Set aside: {len(books.aside)} statements",
            *(f"  {each}" for each in books.aside),
        ]
    )


# Writing and telling


@write(idempotent=True)
async def put_report(action: PutReport, effect: Effect) -> str:
    """Put the report under its name; there is one of a name, and it stays as it is."""
    del effect
    await call("PUT", f"/reports/{action.name}", json={"text": action.text})
    return action.name


@notify(timeout=timedelta(seconds=30))
async def mail_report(name: str, text: str) -> None:
    """Mail the report; however often it is sent, it is one message by its id."""
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["Subject"] = "Nightly report <nightly@example.com>", f"Report {name}"
    mail["To"] = os.environ.get("NIGHTLY_TO") or READERS
    mail["Date"], mail["Auto-Submitted"] = localtime(), "auto-generated"
    mail["Message-ID"] = f"<{quote(current_effect().key, safe='')}@nightly.example.com>"
    mail.set_content(text)
    host, _, port = (os.environ.get("NIGHTLY_SMTP") or MAIL_SERVER).rpartition(":")
    try:
        await aiosmtplib.send(mail, hostname=host, port=int(port), timeout=PATIENCE.total_seconds())
    except aiosmtplib.SMTPResponseException as error:
        if error.code >= 500:  # noqa: PLR2004 - RFC 5321: for good
            raise Final(f"the mail server refuses it: {error}") from error
        raise
