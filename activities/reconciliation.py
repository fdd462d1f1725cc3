"""The steps of the reconciliation agent: what a line of a bank statement pays, into the books.

Which item a line pays is found by `reconciliation_match`, beside the text of its payer, and what it
gives has none of that text: own numbers, amounts of bank and books, and kinds of a closed set. The
text goes along for people to read, marked as from outside. The books refuse a line twice: of one
statement and line there is one posting.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field
from typing_extensions import override

from activities.reconciliation_match import CERTAIN, Kind, Match, match
from activities.reconciliation_statements import Fault, gaps
from activities.reconciliation_systems import call, items, posted, tray
from handrail import Action, Decision, Effect, Event, Final, Untrusted, decide, read, write

EUR = Field(json_schema_extra={"unit": "EUR"})


class Look(Event):
    """Look at what the bank has delivered until a day, or at one line of it."""

    on: date
    statement: str = Field(default="", max_length=60, pattern=r"^[\w-]*$")
    line: int = Field(default=0, ge=0)

    @property
    @override
    def key(self) -> str:
        return f"{self.statement}-{self.line}" if self.statement else f"round-{self.on}"


class Place(BaseModel, frozen=True):
    """A line of a statement."""

    statement: str
    line: int


class Aside(BaseModel, frozen=True):
    """What of a file is set aside, with so many lines, and why."""

    file: str
    part: int
    lines: int
    fault: Fault


class Round(BaseModel, frozen=True):
    """What a round sees to. `gaps`: statements before which one is missing."""

    lines: list[Place]
    aside: list[Aside]
    gaps: list[str]


class Found(BaseModel, frozen=True):
    """What a line pays, and what its payer wrote. `posted`: whether it is in the books already."""

    match: Match
    payer: Untrusted
    text: Untrusted
    posted: bool


class Post(Action):
    """Post a line of a statement to an item of the books (EUR). `fee`: what banks kept of it.

    Without an item it goes to the account for what nobody knows yet.
    """

    statement: str
    line: int
    kind: Kind
    invoice: str = ""
    amount: Annotated[Decimal, EUR] = Field(max_digits=12, decimal_places=2)
    fee: Annotated[Decimal, EUR] = Field(default=Decimal(0), ge=0, max_digits=12, decimal_places=2)

    @property
    def summary(self) -> str:
        """One line for approvers."""
        return f"{self.amount} EUR ({self.kind}) to {self.invoice or 'what nobody knows yet'}"


class SetAside(Action):
    """Set a statement aside, with all of its lines."""

    file: str
    part: int
    lines: int
    fault: Fault


class Facts(BaseModel, frozen=True):
    """The evidence for a posting: what rules and the people of the books see of a line."""

    kind: Kind
    certain: bool
    invoice: str
    customer: str
    open: Annotated[Decimal, EUR]
    payer: Untrusted
    text: Untrusted


class Faulty(BaseModel, frozen=True):
    """The evidence for setting a statement aside."""

    fault: Fault
    lines: int


# Reading


@read(timeout=timedelta(minutes=1))
async def survey(on: date) -> Round:
    """Read what the bank has delivered, and which of its lines are not in the books."""
    has = await tray(on)
    done = {(each["statement"], each["line"]) for each in await posted()}
    known = {(each["file"], each["part"]) for each in await call("GET", "/aside")}
    parts: dict[str, int] = {}
    aside: list[Aside] = []
    for file, each in has.aside:
        parts[file] = parts.get(file, 0) + 1
        if (file, parts[file]) not in known:
            aside.append(Aside(file=file, part=parts[file], lines=each.held, fault=each.fault))
    return Round(
        lines=[
            Place(statement=each.statement, line=each.number)
            for each in has.lines
            if (each.statement, each.number) not in done
        ],
        aside=aside,
        gaps=gaps(has.good),
    )


@read(timeout=timedelta(minutes=1))
async def compare(statement: str, line: int) -> Found:
    """Compare a line with the items of the books, and with the other lines that are not posted."""
    lines = (await tray()).lines
    one = next((e for e in lines if (e.statement, e.number) == (statement, line)), None)
    if one is None:
        raise Final(f"the bank has delivered no line {line} of {statement} that may be used")
    done = {(each["statement"], each["line"]) for each in await posted()}
    pending = [each for each in lines if (each.statement, each.number) not in done]
    return Found(
        match=match(one, await items(), pending),
        payer=Untrusted(untrusted=f"{one.payer} {one.account}".strip()),
        text=Untrusted(untrusted=f"{one.reference} {one.text}".strip()),
        posted=(statement, line) in done,
    )


# Deciding


@decide
async def judge(aside: Aside) -> Decision[SetAside, Faulty]:
    """Set a statement aside that is not whole."""
    action = SetAside(file=aside.file, part=aside.part, lines=aside.lines, fault=aside.fault)
    evidence = Faulty(fault=aside.fault, lines=aside.lines)
    return Decision(action=action, rationale=aside.fault, confidence=1.0, evidence=evidence)


@decide
async def assign(found: Found) -> Decision[Post, Facts]:
    """Post a line to the item that it pays; where nobody knows which, to no item."""
    of = found.match
    fits = of.kind in CERTAIN or of.kind in {"short", "unclear"}
    action = Post(
        statement=of.statement,
        line=of.line,
        kind=of.kind,
        invoice=of.invoice if fits else "",
        amount=of.amount,
        fee=of.fee,
    )
    facts = Facts(
        kind=of.kind,
        certain=of.certain,
        invoice=of.invoice,
        customer=of.customer,
        open=of.open,
        payer=found.payer,
        text=found.text,
    )
    sure = 0.99 if of.certain else 0.5
    return Decision(action=action, rationale=of.kind, confidence=sure, evidence=facts)


# Writing


@write(idempotent=True)
async def take_back(action: Post, effect: Effect) -> None:
    """Take a posting out of the books, if it is there and ours."""
    del action
    if effect.undoes is None:
        raise Final("it only ever takes a posting of this agent back")
    await call("DELETE", "/postings", params={"key": effect.undoes.key})


async def as_posted(action: Post, effect: Effect, number: int) -> str | None:
    """Read a posting back: what of it is not as it should be, in words."""
    found = await posted(statement=action.statement, line=action.line)
    if [each["key"] for each in found] != [effect.key]:
        return f"the books have {len(found)} postings of line {action.line} of {action.statement}"
    has = (found[0]["invoice"], Decimal(found[0]["amount"]), Decimal(found[0]["fee"]))
    right = (action.invoice, action.amount, action.fee)
    return None if has == right else f"posting {number} is {has}, and not {right}"


@write(undo=take_back, idempotent=True, verify=as_posted)
async def post(action: Post, effect: Effect) -> int:
    """Post a line; of one statement and line the books take one posting, and tell us of our own."""
    body = action.model_dump(mode="json") | {"key": effect.key}
    return (await call("POST", "/postings", json=body))["id"]


@write(idempotent=True)
async def set_aside(action: SetAside, effect: Effect) -> None:
    """Note in the books that a statement is set aside; noted is noted."""
    del effect
    await call("PUT", "/aside", json=action.model_dump(mode="json"))
