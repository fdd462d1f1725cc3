"""Months of a business's receivables, and the bank's statements of them, all by a seed.

Nine kinds of what becomes of an invoice, and lines that belong to none, as payers really write:
numbers wrapped at 27 characters, with blanks in them, beside numbers of their own. Five files of
each month are faulty. The truth is kept apart: the agent sees the books and the statements.
"""

from __future__ import annotations

import random
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

SEED, CUSTOMERS = 15, 160
OURS, ANOTHERS = "DE02120300000000202051", "DE91100000000123456789"
OPENING = Decimal("48250.00")
KINDS = {
    "clean": 0.60,
    "no reference": 0.09,
    "transposed digits": 0.06,
    "short": 0.04,
    "less fee": 0.05,
    "in two parts": 0.04,
    "unpaid": 0.05,
    "paid twice": 0.03,
    "other name": 0.04,
}
ALIENS = 0.03
BREAKS = frozenset(("short", "paid twice", "unpaid", "alien"))
"""Kinds that a person has to hear of."""
FAULTY = ("cut off", "a line left out", "not a statement", "another's account", "came twice")

_GIVEN = ("Anna", "Ben", "Carla", "Dirk", "Elif", "Frank", "Greta", "Hans", "Ines", "Jonas")
_FIRST = ("Alt", "Berg", "Born", "Eich", "Feld", "Gold", "Hoch", "Kalt", "Lang", "Neu", "Rot")
_LAST = ("bauer", "brink", "dorf", "hahn", "mann", "meier", "stein", "tal", "weber")
_FORM = ("", " GmbH", " KG", " AG", " e.K.")
_SAYS = (
    "Rechnung {n} vom {d}",
    "RE-NR. {p} KD {k}",
    "Invoice R{n} thank you",
    "R-{n}",
    "Rg {s} / {k}",
    "Ihre Rechnung Nr. {n}, unsere Bestellung 45{k}",
)
_NAMELESS = ("Danke", "Zahlung laut Vereinbarung", "Your delivery of {d}", "KD {k}", "Ware")
_ALIEN = ("Erstattung Versicherung", "Gutschrift Mietkaution", "Refund order 88{k}", "Spende")


class Customer(NamedTuple):
    """Who owes, and the account that the books have of them."""

    id: str
    name: str
    account: str


class Invoice(NamedTuple):
    """What is open at the beginning, and what becomes of it."""

    id: str
    customer: Customer
    amount: Decimal
    due: date
    kind: str


class Paid(NamedTuple):
    """A line of a statement, and the truth of it: `invoice` is empty where it pays none."""

    day: date
    amount: Decimal
    payer: str
    account: str
    reference: str
    text: str
    kind: str
    invoice: str = ""
    fee: Decimal = Decimal(0)


class File(NamedTuple):
    """What the bank delivers on a day; `fault` is part of the truth."""

    name: str
    arrived: date
    text: str
    fault: str = ""


@dataclass
class Month:
    """What the agent may see, and the truth."""

    invoices: list[Invoice]
    files: list[File]
    truth: dict[tuple[str, int], Paid] = field(default_factory=dict[tuple[str, int], Paid])
    """By statement and line, of the statements that are whole."""


def made(seed: int = SEED, invoices: int = 400, days: int = 20, last: date | None = None) -> Month:
    """A month whose last statement is of a day: so many invoices, paid on so many working days."""
    chance = random.Random(seed)  # noqa: S311
    working = _working_days(last or date(2026, 10, 30), days)
    owed = _invoices(chance, invoices, working)
    lines = [line for each in owed for line in _paid(chance, each, working)]
    lines += [_alien(chance, working) for _ in range(max(2, round(invoices * ALIENS)))]
    chance.shuffle(lines)
    of_day: dict[date, list[Paid]] = defaultdict(list)
    for line in lines:
        of_day[line.day].append(line)
    month, balance = Month(owed, []), OPENING
    for number, day in enumerate(working, 1):
        text, after = statement(OURS, day, number, balance, of_day[day])
        month.files.append(File(f"{day}.sta", day, text))
        for place, line in enumerate(of_day[day], 1):
            month.truth[f"{OURS}-{day:%Y%m%d}-{number}-1", place] = line
        balance = after
    month.files += _faulty(month, working)
    return month


def statement(
    account: str, day: date, number: int, opening: Decimal, lines: list[Paid]
) -> tuple[str, Decimal]:
    """A statement as MT940, and its closing balance."""
    closing = opening + sum(line.amount for line in lines)
    body = [f":20:ST{day:%y%m%d}", f":25:{account}", f":28C:{number:05}/00001"]
    body.append(f":60F:{_balance(opening, day)}")
    for line in lines:
        side, sum_ = "C" if line.amount > 0 else "D", _money(abs(line.amount))
        body.append(
            f":61:{line.day:%y%m%d%m%d}{side}R{sum_}NTRFNONREF//{zlib.crc32(repr(line).encode())}"
        )
        if line.fee:
            whole = _money(line.amount + line.fee)
            body.append(f"/OCMT/EUR{whole}/CHGS/EUR{_money(line.fee)}")
        body.append(_details(line))
    body += [f":62F:{_balance(closing, day)}", "-"]
    return "\n".join([*body, ""]), closing


def _details(line: Paid) -> str:
    """The payer's own words, wrapped as banks wrap them."""
    said = (f"EREF+{line.reference}" if line.reference else "") + f"SVWZ+{line.text}"
    parts = [said[at : at + 27] for at in range(0, len(said), 27)]
    fields = "".join(f"?{20 + n}{part}" for n, part in enumerate(parts[:10]))
    whole = f"166?00GUTSCHRIFT{fields}?30BYLADEM1001?31{line.account}?32{line.payer[:27]}"
    return ":86:" + "\n".join(whole[at : at + 65] for at in range(0, len(whole), 65))


def _invoices(chance: random.Random, count: int, working: list[date]) -> list[Invoice]:
    people = [
        f"{a}{b}{form}" if form else f"{given} {a}{b}"
        for a in _FIRST
        for b in _LAST
        for given in _GIVEN[:2]
        for form in _FORM
    ]
    named = chance.sample(sorted(set(people)), CUSTOMERS)
    customers = [
        Customer(f"K{20000 + n}", name, f"DE{chance.randrange(10**19, 10**20)}")
        for n, name in enumerate(named)
    ]
    kinds = chance.choices(list(KINDS), list(KINDS.values()), k=count)
    kinds[: len(KINDS)] = KINDS
    numbers = sorted(chance.sample(range(100_000, 100_000 + 20 * count), count))
    chance.shuffle(kinds)
    found: list[Invoice] = []
    for number, kind in zip(numbers, kinds, strict=True):
        # A third of the amounts are list prices, which many invoices have.
        listed = chance.random() < 1 / 3
        cents = (
            chance.choice((4900, 9900, 12000, 49900)) if listed else chance.randrange(2000, 600_000)
        )
        due = working[0] - timedelta(days=chance.randrange(1, 20))
        amount = (Decimal(cents) / 100).quantize(Decimal("0.01"))
        found.append(Invoice(f"R{number}", chance.choice(customers), amount, due, kind))
    return found


def _paid(chance: random.Random, owed: Invoice, working: list[date]) -> list[Paid]:
    """The lines by which an invoice is paid, if it is."""
    day, who, number = chance.choice(working), owed.customer, owed.id[1:]
    says = {"k": who.id[1:], "d": f"{owed.due:%d.%m.%Y}", "n": number}
    says |= {"s": f"{number[:3]} {number[3:]}", "p": number}
    reference = owed.id if chance.random() < 1 / 2 else ""
    text = chance.choice(_SAYS).format(**says)
    line = Paid(day, owed.amount, who.name, who.account, reference, text, owed.kind, owed.id)
    if owed.kind == "unpaid":
        return []
    if owed.kind == "no reference":
        nameless = chance.choice(_NAMELESS).format(**says)
        return [line._replace(reference="", text=nameless)]
    if owed.kind == "transposed digits":
        typed = _transposed(chance, number)
        return [line._replace(reference="", text=f"Rechnung {typed}")]
    if owed.kind == "short":
        less = max(Decimal("1.00"), (owed.amount * chance.randrange(2, 20) / 100)).quantize(
            Decimal("0.01")
        )
        return [line._replace(amount=owed.amount - less)]
    if owed.kind == "less fee":
        fee = chance.choice((Decimal("1.50"), Decimal("5.00"), Decimal("12.50")))
        return [line._replace(amount=owed.amount - fee, fee=fee)]
    if owed.kind == "in two parts":
        first = (owed.amount * chance.randrange(30, 70) / 100).quantize(Decimal("0.01"))
        rest = chance.choice([each for each in working if each >= day][:3])
        return [line._replace(amount=first), line._replace(amount=owed.amount - first, day=rest)]
    if owed.kind == "paid twice":
        again = chance.choice([each for each in working if each >= day][:5])
        return [line, line._replace(day=again)]
    if owed.kind == "other name":
        other = f"{chance.choice(_GIVEN)} {chance.choice(_FIRST)}{chance.choice(_LAST)}"
        return [line._replace(payer=other, account=f"DE{chance.randrange(10**19, 10**20)}")]
    return [line]


def _alien(chance: random.Random, working: list[date]) -> Paid:
    """A line that pays no invoice of ours; one in three is money that went out."""
    amount = Decimal(chance.randrange(500, 300_000)) / 100
    out = chance.random() < 1 / 3
    text = "Kontofuehrung" if out else chance.choice(_ALIEN).format(k=chance.randrange(10**4))
    name = f"{chance.choice(_FIRST)}{chance.choice(_LAST)} Versicherung"
    account = f"DE{chance.randrange(10**19, 10**20)}"
    signed = -amount if out else amount
    return Paid(chance.choice(working), signed, name, account, "", text, "alien")


def _faulty(month: Month, working: list[date]) -> list[File]:
    """Files with a planted fault, on the last day."""
    whole, day = month.files[-1].text, working[-1]
    two, _ = statement(OURS, day, 900, OPENING, list(month.truth.values())[:3])
    lines = two.split("\n")
    at = next(n for n, each in enumerate(lines) if each.startswith(":61:"))
    left_out = "\n".join(lines[:at] + lines[at + 2 :])
    others, _ = statement(ANOTHERS, day, 7, OPENING, list(month.truth.values())[:2])
    texts = (two[: len(two) // 2], left_out, "%PDF-1.4 no statement", others, whole)
    return [
        File(f"{day}-x{n}.sta", day, text, fault)
        for n, (fault, text) in enumerate(zip(FAULTY, texts, strict=True), 1)
    ]


def _transposed(chance: random.Random, number: str) -> str:
    at = chance.choice([n for n in range(5) if number[n] != number[n + 1]])
    return number[:at] + number[at + 1] + number[at] + number[at + 2 :]


def _working_days(last: date, count: int) -> list[date]:
    found: list[date] = []
    while len(found) < count:
        if last.weekday() < 5:  # noqa: PLR2004 - Saturday
            found.append(last)
        last -= timedelta(days=1)
    return found[::-1]


def _balance(amount: Decimal, day: date) -> str:
    return f"{'C' if amount >= 0 else 'D'}{day:%y%m%d}EUR{_money(abs(amount))}"


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}".replace(".", ",")
