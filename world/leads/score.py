"""What came of the leads and of the CRM, by the truth."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from typing_extensions import override

from world.leads import cdnow
from world.leads.market import Market, Person


class Records(NamedTuple):
    """How right the CRM is."""

    in_use: int
    right: int
    twice: int
    """Records of persons who have an older one in use."""

    @override
    def __str__(self) -> str:
        share = self.right / max(1, self.in_use)
        return f"{self.right} of {self.in_use} records right ({share:.1%}), {self.twice} twice"


def records(market: Market, has: dict[str, Person]) -> Records:
    """Judge the records that the CRM began with, as far as they are in use."""
    truth = {each.code: each.truth for each in market.crm}
    right = sum(has[code] == truth[code] for code in has if code in truth)
    names = Counter(truth[code].name for code in has if code in truth)
    return Records(sum(names.values()), right, sum(count - 1 for count in names.values()))


def twice(people: Iterable[Person]) -> int:
    """How many in use are there once more."""
    return sum(count - 1 for count in Counter(each.name for each in people).values())


def buyers(market: Market, customers: Sequence[str], on: date) -> int:
    """How many of some customers buy after a day."""
    return sum(cdnow.bought_after(market.shop[each], on) for each in customers)


def last_buyers(market: Market, count: int, on: date) -> list[str]:
    """The list before: so many customers, those who bought last."""
    last = {c: max(o.day for o in orders if o.day <= on) for c, orders in market.shop.items()}
    return sorted(last, key=lambda each: (last[each], each), reverse=True)[:count]
