"""Evenings at which customers of CDNOW are looked at; from one of them on the shop books samples.

Each customer is a real one of whom nothing was learnt, with the orders moved to the evening, and a
generated name. From `CHANGED` on everybody is sent a sample a fortnight, which the shop books as
an order of 0.00: who buys again is as before, and looks otherwise. Of every second one people of
sales say whether a call is worth it; they are right: it is whether the customer bought again.
"""

import random
import zlib
from datetime import date, timedelta
from typing import Any, NamedTuple

from world.leads import cdnow
from world.leads.market import Person, named

BEGIN = date(2026, 3, 2)
DAYS, A_DAY = 42, 60
CHANGED = BEGIN + timedelta(days=21)
"""The evening from which on samples are booked."""

SAMPLES, APART, _LAST = 3, timedelta(days=14), timedelta(days=4)


class Came(NamedTuple):
    """A customer on an evening. `labelled`: people of sales have said what is so."""

    day: date
    customer: str
    who: Person
    orders: list[dict[str, Any]]
    worth: bool
    labelled: bool


def came(changed: date = CHANGED, seed: int = 17) -> list[Came]:
    """All customers of the evenings."""
    by_chance = random.Random(f"days/{seed}")  # noqa: S311 - seeded, not secret
    every = cdnow.read([cdnow.packaged()])
    last = cdnow.middle(every)
    known = (c for c, o in every.items() if cdnow.held_out(c) and any(b.day <= last for b in o))
    drawn = by_chance.sample(sorted(known), DAYS * A_DAY)
    people = named(len(drawn), by_chance)
    found: list[Came] = []
    for number, (customer, who) in enumerate(zip(drawn, people, strict=True)):
        day = BEGIN + timedelta(days=number // A_DAY)
        orders: list[dict[str, Any]] = [
            {"day": str(each.day + (day - last)), "items": each.items, "amount": each.amount}
            for each in every[customer]
            if each.day <= last
        ]
        if day >= changed:
            sent = (day - _LAST - n * APART for n in range(SAMPLES))
            orders += [{"day": str(each), "items": 1, "amount": "0.00"} for each in sent]
        worth = cdnow.bought_after(every[customer], last)
        labelled = zlib.crc32(customer.encode()) % 2 == 0
        found.append(Came(day, customer, who, orders, worth, labelled))
    return found
