"""Which open item of the books a line of a bank statement pays, and whether that is certain.

What payers wrote is only compared with what the books hold: what comes out are numbers of our own
items, amounts of our own books and of the bank, and kinds of a closed set. Whatever could mean two
things is left to people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel
from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from activities.reconciliation_statements import Line

Kind = Literal[
    "clean",
    "less fee",
    "part",
    "mistyped",
    "no reference",
    "short",
    "too much",
    "paid twice",
    "several",
    "unclear",
    "unknown",
    "money out",
]
"""What a line is: the first five are certain, and all others are put before people."""

CERTAIN = frozenset(("clean", "less fee", "part", "mistyped", "no reference"))
DIGITS = 6
"""How many digits the number of an item has."""

_LIKE = 90
"""From so many points of a hundred on two names are of one payer."""
_NUMBER = re.compile(r"(?<!\d)\d(?: ?\d){5}(?!\d)")
_WORDS = re.compile(r"[^\W\d_]+")


class Item(BaseModel, frozen=True):
    """An invoice of the books: what is open of it, and whose it is. EUR."""

    id: str
    customer: str
    name: str
    account: str
    """The customer's account, as the books have it."""
    amount: Decimal
    open: Decimal
    due: date

    @property
    def digits(self) -> str:
        """Its number without the letters before it."""
        return self.id[-DIGITS:]


class Match(BaseModel, frozen=True):
    """What a line is, beside the item that it pays or may pay; nothing of it is a payer's text.

    `amount`: what is to be posted to the item, and `fee` what banks kept of it. `invoice` is empty
    where no item is likelier than others.
    """

    statement: str
    line: int
    kind: Kind
    certain: bool
    invoice: str = ""
    customer: str = ""
    amount: Decimal
    fee: Decimal = Decimal(0)
    open: Decimal = Decimal(0)


def match(line: Line, items: Sequence[Item], pending: Sequence[Line]) -> Match:
    """Find what a line pays. `pending`: the lines that are not posted, in order, with this one."""
    known = {item.digits: item for item in items}
    others = [each for each in pending if each != line and each.amount > 0]
    kind, item = _kind(line, known, others)
    return Match(
        statement=line.statement,
        line=line.number,
        kind=kind,
        certain=kind in CERTAIN,
        invoice=item.id if item else "",
        customer=item.customer if item else "",
        amount=line.amount,
        fee=line.charges if kind == "less fee" else Decimal(0),
        open=item.open if item else Decimal(0),
    )


def _kind(line: Line, known: dict[str, Item], others: Sequence[Line]) -> tuple[Kind, Item | None]:
    if line.amount <= 0:
        return "money out", None
    named = [known[each] for each in sorted(_numbers(line)) if each in known]
    if len(named) > 1:
        return "several", None
    if named:
        kind = _of_named(line, named[0], known, others)
        if kind in CERTAIN and _elsewhere(line, named[0], known):
            kind = "unclear"
        return kind, named[0]
    return _of_nameless(line, list(known.values()), known, others)


def _of_named(line: Line, item: Item, known: dict[str, Item], others: Sequence[Line]) -> Kind:
    """What a line is that names one item of ours."""
    same = [each for each in others if _names(each, known) == {item.digits}]
    if item.open <= 0 or any(
        each.amount == item.open and _before(each, line)
        for each in same
        if line.amount == item.open
    ):
        return "paid twice"
    if line.amount == item.open:
        return "clean"
    if line.charges > 0 and line.original == item.open == line.amount + line.charges:
        return "less fee"
    if line.amount > item.open:
        return "too much"
    if same and sum(each.amount for each in same) + line.amount == item.open:
        return "part"
    return "short"


def _elsewhere(line: Line, named: Item, known: dict[str, Item]) -> bool:
    """Whether it may rather be for an item of the payer's own: a number mistyped is another's."""
    if pays_for(line, named):
        return False
    return any(
        (each.open == line.amount or _slip(named.digits, each.digits)) and pays_for(line, each)
        for each in known.values()
        if each.open > 0
    )


def _of_nameless(
    line: Line, items: Iterable[Item], known: dict[str, Item], others: Sequence[Line]
) -> tuple[Kind, Item | None]:
    """What a line is that names no item of ours: by its payer and its amount together."""
    fitting = [each for each in items if each.open == line.amount > 0]
    theirs = [each for each in fitting if pays_for(line, each)]
    typed = _numbers(line)
    if typed:
        near = [each for each in fitting if any(_slip(number, each.digits) for number in typed)]
        kind: Kind = "mistyped"
    else:
        near, kind = theirs, "no reference"
    if len(theirs) != 1 or near != theirs:
        likely = {each.id: each for each in (*near, *theirs)}
        return ("unclear", next(iter(likely.values()))) if len(likely) == 1 else ("unknown", None)
    item = theirs[0]
    # Another line that may pay the same item leaves open which of the two does.
    rivals = (item.digits in _names(each, known) or _alike(each, line, known) for each in others)
    return ("unclear", item) if any(rivals) else (kind, item)


def pays_for(line: Line, item: Item) -> bool:
    """Whether a payer is the customer of an item: by account, or else by name."""
    if line.account and line.account == item.account:
        return True
    mine, theirs = (" ".join(_WORDS.findall(each.lower())) for each in (line.payer, item.name))
    return bool(mine) and fuzz.token_sort_ratio(mine, theirs) >= _LIKE


def _alike(one: Line, other: Line, known: dict[str, Item]) -> bool:
    """Whether two lines without a number of ours are of one amount and payer."""
    payer = (one.account and one.account == other.account) or (
        fuzz.token_sort_ratio(one.payer.lower(), other.payer.lower()) >= _LIKE
    )
    return bool(payer) and one.amount == other.amount and not _names(one, known)


def _numbers(line: Line) -> set[str]:
    """What of a line may be the number of an item."""
    said = f"{line.reference}\n{line.text}"
    return {each.replace(" ", "") for each in _NUMBER.findall(said)}


def _names(line: Line, known: dict[str, Item]) -> set[str]:
    return {each for each in _numbers(line) if each in known}


def _slip(typed: str, meant: str) -> bool:
    """Whether one is the other with one digit wrong, or two neighbours swapped."""
    return OSA.distance(typed, meant) == 1


def _before(one: Line, other: Line) -> bool:
    return (one.day, one.statement, one.number) < (other.day, other.statement, other.number)
