"""Baselines: what the process took without the agent, which it is held against."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, Literal

from handrail import evidence
from handrail.client.base import OperatorBase
from handrail.client.views import Document, Moment
from handrail.exceptions import InvalidRequest, NotPermitted
from handrail.ledger import BaselineRow

if TYPE_CHECKING:
    from handrail.evidence import BaselineFigure, EventLog

BASELINE_UNITS: Final = {
    "cases_per_month": "cases",
    "touches_per_case": "touches",
    "minutes_per_case": "minutes",
    "hours_to_end": "hours",
    "waiting_hours_per_case": "hours",
    "rework_share": "share",
    "error_share": "share",
    "variants": "variants",
    "people": "people",
    "hand_offs_per_case": "hand-offs",
}
"""The figures that reports know, and the unit of each; those of money have a currency."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,79}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_LONGEST = 500


class BaselineView(Document):
    """One figure of the process without the agent. `kind`: measured, log or declared.

    `source`: where it comes from, in words. `replaced`: since when another is in its place.
    """

    agent: str
    name: str
    amount: str
    unit: str
    kind: str
    source: str
    by: str
    at: Moment
    replaced: Moment | None = None


class BaselineList(Document):
    """The baselines of an agent, by name and the oldest first."""

    agent: str
    baselines: tuple[BaselineView, ...]


class BaselineActs(OperatorBase):
    """Setting and listing baselines: with a directory, by who controls the agent."""

    async def baselines(self, agent: str, *, every: bool = False) -> BaselineList:
        """Those in force; with `every` also those that were replaced.

        Raises:
            LedgerUnavailable: if there is no ledger.
        """
        rows = await self.ledger.baselines(agent)
        shown = sorted(
            (each for each in rows if every or each.replaced is None), key=lambda each: each.name
        )
        return BaselineList(
            agent=agent, baselines=tuple(BaselineView.model_validate(each) for each in shown)
        )

    async def set_baseline(
        self,
        agent: str,
        name: str,
        amount: Decimal | str,
        *,
        unit: str | None = None,
        source: str,
        kind: Literal["measured", "log", "declared"] = "declared",
    ) -> BaselineView:
        """Put a figure in the place of the one of its name; the same one again changes nothing.

        Raises:
            InvalidRequest: if it is no figure, or has no source, or another unit than its name.
            NotPermitted: if they do not control the agent.
        """
        by = self._who()
        if self._directory is not None and agent not in self._directory.controls(by):
            raise NotPermitted(f"{by} does not control {agent}; nothing was recorded")
        said = (name, _amount(name, amount), _unit(name, unit), kind, _source(source))
        rows = await self.ledger.baselines(agent, name)
        last = next((each for each in rows if each.replaced is None), None)
        if last and (last.name, last.amount, last.unit, last.kind, last.source) == said:
            return BaselineView.model_validate(last)
        at = self._clock()
        key = "\n".join((agent, *said, by, at.isoformat()))
        row = BaselineRow(hashlib.sha256(key.encode()).hexdigest(), agent, *said, by, at)
        await self.ledger.set_baseline(row)
        return BaselineView.model_validate(row)

    async def import_baseline(
        self, agent: str, log: EventLog, currency: str | None = None
    ) -> BaselineList:
        """Keep the figures of an event log of the process. `currency`: of its costs.

        Raises:
            InvalidRequest: if it has no row, or costs and nobody says in what; nothing is kept.
            NotPermitted: if they do not control the agent.
        """
        if not log.events:
            raise InvalidRequest(f"{log.name} has no row that can be read; nothing was recorded")
        figures = evidence.log_figures(log)
        days = sorted(each.at.date() for each in log.events)
        cases = f"{figures.cases:,} case{'s' * (figures.cases != 1)}"
        source = f"{log.name[:300]}: {cases} from {days[0]} to {days[-1]}"
        rows = [_in_currency(each, currency) for each in evidence.baseline_figures(figures)]
        kept = [
            await self.set_baseline(
                agent, each.name, each.amount, unit=each.unit, source=source, kind="log"
            )
            for each in rows
        ]
        return BaselineList(agent=agent, baselines=tuple(kept))


def _in_currency(figure: BaselineFigure, currency: str | None) -> BaselineFigure:
    if figure.name not in evidence.MONEY_BASELINES:
        return figure
    if not _CURRENCY.fullmatch(currency or ""):
        raise InvalidRequest("the log has costs; say in what they are: --currency EUR", "currency")
    return replace(figure, unit=currency or "")


def _amount(name: str, amount: Decimal | str) -> str:
    if not _NAME.fullmatch(name):
        known = ", ".join([*BASELINE_UNITS, *evidence.MONEY_BASELINES])
        raise InvalidRequest(
            f"{name} is no name of a figure; write small letters, digits and _, such as "
            f"minutes_per_case. Reports know: {known}",
            "name",
        )
    try:
        found = Decimal(amount)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found < 0:
        raise InvalidRequest(f"{amount} is no amount; write a number such as 12.5", "amount")
    if BASELINE_UNITS.get(name) == "share" and found > 1:
        raise InvalidRequest(f"{name} is a share from 0 to 1; write 0.05 for 5 %", "amount")
    return f"{found:f}"


def _unit(name: str, unit: str | None) -> str:
    usual = BASELINE_UNITS.get(name)
    if name in evidence.MONEY_BASELINES and not _CURRENCY.fullmatch(unit or ""):
        raise InvalidRequest(f"{name} is in a currency; say it, such as --unit EUR", "unit")
    if usual is None and not (unit or "").strip():
        raise InvalidRequest(f"say the unit of {name}, such as --unit minutes", "unit")
    if usual is not None and unit not in {None, usual}:
        raise InvalidRequest(f"{name} is in {usual}, not in {unit}", "unit")
    return (unit or "").strip()[:40] or usual or ""


def _source(source: str) -> str:
    text = " ".join(source.split())
    if not text or len(text) > _LONGEST:
        raise InvalidRequest(
            f"say where the figure comes from, in {_LONGEST} characters at most, such as "
            "--source 'time study of May 2026, 40 cases'",
            "source",
        )
    return text
