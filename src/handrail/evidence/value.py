"""What an agent is worth: what it brings by the owner's rule, less what it costs. Pure.

Everything declared, by the policy or as a baseline, is one figure of a table, so that what the
result owes to it can be said: it is reckoned again with each a fifth lower and a fifth higher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from handrail.evidence.report import LEAST, Swing, ValueLine, ValueReport
from handrail.evidence.totals import Totals

if TYPE_CHECKING:
    from handrail.ledger import BaselineRow
    from handrail.policy import WorthDoc

MONTH = timedelta(days=365.25 / 12)
_FIFTH = Decimal("0.2")
_CENT = Decimal("0.01")
_MINUTE = 60

Basis = Literal["measured", "log", "declared"]


@dataclass(frozen=True)
class DeclaredFigure:
    """One figure that the reckoning goes by: what it is, and from where."""

    amount: Decimal
    basis: Basis
    text: str


@dataclass(frozen=True)
class Reckoning:
    """What value is reckoned from: what was counted, and every figure that was declared.

    `foreign`: baselines in another currency, in words. They are none of the figures.
    """

    sums: Totals
    currency: str | None
    figures: Mapping[str, DeclaredFigure]
    per_case: bool = False
    foreign: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, sums: Totals, worth: WorthDoc | None, baselines: Sequence[BaselineRow]
    ) -> Reckoning:
        """By the rule of a policy, and the baselines that are in force."""
        found: dict[str, DeclaredFigure] = {}
        currency, foreign = worth and worth.currency, list[str]()
        for loc, money in () if worth is None else worth.amounts():
            found[".".join(loc)] = DeclaredFigure(
                money.amount, "declared", f"{money}, by the policy"
            )
        for row in baselines:
            if row.replaced is None and row.name in MONEY_BASELINES and row.unit != currency:
                foreign.append(f"{row.name} of {row.amount} {row.unit}")
            elif row.replaced is None:
                basis: Basis = "log" if row.kind == "log" else "declared"
                basis = "measured" if row.kind == "measured" else basis
                text = f"{row.amount} {row.unit}, {row.kind} by {row.by}, {row.at:%d %b %Y}"
                found[f"baseline.{row.name}"] = DeclaredFigure(Decimal(row.amount), basis, text)
        price = worth and worth.prices.infrastructure
        per_case = price is not None and price.per == "case"
        return cls(sums, currency, found, per_case, tuple(foreign))

    def lines(self) -> list[ValueLine]:
        """From what it brings to what it costs; what nothing is known of is left out."""
        sums = self.sums
        made = [
            self._by("value.done", sums.plain, "Cases done"),
            self._by("value.written", sums.written, "Cases that wrote"),
            self._own(),
            self._by("value.wrong", sums.wrong, "Cases wrong"),
            self._by("value.late", sums.late, "Cases late"),
            self._work(),
            self._slips(),
            self._models(),
            self._minutes(),
            self._machines(),
        ]
        return [line for line in made if line is not None]

    def net(self) -> Decimal:
        """All lines together."""
        return sum((line.amount for line in self.lines()), Decimal(0))

    def cost(self) -> Decimal:
        """What it costs: models, people and machines."""
        costs = {"Models", "People's minutes", "Infrastructure"}
        return -sum((line.amount for line in self.lines() if line.name in costs), Decimal(0))

    def _by(self, key: str, n: int, name: str) -> ValueLine | None:
        worth = self.figures.get(key)
        if worth is None:
            return None
        return _line(name, n * worth.amount, f"{n:,} x {worth.text}", worth.basis)

    def _own(self) -> ValueLine | None:
        sums = self.sums
        how = f"{sums.given:,} cases that said their own value"
        return (
            _line("Cases by their own value", sums.value, how, "measured") if sums.given else None
        )

    def _work(self) -> ValueLine | None:
        """What people would have cost for the tasks that the agent has done, and not got wrong."""
        price = self.figures.get("prices.human minute")
        cost, minutes = (self.figures.get(f"baseline.{n}") for n in _MANUAL)
        done = self.sums.plain + self.sums.given
        if cost is not None:
            return _line(
                "Manual work saved", done * cost.amount, f"{done:,} x {cost.text}", cost.basis
            )
        if minutes is None or price is None:
            return None
        how = f"{done:,} x {minutes.text} x {price.text}"
        return _line("Manual work saved", done * minutes.amount * price.amount, how, minutes.basis)

    def _slips(self) -> ValueLine | None:
        """What people would have got wrong among the tasks that the agent has done."""
        share, wrong = self.figures.get("baseline.error_share"), self.figures.get("value.wrong")
        if share is None or wrong is None:
            return None
        done = self.sums.ends["done"]
        how = f"{done:,} x {share.text} x {wrong.text}"
        return _line("Manual errors saved", -done * share.amount * wrong.amount, how, share.basis)

    def _models(self) -> ValueLine | None:
        spent = self.sums.models.get(self.currency or "", Decimal(0))
        return _line("Models", -spent, "what decide steps reported", "measured")

    def _minutes(self) -> ValueLine | None:
        price, looked = self.figures.get("prices.human minute"), sum(self.sums.looked)
        if price is None:
            return None
        minutes = Decimal(str(round(looked / _MINUTE, 6)))
        how = f"{minutes:,.2f} min x {price.text}"
        return _line("People's minutes", -minutes * price.amount, how, price.basis)

    def _machines(self) -> ValueLine | None:
        price = self.figures.get("prices.infrastructure")
        if price is None:
            return None
        share = Decimal(str(round(self.sums.length / MONTH, 9)))
        times = Decimal(self.sums.tasks) if self.per_case else share
        how = f"{times:,.2f} x {price.text}"
        return _line("Infrastructure", -times * price.amount, how, price.basis)

    def swings(self) -> list[Swing]:
        """What net comes to as each declared figure goes down and up by a fifth, widest first."""
        found: list[Swing] = []
        for key, figure in self.figures.items():
            if figure.basis != "declared" or key in {"baseline.investment", _TARGET}:
                continue
            ends = [
                replace(self, figures={**self.figures, key: replace(figure, amount=amount)}).net()
                for amount in (figure.amount * (1 - _FIFTH), figure.amount * (1 + _FIFTH))
            ]
            if ends[0] != ends[1]:
                low, high = sorted(each.quantize(_CENT) for each in ends)
                found.append(Swing(figure=key, declared=figure.text, low=low, high=high))
        return sorted(found, key=lambda each: each.low - each.high)

    def left_out(self) -> list[str]:
        """What is not counted, in words."""
        sums, has = self.sums, self.figures.keys()
        own = self.currency or "no currency"
        said = [
            f"{cost:.2f} {currency or 'without a currency'} of models: the policy reckons in {own}"
            for currency, cost in sorted(sums.models.items())
            if currency != self.currency and cost
        ]
        said += [f"{each}: the policy reckons in {own}" for each in self.foreign]
        if sums.unseen:
            said.append(
                f"how long people looked at {sums.unseen:,} of {sums.questions:,} questions"
            )
        if "prices.human minute" not in has:
            said.append("people's minutes: the policy has no price of a human minute")
        if "prices.infrastructure" not in has:
            said.append("machines: the policy has no price of infrastructure")
        if not has & {"baseline.minutes_per_case", "baseline.cost_per_case"}:
            said.append("manual work saved: no baseline says what a case took without the agent")
        if not has & {"value.done", "value.wrong", "value.late"} and not sums.given:
            said.append("what a case is worth: the policy has no value, and no case said its own")
        said.append("time for reviews afterwards, for incidents, and for making the agent")
        return said


_CENTURY = 36_525.0
_MANUAL = ("cost_per_case", "minutes_per_case")
MONEY_BASELINES = ("cost_per_case", "investment", "target_per_month")
"""Those that are in a currency."""

_TARGET = "baseline.target_per_month"


def _line(name: str, amount: Decimal, how: str, basis: Basis) -> ValueLine:
    # Nothing is not less than nothing.
    rounded = amount.quantize(_CENT) or Decimal("0.00")
    return ValueLine(name=name, amount=rounded, how=how, basis=basis)


def value_report(reckoned: Reckoning, first: datetime | None) -> ValueReport:
    """The value of a period. `first`: when the agent's first case began."""
    sums = reckoned.sums
    few = max(LEAST - sums.tasks, 0)
    # Without a currency there is nothing to add up in.
    if few or reckoned.currency is None:
        out = tuple(reckoned.left_out())
        return ValueReport(currency=reckoned.currency, n=sums.tasks, needs=few, left_out=out)
    net, cost = reckoned.net(), reckoned.cost()
    invested = reckoned.figures.get("baseline.investment")
    target = reckoned.figures.get(_TARGET)
    months = Decimal(str(round(sums.length / MONTH, 9)))
    return ValueReport(
        currency=reckoned.currency,
        n=sums.tasks,
        needs=0,
        lines=tuple(reckoned.lines()),
        gain=(net + cost).quantize(_CENT),
        cost=cost.quantize(_CENT),
        net=net.quantize(_CENT),
        roi=round(float(net / cost), 4) if cost else None,
        investment=invested and invested.amount,
        payback=_payback(invested, net, sums, first),
        target=target and target.amount,
        actual=(net / months).quantize(_CENT) if months else None,
        swings=tuple(reckoned.swings()),
        left_out=tuple(reckoned.left_out()),
    )


def _payback(
    invested: DeclaredFigure | None, net: Decimal, sums: Totals, first: datetime | None
) -> date | None:
    """When what was invested is back, if every day since the first case is as these are."""
    days = Decimal(str(sums.length / timedelta(days=1)))
    if invested is None or first is None or net <= 0 or not days:
        return None
    needed = float(invested.amount / (net / days))
    # Further away than anybody plans: as good as never.
    return (first + timedelta(days=needed)).date() if needed < _CENTURY else None
