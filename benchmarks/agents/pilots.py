"""Three agents from pilot to full, by signatures; and one that drift takes back.

``make pilots`` plays inspection, invoices and support on the real server, a
ledger and their own outside systems: each begins in pilot, people's decisions come in, the system
proposes more, two people sign it, a share runs alone and is reviewed, and at last all of it. Then
the machine of a line goes off: what inspection decides moves, and it is taken back by itself.
Inspection climbs by the usual shares, 5, 25, 50 and 100 %; the others by 30 and 60 %.

Time is compressed: weeks of a promotion are minutes here, so that `days` is 0, `cases` and bounds
are small, limits by the day are left out, and everything that ran alone is reviewed. Parts,
invoices and messages are generated; people decide by the generators' truth. Signatures are real.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from temporalio.client import WorkflowExecutionStatus

import activities.inspection
import activities.invoices
import activities.support
import guardrails.inspection
import guardrails.invoices
import guardrails.support
from activities.inspection import Part
from activities.invoices import InvoiceReceived
from activities.maintenance import Look
from activities.support_facts import Message, RefundDue
from handrail import Agent, Event, Fleet, HandsTo, Untrusted
from handrail.client import Operator
from handrail.oversight import Keyring, OrderState, SigningKey, Trust
from handrail.testing import CaseHandle, Stage, running, server
from workflows.inspection import InspectionAgent
from workflows.invoices import InvoiceAgent
from workflows.support import SupportAgent
from world.inspection.boards import part
from world.inspection.service import SEED, Lines
from world.invoices.generate import clean, suppliers
from world.invoices.generate import orders as ordered
from world.invoices.service import ORDERS
from world.support import goods

PROMOTE = {"agreement": "75%", "wrong": "20%", "cases": 20, "days": 0}
SHARES = {"inspection": ["5%", "25%", "50%", "100%"]}
FEWER = ["30%", "60%", "100%"]
"""Of those whose outside systems have some 200 orders: 5 % of them are no 20 that run alone."""
BATCH, MOST, CALM = 10, 800, 60
LINE = 1
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Job:
    """An event, and what people do about it."""

    event: Event
    people: dict[str, Any]


@dataclass
class Play:
    """One agent's way."""

    agent: str
    step: str
    jobs: Iterator[Job]
    owners: tuple[str, str]
    """Who signs what lets it do more."""
    reviewer: str


# What comes in, and what people do about it


def parts(lines: Lines, *, off: bool, first: int) -> Iterator[Job]:
    """Parts of a line; none that closes a point of its chart, so that it is not stopped."""
    for serial in itertools.count(first):
        if serial % 10:
            lines.rows("insert into parts values (?, ?, ?)", LINE, serial, off)
            bad = part(LINE, serial, SEED, off=off).defects
            people = {"line": LINE, "serial": serial, "verdict": "stop" if bad else "pass"}
            yield Job(Part(line=LINE, serial=serial, at=LONG_AGO), people)


def invoices() -> Iterator[Job]:
    """Invoices that are right, each of an order of its own."""
    for number, order in enumerate(ordered(suppliers(), ORDERS)):
        paper = clean(order, number)
        people = {
            "supplier": order.supplier.id,
            "order": order.number,
            "iban": order.supplier.iban,
            "amount": str(order.total),
            "document": paper.id,
        }
        yield Job(InvoiceReceived(id=paper.id, xml=Untrusted(untrusted=paper.xml)), people)


def refunds() -> Iterator[Job]:
    """Messages that want money back for what came less than 30 days ago."""
    people = {who["id"]: who for who in goods.customers()}
    due = (
        o
        for o in goods.orders(list(people.values()))
        if o["status"] == "delivered" and 0 < o["days"] <= 30 and o["total"].count(".") == 1  # noqa: PLR2004
    )
    for number, o in enumerate(o for o in due if float(o["total"]) > 0):
        words = f"Please refund order {o['id']}, the {o['article']} is not what I wanted."
        who = people[o["customer"]]["email"]
        said = Message(
            number=f"M{number}", channel="shop", account=who, text=Untrusted(untrusted=words)
        )
        yield Job(said, {"order": o["id"], "amount": o["total"]})


# The agents, with a promotion that takes minutes


def policy_of(source: Path, step: str, home: Path) -> Path:
    """A policy as its owner signed it, but for how long and how much a promotion takes."""
    doc: Any = YAML(typ="safe").load(source)  # pyright: ignore[reportUnknownMemberType]  # it has no types
    rule = doc["actions"][step]
    ramp = SHARES.get(doc["agent"], FEWER)
    rule |= {"promote": PROMOTE | {"shares": ramp}, "review": {"random": "100%", "for": doc["for"]}}
    for each in doc["actions"].values():
        each.pop("limits", None)
    doc.pop("breakers", None)
    path = home / source.name
    path.write_text(json.dumps(doc), encoding="utf-8")
    return path


def fleet_in(home: Path) -> Fleet:
    """The three agents."""
    given: Sequence[tuple[str, Any, Any, Any, str, Any]] = (
        ("inspection", InspectionAgent, activities.inspection, guardrails.inspection, "sort", Look),
        ("invoices", InvoiceAgent, activities.invoices, guardrails.invoices, "pay", None),
        ("support", SupportAgent, activities.support, guardrails.support, "refund", RefundDue),
    )
    to = {"inspection": "maintenance", "support": "refunds"}
    return Fleet(
        *(
            Agent(
                name,
                flow,
                steps=steps,
                policy=policy_of(Path(checks.__file__).with_suffix(".yaml"), step, home),
                checks=checks,
                hands_to=[HandsTo(to[name], event, elsewhere=True)] if event else [],
            )
            for name, flow, steps, checks, step, event in given
        )
    )


def world_in(home: Path, stack: ExitStack) -> Lines:
    """Their outside systems, as processes; the lines."""
    os.environ |= {"DESK_PASSWORD": "of-this-run", "HANDRAIL_SECRET_DESK_PASSWORD": "of-this-run"}
    os.environ["INSPECTION_MODEL"] = str(home / "sight")
    for name, module, option, file in (
        ("INSPECTION_LINES_URL", "inspection.service", "--db", "lines.db"),
        ("INVOICES_PAYABLES_URL", "invoices.service", "--db", "payables.db"),
        ("SUPPORT_SHOP_URL", "support.service", "--db", "shop.db"),
        ("SUPPORT_DESK_URL", "support.desk", "--dir", "desk"),
        ("SUPPORT_SMTP", "mailbox", "--dir", "mail"),
    ):
        argv = [sys.executable, "-m", f"world.{module}", option, str(home / file), "--port", "0"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
        stack.callback(process.wait)
        stack.callback(process.kill)
        assert process.stdout is not None  # noqa: S101
        os.environ[name] = process.stdout.readline().split()[-1].removeprefix("smtp://")
    return Lines(home / "lines.db", SEED)


# The way


class Way:
    """The way of one agent, on a stage."""

    def __init__(self, stage: Stage, keyring: Keyring, play: Play) -> None:
        self.stage, self.play, self._keyring = stage, play, keyring
        self._known = dict[str, Operator]()
        self._right = dict[str, dict[str, Any]]()
        """By case: what people do."""

    def as_(self, who: str) -> Operator:
        """Somebody, who signs with a key of their own."""
        if who not in self._known:
            key = SigningKey.new(who, LONG_AGO)
            self._keyring.trust(key.public())
            known: dict[str, Any] = {"keyring": self._keyring, "agents": self.stage.fleet.agents}
            self._known[who] = Operator(self.stage.client, self.stage.ledger, key, by=who, **known)
        return self._known[who]

    def say(self, words: str) -> None:
        """Print a line."""
        print(f"| {self.play.agent}/{self.play.step} | {len(self._right)} | {words} |", flush=True)

    async def to_full(self) -> None:
        """From pilot to full: step by step up, each proposed, signed by two, and lived."""
        play, owner = self.play, self.as_(self.play.owners[0])
        await owner.set_level(f"{play.agent}/{play.step}", "pilot", why="it begins")
        for step in range(len(SHARES.get(play.agent, FEWER))):
            await self._proposed(piloted=not step)
            (write,) = (await owner.promotions(play.agent)).writes
            assert write.proposal is not None  # noqa: S101  # it is proposed
            became = await owner.agree_promotion(write.proposal, "the figures are good")
            if became.stand is OrderState.WAITING:
                became = await self.as_(play.owners[1]).second(became.id)
            assert became.stand is OrderState.IN_FORCE, became  # noqa: S101
            (write,) = (await owner.promotions(play.agent)).writes
            self.say(f"signed by {' and '.join(play.owners)}: now {write.now}")

    async def _proposed(self, *, piloted: bool) -> None:
        """Let it work until the system proposes more.

        Raises:
            RuntimeError: if it does not in so many cases.
        """
        play, system = self.play, self.as_("handrail@example.com")
        for _ in range(MOST // BATCH):
            await self.more(BATCH, piloted=piloted)
            done = await system.evaluate_promotions(play.agent)
            assert not done.back, done.back  # noqa: S101
            if done.proposed:
                self.say(f"proposed: {done.proposed[0].partition(': ')[2]}")
                return
        (write,) = (await system.promotions(play.agent)).writes
        raise RuntimeError(f"{play.agent} is not proposed: {'; '.join(write.lacking)}")

    async def stays(self, count: int) -> None:
        """Let it work on as before: nothing is taken back."""
        await self.more(count, piloted=False)
        done = await self.as_("handrail@example.com").evaluate_promotions(self.play.agent)
        assert not done.back, done.back  # noqa: S101
        self.say(f"{count} more as before: nothing is taken back")

    async def back(self, jobs: Iterator[Job]) -> None:
        """Let it work on what has drifted until the system takes it back.

        Raises:
            RuntimeError: if it does not in so many cases.
        """
        self.play.jobs, begun = jobs, len(self._right)
        for _ in range(MOST // BATCH):
            await self.more(BATCH, piloted=False)
            done = await self.as_("handrail@example.com").evaluate_promotions(self.play.agent)
            if done.back:
                after = len(self._right) - begun
                said = done.back[0].partition(": ")[2]
                return self.say(f"taken back by itself, {after} cases after the drift: {said}")
        raise RuntimeError("nothing was noticed")

    async def more(self, count: int, *, piloted: bool) -> None:
        """Start some cases and answer what they ask; people review, or do it themselves."""
        play = self.play
        jobs = list(itertools.islice(play.jobs, count))
        cases = [await self.stage.start(play.agent, job.event) for job in jobs]
        self._right |= {case.id: job.people for case, job in zip(cases, jobs, strict=True)}
        for case in cases:
            await self._rests(case)
        if piloted:
            now = datetime.now(UTC)
            said = [
                {"case": each.id, "at": now, "by": "clerk@example.com", "step": play.step}
                | {"action": job.people}
                for each, job in zip(cases, jobs, strict=True)
            ]
            taken = await self.as_(play.owners[0]).import_outcomes(play.agent, said, "the day")
            assert not taken.bad, taken.bad  # noqa: S101
        else:
            await self._review()

    async def _rests(self, case: CaseHandle) -> None:
        """Wait until a case has ended, or waits for another write; approve what is right."""
        while (await case.handle.describe()).status is WorkflowExecutionStatus.RUNNING:
            for gate in await case.gates():
                if gate.step != self.play.step:
                    return  # a person's own matter, such as a part in the tray
                await self.as_(gate.people[0]).approve(gate)
            await asyncio.sleep(0.1)

    async def _review(self) -> None:
        """Say of all that ran alone whether it was right, by the generator's truth."""
        for row in await self.stage.ledger.reviews(self.play.agent, open_only=True):
            who = self.as_(self.play.reviewer)
            action, right = (await who.review(row.key)).action or {}, self._right[row.case]
            fine = action.get("verdict") == "hold" or all(action[f] == right[f] for f in right)
            await who.answer_review(row.key, "right" if fine else "wrong", "looked at it")


async def play_all(home: Path, lines: Lines) -> None:
    """Play the three, then the drift."""
    fleet, keyring = fleet_in(home), Keyring(home / "trusted.json")
    plays = (
        Play(
            "inspection",
            "sort",
            parts(lines, off=False, first=1),
            ("quality@example.com", "max@example.com"),
            "ina@example.com",
        ),
        Play(
            "invoices",
            "pay",
            invoices(),
            ("finance@example.com", "cfo@example.com"),
            "ada@example.com",
        ),
        Play(
            "support",
            "refund",
            refunds(),
            ("support@example.com", "cy@example.com"),
            "ana@example.com",
        ),
    )
    started = server(home)
    await started.start()
    try:
        trust = Trust(keyring=keyring, proof="required")
        async with running(fleet, started, home, trust=trust) as stage:
            ways = [Way(stage, keyring, play) for play in plays]
            for way in ways:
                await way.to_full()
            await ways[0].stays(CALM)
            await ways[0].back(parts(lines, off=True, first=10_001))
    finally:
        await started.stop()


def main() -> None:
    """Play them in a home of their own."""
    argparse.ArgumentParser(description="From pilot to full, and back by drift.").parse_args()
    print("| write | cases so far | what happened |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as given, ExitStack() as stack:
        home = Path(given)
        lines = world_in(home, stack)
        asyncio.run(play_all(home, lines))


if __name__ == "__main__":
    main()
