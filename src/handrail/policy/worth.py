"""What a policy says of worth: what a case brings, what work costs, and metrics of the domain.

Nothing here decides about a write: it is what the owner's report reckons with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import override

from handrail.policy.document import Doc, needed
from handrail.policy.rule_types import nearest
from handrail.policy.values import WINDOWS, Duration, shown, written, wrong
from handrail.states import ENDS

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from handrail.policy.yaml import Faults

_MONEY = re.compile(r"(-?\d{1,12}(?:\.\d{1,6})?) ([A-Z]{3})(?: per (case|month))?", re.ASCII)
_FIX = "write it with its currency, such as 12.50 EUR"

Which = Literal["all", "alone", "asked", "wrong", "late"]
"""Which cases a metric is of, beside those that ended in one of the states."""

Quantity = Literal["minutes", "cost", "value", "tokens", "writes", "questions"]
"""What of a case a mean is taken of; `minutes`: from its beginning to its end."""

WHICH: tuple[str, ...] = (*get_args(Which), *sorted(ENDS - {"piloted"}))


@dataclass(frozen=True)
class Money:
    """An amount in a currency; of a price, for what: a case or a month."""

    amount: Decimal
    currency: str
    per: Literal["case", "month"] | None = None

    @override
    def __str__(self) -> str:
        """As a policy file has it."""
        return f"{self.amount:f} {self.currency}{f' per {self.per}' if self.per else ''}"


def _money(value: object) -> Money:
    found = _MONEY.fullmatch(" ".join(value.split())) if isinstance(value, str) else None
    if found is None or found[3]:
        raise wrong(f"{shown(value)} is no amount of money", _FIX)
    return Money(Decimal(found[1]), found[2])


def _price(value: object) -> Money:
    return _positive(_money(value))


def _positive(money: Money) -> Money:
    if money.amount < 0:
        raise wrong(f"{money} is a price below nothing", "write what it costs, such as 0.80 EUR")
    return money


def _running(value: object) -> Money:
    found = _MONEY.fullmatch(" ".join(value.split())) if isinstance(value, str) else None
    if found is None or not found[3]:
        fix = "write it like 90 EUR per month or 0.02 EUR per case"
        raise wrong(f"{shown(value)} is no price of infrastructure", fix)
    per: Literal["case", "month"] = "case" if found[3] == "case" else "month"
    return _positive(Money(Decimal(found[1]), found[2], per))


def _which(value: object) -> str:
    if not isinstance(value, str) or value not in WHICH:
        raise wrong(f"{shown(value)} are no cases", nearest(str(value), WHICH))
    return value


def _per(value: object) -> str:
    if not isinstance(value, str) or value not in WINDOWS:
        raise wrong(f"{shown(value)} is no time to count in", nearest(str(value), WINDOWS))
    return value


_Worth = Annotated[Money, BeforeValidator(_money, json_schema_input_type=str)]
_Price = Annotated[Money, BeforeValidator(_price, json_schema_input_type=str)]
_Running = Annotated[Money, BeforeValidator(_running, json_schema_input_type=str)]
_Which = Annotated[str, BeforeValidator(_which)]
_Per = Annotated[str, BeforeValidator(_per)]
_NONE = "0 EUR"


class LateDoc(Doc):
    """What a case is worth, beside the rest, that ended later than this after it began."""

    after: Duration = needed("1h", "add after: and a time, such as 4h")
    worth: _Worth = needed(_NONE, "add worth: and an amount, such as -5 EUR")


class ValueDoc(Doc):
    """What a case is worth: one that was done, one that was wrong, one that was late.

    `written`: beside `done`, where it wrote something; others found that there is nothing to do.
    """

    done: _Worth | None = None
    written: _Worth | None = None
    wrong: _Worth | None = None
    late: LateDoc | None = None


class PricesDoc(Doc):
    """What work costs: a minute of a person, and the machines."""

    minute: _Price | None = Field(default=None, alias="human minute")
    infrastructure: _Running | None = None


class MetricDoc(Doc):
    """A metric of the agent's own domain: how many, which share, or the mean of something.

    `within`: only those that took no longer. `action`: only those in which the agent decided for
    an action of that class. `of`: the cases of a mean or of a share.
    """

    unit: Annotated[str, Field(min_length=1, max_length=20)] = needed(
        "-", 'add unit: and what it is in, such as "%" or min'
    )
    count: _Which | None = None
    rate: _Which | None = None
    mean: Quantity | None = None
    of: _Which = "all"
    within: Duration | None = None
    action: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    per: _Per | None = None

    @model_validator(mode="after")
    def _one_way(self) -> MetricDoc:
        ways = [each for each in ("count", "rate", "mean") if getattr(self, each) is not None]
        if len(ways) != 1:
            said = " and ".join(ways) or "nothing"
            raise wrong(f"a metric is one of count, rate, mean, and this is {said}", "keep one")
        if self.per is not None and self.count is None:
            raise wrong("only a count is per time", "write count:, or remove per:")
        return self


class WorthDoc(Doc):
    """The parts of a policy file that the owner's report reckons with."""

    value: ValueDoc = ValueDoc()
    prices: PricesDoc = PricesDoc()
    metrics: dict[str, MetricDoc] = Field(default_factory=dict[str, MetricDoc])

    def amounts(self) -> Iterator[tuple[tuple[str, ...], Money]]:
        """Every amount that was declared, and where."""
        value, prices = self.value, self.prices
        late = value.late and value.late.worth
        named = {
            ("value", "done"): value.done,
            ("value", "written"): value.written,
            ("value", "wrong"): value.wrong,
            ("value", "late"): late,
            ("prices", "human minute"): prices.minute,
            ("prices", "infrastructure"): prices.infrastructure,
        }
        yield from ((loc, money) for loc, money in named.items() if money is not None)

    @property
    def currency(self) -> str | None:
        """In which currency it reckons; None where no amount is declared."""
        return next((money.currency for _, money in self.amounts()), None)


def judge_worth(doc: WorthDoc, faults: Faults, actions: AbstractSet[str]) -> None:
    """Add what cannot be meant: amounts in two currencies, a class that no step takes.

    `actions`: the classes of the agent's writes; empty where they are not known.
    """
    for loc, money in doc.amounts():
        if money.currency != doc.currency:
            what = f"{money} and amounts in {doc.currency} cannot be added"
            faults.add(loc, what, f"write every amount in {doc.currency}")
    for name, metric in doc.metrics.items():
        if metric.action is not None and metric.action not in actions:
            what = f"no write of the agent takes {metric.action}"
            faults.add(("metrics", name, "action"), what, nearest(metric.action, actions))
        late = "late" in {metric.count, metric.rate, metric.of}
        broken = any(loc[:1] == ("value",) for loc in faults.broken)
        if late and doc.value.late is None and not broken:
            what = f"{name}: after how long is a case late?"
            faults.add(("metrics", name), what, "add late: {after: 4h, worth: 0 EUR} to value:")


def describe_worth(doc: WorthDoc) -> Iterator[tuple[str, str]]:
    """Each key in force, in words."""
    value, prices = doc.value, doc.prices
    named = {"done": value.done, "done, and wrote,": value.written, "wrong": value.wrong}
    for name, money in named.items():
        if money is not None:
            yield "value", f"a case that is {name} is worth {money}"
    if value.late is not None:
        yield "value", f"one that takes over {written(value.late.after)}: {value.late.worth} more"
    if prices.minute is not None:
        yield "price", f"a minute of a person costs {prices.minute}"
    if prices.infrastructure is not None:
        yield "price", f"infrastructure costs {prices.infrastructure}"
    for name, metric in doc.metrics.items():
        yield "metric", f"{name}, in {metric.unit}: {metric_in_words(metric)}"


def metric_in_words(metric: MetricDoc) -> str:
    """How a metric is made of cases."""
    if metric.count is not None:
        what = f"how many cases are {metric.count}"
    elif metric.rate is not None:
        what = f"the share of cases ({metric.of}) that are {metric.rate}"
    else:
        what = f"the mean {metric.mean} of cases ({metric.of})"
    within = f", within {written(metric.within)}" if metric.within else ""
    action = f", with {metric.action}" if metric.action else ""
    return f"{what}{within}{action}{f', per {metric.per}' if metric.per else ''}"
