"""The company's rules of sales, as arithmetic: stages, what is stale, whose it is, what is due.

A deal's stage is told by what has happened with the customer, not by what somebody has clicked:
who was met is qualified, who has an offer is offered. Only an order or a refusal ends a deal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal, get_args

from pydantic import BaseModel

Stage = Literal["new", "qualified", "offered"]
Kind = Literal["call", "meeting", "offer", "mail", "order", "declined"]
Ending = Literal["won", "lost"]
Territory = Literal["north", "south", "west"]
What = Literal["assign", "move", "close", "remind"]

STAGES: tuple[Stage, ...] = get_args(Stage)
PROBABILITY: dict[Stage, float] = {"new": 0.1, "qualified": 0.3, "offered": 0.6}
OFFERED = 0.5
"""From this probability on the CRM means an offer."""
STALE: dict[str, dict[Stage, int]] = {
    "new": {"new": 4, "qualified": 6, "offered": 8},
    "renewal": {"new": 6, "qualified": 8, "offered": 10},
}
"""Days without a word after which a deal is stale, by pipeline (`new` business, `renewal`)."""
WITHIN = timedelta(days=2)
"""How long whoever is reminded has."""
ENDS: dict[str, Ending] = {"order": "won", "declined": "lost"}
OPEN = ("lead", "opportunity")

_NOTE = re.compile(r"(\d{4}-\d{2}-\d{2}) (call|meeting|offer|mail|order|declined)(?:[: ].*)?")
_FIRST_DIGITS: dict[Territory, str] = {"north": "0123", "south": "456", "west": "789"}


class Note(BaseModel, frozen=True):
    """That something happened with a customer: what was said is not kept."""

    day: date
    kind: Kind


class Deal(BaseModel, frozen=True):
    """An opportunity as the CRM has it."""

    code: str
    pipeline: str
    created: date
    amount: Decimal = Decimal(0)
    """In EUR; 0 where nobody has said."""
    state: str = "lead"
    probability: float = PROBABILITY["new"]
    territory: Territory | None = None
    owner: str | None = None
    left: date | None = None
    """When its owner left the company."""
    mail: str = ""
    notes: tuple[Note, ...] = ()

    @property
    def stage(self) -> Stage:
        """What somebody has clicked."""
        if self.state != "opportunity":
            return "new"
        return "offered" if self.probability >= OFFERED else "qualified"


class Rep(BaseModel, frozen=True):
    """Somebody who sells, or the `lead` of those who do."""

    code: str
    territory: Territory | None = None
    lead: bool = False
    mails: bool = False
    """Whether customers of theirs may be sent a mail in their name."""
    left: date | None = None
    deals: int = 0
    """Open ones."""


class Task(BaseModel, frozen=True):
    """A task in a calendar: to call the customer of a deal."""

    deal: str
    calendar: str
    due: date


class Due(BaseModel, frozen=True):
    """What is to be done about a deal, and since when: one case for each."""

    deal: str
    what: What
    since: date


def note(text: str) -> Note | None:
    """The head of a note's first line; None if it has none. What follows may say anything."""
    found = _NOTE.fullmatch(text.split("\n", 1)[0])
    try:
        return Note.model_validate({"day": found[1], "kind": found[2]}) if found else None
    except ValueError:  # a day that no month has
        return None


def territory(postal_code: str) -> Territory | None:
    """Whose customers live there."""
    first = postal_code.strip()[:1]
    return next((t for t, digits in _FIRST_DIGITS.items() if first and first in digits), None)


def until(deal: Deal, on: date) -> Deal:
    """A deal as it is known on a day: a note of tomorrow is none."""
    return deal.model_copy(update={"notes": tuple(n for n in deal.notes if n.day <= on)})


def right_stage(deal: Deal) -> tuple[Stage, date]:
    """The stage that a deal has by what happened, and since when.

    An offer without an amount is none. A stage that people gave it is not taken back for want of
    a note: notes are forgotten more often than invented.
    """
    offers = [n.day for n in deal.notes if n.kind in {"offer", "order"} and deal.amount > 0]
    met = [n.day for n in deal.notes if n.kind in {"meeting", "offer", "order"}]
    if offers:
        return "offered", min(offers)
    return ("qualified", min(met)) if met else ("new", deal.created)


def ending(deal: Deal) -> tuple[Ending, date] | None:
    """How a deal ended by the customer's last word, and when; None if it goes on."""
    said: list[tuple[Ending, date]] = [(ENDS[n.kind], n.day) for n in deal.notes if n.kind in ENDS]
    return said[-1] if said else None


def touched(deal: Deal) -> date:
    """When somebody last had a word with the customer."""
    return max((n.day for n in deal.notes), default=deal.created)


def stale_on(deal: Deal) -> date:
    """The day on which a deal is stale, unless somebody has a word with the customer before."""
    return touched(deal) + timedelta(days=STALE[deal.pipeline][deal.stage])


def nobody_has_it(deal: Deal, on: date) -> date | None:
    """Since when a deal has no owner who is here; None if it has one."""
    if deal.owner is None:
        return deal.created
    return deal.left if deal.left and deal.left <= on else None


def behind(deal: Deal) -> tuple[Stage, date] | None:
    """The stage that a deal should have by now, and since when; None if it is there, or past it."""
    right, since = right_stage(deal)
    return (right, since) if STAGES.index(right) > STAGES.index(deal.stage) else None


def to_remind(deal: Deal, tasks: Iterable[Task], lead: str, on: date) -> tuple[str, date] | None:
    """Whom to remind of a stale deal, and since when it is due: its owner, and then the lead."""
    if deal.owner is None or (since := stale_on(deal)) > on:
        return None
    told = {t.calendar: t.due for t in tasks if t.deal == deal.code and t.due > touched(deal)}
    if not told:
        return deal.owner, since
    last = max(told.values())
    return (lead, last) if last < on and lead and lead not in told else None


def due(deal: Deal, tasks: Sequence[Task], lead: str, on: date) -> Due | None:
    """The first thing to be done about a deal on a day."""
    deal = until(deal, on)
    if deal.state not in OPEN:
        return None
    found: tuple[What, date | None] = ("assign", nobody_has_it(deal, on))
    if found[1] is None and (stage := behind(deal)):
        found = "move", stage[1]
    elif found[1] is None and (end := ending(deal)):
        found = "close", end[1]
    elif found[1] is None and (remind := to_remind(deal, tasks, lead, on)):
        found = "remind", remind[1]
    return Due(deal=deal.code, what=found[0], since=found[1]) if found[1] else None


def next_owner(deal: Deal, reps: Iterable[Rep]) -> Rep | None:
    """Who gets a deal: of those of its territory who stay, who has the fewest."""
    near = [rep for rep in reps if not rep.lead and rep.left is None]
    here = [rep for rep in near if deal.territory and rep.territory == deal.territory]
    return min(here, key=lambda rep: (rep.deals, rep.code), default=None)
