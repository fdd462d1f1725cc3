"""Names and addresses for the shop's customers, what the directory says, and a dirty CRM.

All by a seed. The truth is kept apart: the agent sees the shop's orders and names, the directory's
entries, and the CRM's records.
"""

import random
from dataclasses import dataclass, field
from typing import NamedTuple

from world.leads import cdnow
from world.leads.cdnow import Bought, Shop

SEED, CUSTOMERS, RECORDS = 15, 300, 50
WRONG = 0.08
"""Share of the directory's entries with another's mail address, and share without any."""

_GIVEN = (
    "Ana",
    "Ben",
    "Cleo",
    "Dora",
    "Emil",
    "Finn",
    "Greta",
    "Hugo",
    "Ines",
    "Jan",
    "Kaja",
    "Lea",
)
_FIRST = ("Ar", "Bel", "Cor", "Dan", "El", "Far", "Gol", "Hal", "Ing", "Jor", "Kol", "Lind")
_LAST = ("berg", "dale", "field", "ham", "land", "mann", "sen", "stein", "ton", "vik", "wood", "by")
_CITY = ("Graz", "Linz", "Bern", "Basel", "Ulm", "Jena", "Gent", "Lille", "Turin", "Porto")


class Person(NamedTuple):
    """Who somebody is; `name` is `Surname, Given`."""

    name: str
    mail: str
    city: str


class OnFile(NamedTuple):
    """A record as the CRM has it, and what it should be."""

    code: str
    has: Person
    truth: Person
    fault: str
    """None, slip, broken, missing, swapped or double."""


@dataclass
class Market:
    """The shop, the directory and the CRM at the start."""

    shop: Shop
    people: dict[str, Person]
    """The truth of each customer, and of each record's person by name."""
    says: dict[str, Person]
    """What the directory says, by the customer's number and by name."""
    crm: list[OnFile] = field(default_factory=list[OnFile])


def made(seed: int = SEED, customers: int = CUSTOMERS, records: int = RECORDS) -> Market:
    """The market of a seed: customers of whom nothing was learnt, and a CRM that is dirty."""
    by_chance = random.Random(seed)  # noqa: S311
    every = cdnow.read([cdnow.packaged()])
    day = cdnow.middle(every)
    known = (c for c, o in every.items() if cdnow.held_out(c) and any(b.day <= day for b in o))
    drawn = by_chance.sample(sorted(known), customers)
    people = named(customers + records, by_chance)
    mine = dict(zip(drawn, people, strict=False))
    # One in twenty has a second account, under another number.
    for first, second in zip(drawn[: customers // 20], drawn[-customers // 20 :], strict=False):
        mine[second] = mine[first]
    market = Market({c: every[c] for c in drawn}, mine, {})
    for number, person in mine.items():
        said = market.says.get(person.name) or _said(person, people, by_chance)
        market.says[number] = market.says[person.name] = said
    for person in people[customers:]:
        market.says[person.name] = _said(person, people, by_chance)
    # A third of the records is of customers of the shop.
    on_file = [*people[: records // 3], *people[customers : customers + records - records // 3]]
    by_chance.shuffle(on_file)
    for number, person in enumerate(on_file):
        market.crm += _filed(number, person, by_chance)
    return market


def named(count: int, by_chance: random.Random) -> list[Person]:
    """So many persons; no two of one name, as long as there are names."""
    names = [f"{a}{b}, {g}" for a in _FIRST for b in _LAST for g in _GIVEN]
    drawn = by_chance.sample(names * (1 + (count - 1) // len(names)), count)
    return [_person(name, by_chance) for name in drawn]


def _person(name: str, by_chance: random.Random) -> Person:
    surname, given = name.split(", ")
    mail = f"{given}.{surname}@example.{by_chance.choice(('com', 'net', 'org'))}".lower()
    return Person(name, mail, by_chance.choice(_CITY))


def _said(person: Person, people: list[Person], by_chance: random.Random) -> Person:
    draw = by_chance.random()
    if draw < WRONG:
        return person._replace(mail=by_chance.choice(people).mail)
    return person._replace(mail="") if draw < 2 * WRONG else person


def _filed(number: int, person: Person, by_chance: random.Random) -> list[OnFile]:
    """A person's record, or two; every second one has a fault."""
    code, draw = f"P-{number:04}", by_chance.random()
    clean = OnFile(code, person, person, "")
    local, _, domain = person.mail.partition("@")
    if draw < 0.12:  # noqa: PLR2004 - shares of the faults
        slips = (f"{local} at {domain}", f"{local}@@{domain}", person.mail.replace(".", ","))
        return [clean._replace(has=person._replace(mail=by_chance.choice(slips)), fault="slip")]
    if draw < 0.2:  # noqa: PLR2004
        return [clean._replace(has=person._replace(mail=f"{local}@"), fault="broken")]
    if draw < 0.3:  # noqa: PLR2004
        return [clean._replace(has=person._replace(mail=""), fault="missing")]
    if draw < 0.4:  # noqa: PLR2004
        swapped = person._replace(mail=person.city, city=person.mail)
        return [clean._replace(has=swapped, fault="swapped")]
    if draw < 0.5:  # noqa: PLR2004
        again = person._replace(mail=person.mail.upper())
        return [clean, OnFile(f"P-{number:04}-2", again, person, "double")]
    return [clean]


def bought_until(orders: list[Bought], day: str) -> list[dict[str, str | int]]:
    """A customer's orders until a day, as the shop says them."""
    return [
        {"day": str(each.day), "items": each.items, "amount": each.amount}
        for each in orders
        if str(each.day) <= day
    ]
