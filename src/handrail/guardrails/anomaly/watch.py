"""Whether a write is outside what is normal for its agent, by the agent's own history.

The history is read again after a minute, and only what is new of it; in between a look costs
microseconds. What this process judged meanwhile counts for rates, so that a burst is seen at
once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from handrail.actions import Finding, Kind, as_json
from handrail.guardrails.anomaly.numbers import (
    Clock,
    Figure,
    Pace,
    Spread,
    amounts,
    clock,
    confidences,
    pace,
)
from handrail.guardrails.anomaly.past_verdicts import PastVerdicts, WatchedShare
from handrail.guardrails.anomaly.targets import RUN, TailRun, Targets, run, targets
from handrail.ledger import PastWrite, WriteRates
from handrail.oversight import CURRENCY
from handrail.text import one_line

if TYPE_CHECKING:
    from handrail.ledger import Ledger
    from handrail.policy import Facts, Normal, Policy

V = TypeVar("V")

FRESH = timedelta(seconds=60)
"""How long what was read of the history is used."""

_MOST_JUDGED = 10_000


@dataclass(frozen=True)
class Pattern:
    """What is normal of one write now. `since`: the first of the `learned` writes.

    While fewer than `learn` writes are known there is nothing else in it.
    """

    learned: int
    learn: int
    since: datetime | None
    amounts: Mapping[str, Spread] = field(default_factory=dict[str, Spread])
    """Of what is money, in each of its currencies."""
    currencies: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many writes are known of what is money, in each of its currencies."""
    targets: Mapping[str, Targets] = field(default_factory=dict[str, Targets])
    confidence: Spread | None = None
    runs: Mapping[str, TailRun] = field(default_factory=dict[str, TailRun])
    hour: Clock | None = None
    paces: tuple[Pace, ...] = ()
    shares: tuple[WatchedShare, ...] = ()

    def figures(self) -> list[Figure]:
        """Each watched thing: what is normal, and what would be flagged."""
        whole = [*self.amounts.values(), self.confidence, self.hour, *self.paces]
        found = [each.figure() for each in whole if each is not None]
        found += [each.chart.figure(each.what) for each in self.shares]
        found += [each.share.figure(f"{_said(name)} in a row") for name, each in self.runs.items()]
        return [*found, *(each.figure() for each in self.targets.values())]


@dataclass
class _StepHistory:
    """What is known of one write step."""

    normal: Pattern | None = None
    read: float = 0.0
    asked: Normal | None = None
    writes: dict[str, PastWrite] = field(default_factory=dict[str, PastWrite])
    rates: WriteRates | None = None
    judged: dict[tuple[str, str], datetime] = field(default_factory=dict[tuple[str, str], datetime])
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class AnomalyDetector:
    """Watches the writes of one agent for what is outside its own normal."""

    def __init__(self, agent: str, ledger: Ledger, fresh: timedelta = FRESH) -> None:
        self.agent = agent
        self._ledger = ledger
        self._fresh = fresh.total_seconds()
        self._steps: dict[str, _StepHistory] = {}
        self._verdicts = PastVerdicts(agent, ledger)

    async def findings(self, policy: Policy, facts: Facts, now: datetime) -> list[Finding]:
        """Why a write is outside what is normal, each a reason to hold; none while learning.

        Raises:
            LedgerUnavailable: if the history cannot be read.
        """
        asked = policy.of(facts.step).normal
        if asked is None:
            return []
        known = await self._known(asked, facts.step, now)
        normal = known.normal
        assert normal is not None  # noqa: S101  # _known has read it
        others = _judged(known, facts, now)
        if normal.learned < normal.learn:
            return []
        seen = _WriteValues.of(asked, facts, normal)
        flags = [
            *_of_values(normal, seen),
            *_of_time(normal, known.rates, others, now),
            *(("mix", each.chart.flag(each.now)) for each in normal.shares),
        ]
        return [
            Finding(check=f"normal: {what}", kind=Kind.HOLD, why=why)
            for what, why in flags
            if why is not None
        ]

    async def edges(self, policy: Policy, facts: Facts, now: datetime) -> list[Finding]:
        """What of a write is at the edge of what is normal: worth a look afterwards, no hold.

        Raises:
            LedgerUnavailable: if the history cannot be read.
        """
        asked = policy.of(facts.step).normal
        normal = await self.normal(policy, facts.step, now)
        if asked is None or normal is None or normal.learned < normal.learn:
            return []
        seen = _WriteValues.of(asked, facts, normal)
        found = {
            _said(name): normal.amounts[name].edge(value)
            for name, value in seen.numbers.items()
            if name in normal.amounts
        }
        if normal.confidence is not None and seen.sure is not None:
            found["confidence"] = normal.confidence.edge(seen.sure)
        return [
            Finding(check=f"normal: edge of {what}", kind=Kind.PASS, why=why)
            for what, why in found.items()
            if why is not None
        ]

    async def normal(self, policy: Policy, step: str, now: datetime) -> Pattern | None:
        """What is normal of a step now; None where the policy has nothing watched.

        Raises:
            LedgerUnavailable: if the history cannot be read.
        """
        asked = policy.of(step).normal
        return None if asked is None else (await self._known(asked, step, now)).normal

    async def _known(self, asked: Normal, step: str, now: datetime) -> _StepHistory:
        known = self._steps.setdefault(step, _StepHistory())
        if self._is_fresh(known, asked):
            return known
        async with known.lock:
            if not self._is_fresh(known, asked):
                await self._read(known, asked, step, now)
        return known

    def _is_fresh(self, known: _StepHistory, asked: Normal) -> bool:
        young = time.monotonic() - known.read < self._fresh
        return known.normal is not None and known.asked == asked and young

    async def _read(self, known: _StepHistory, asked: Normal, step: str, now: datetime) -> None:
        begun, before = time.monotonic(), dict(known.judged)
        keys, fresh = await self._ledger.past_writes(self.agent, step, known.writes)
        rows = known.writes | {row.key: row for row in fresh}
        writes = {key: rows[key] for key in keys if key in rows}
        if asked.rate:
            known.rates = await self._ledger.rates(self.agent, step, now)
        if asked.mix:
            await self._verdicts.read()
        known.writes, known.asked = writes, asked
        known.normal = self._fit(known, asked, step)
        for each in before:
            known.judged.pop(each, None)
        known.read = begun

    def _fit(self, known: _StepHistory, asked: Normal, step: str) -> Pattern:
        rows = tuple(known.writes.values())
        since = rows[0].at if rows else None
        if len(rows) < asked.learn:
            return Pattern(len(rows), asked.learn, since)
        z = float(asked.z)
        sure = [row.confidence for row in rows if row.confidence is not None]
        watch_sure = asked.confidence and len(sure) >= asked.learn
        watch_runs = watch_sure and len(sure) > RUN
        unsure = {"confidence": run("confidence", sure, lowest=True)} if watch_runs else {}
        columns = _numbers(rows, asked.amounts)
        numbers = {name: values for name, values in columns.items() if len(values) >= asked.learn}
        rates = known.rates
        return Pattern(
            learned=len(rows),
            learn=asked.learn,
            since=since,
            amounts={name: amounts(_said(name), values, z) for name, values in numbers.items()},
            currencies={name: len(values) for name, values in columns.items() if _IN in name},
            targets={
                name: targets(_said(name), values)
                for name in asked.targets
                if len(values := _column(rows, name, _text)) >= asked.learn
            },
            confidence=confidences(sure, z) if watch_sure else None,
            runs={
                name: run(_said(name), values)
                for name, values in numbers.items()
                if len(values) > RUN
            }
            | unsure,
            hour=clock((row.at for row in rows), asked.learn) if asked.hour else None,
            paces=_paces(rates) if rates is not None and asked.rate else (),
            shares=self._verdicts.shares(step) if asked.mix else (),
        )


# What is looked at of one write


@dataclass(frozen=True)
class _WriteValues:
    """The watched values of the write that is judged."""

    numbers: Mapping[str, float]
    texts: Mapping[str, str]
    sure: float | None

    @classmethod
    def of(cls, asked: Normal, facts: Facts, normal: Pattern) -> _WriteValues:
        action = as_json(facts.action)
        evidence = facts.basis.evidence if facts.basis else None

        def read(names: Iterable[str], of: Callable[[Any], V | None]) -> dict[str, V]:
            found = ((name, of(_at(action, evidence, name))) for name in names)
            return {name: value for name, value in found if value is not None}

        sure = facts.basis.confidence if facts.basis else None
        # Where nothing that was done has named a currency, all of it was in one.
        measured = _measured if normal.currencies else _plainly
        found = (measured(action, evidence, name) for name in asked.amounts)
        return cls(dict(each for each in found if each), read(asked.targets, _text), sure)


_Flags = list[tuple[str, str | None]]
"""Of each watched thing why it is unusual, in words; None where it is not."""


def _of_values(normal: Pattern, seen: _WriteValues) -> _Flags:
    with_ = {name: v for name, v in seen.numbers.items() if name in normal.amounts}
    flags: _Flags = [(_said(name), normal.amounts[name].flag(v)) for name, v in with_.items()]
    flags += [(_said(name), _unlearned(normal, name)) for name in seen.numbers if _IN in name]
    numbers = [(normal.amounts[name], v) for name, v in with_.items()]
    flags += [
        (f"target {_said(name)}", normal.targets[name].flag(value, numbers))
        for name, value in seen.texts.items()
        if name in normal.targets
    ]
    sure = {} if seen.sure is None else {"confidence": seen.sure}
    if normal.confidence is not None and seen.sure is not None:
        flags.append(("confidence", normal.confidence.flag(seen.sure)))
    flags += [
        (f"{_said(name)} in a row", normal.runs[name].flag(value))
        for name, value in {**seen.numbers, **sure}.items()
        if name in normal.runs
    ]
    return flags


def _of_time(normal: Pattern, rates: WriteRates | None, others: int, now: datetime) -> _Flags:
    flags: _Flags = [("hour", normal.hour.flag(now))] if normal.hour is not None else []
    if rates is not None:
        before = {"hour": rates.last_hour, "day": rates.last_day}
        flags += [
            (f"rate per {pace.window}", pace.flag(before[pace.window] + others + 1))
            for pace in normal.paces
        ]
    return flags


def _judged(known: _StepHistory, facts: Facts, now: datetime) -> int:
    """How many other writes this process judged since the history was read."""
    mine = (facts.case, repr(facts.action))
    others = len(known.judged) - (mine in known.judged)
    if len(known.judged) < _MOST_JUDGED:
        known.judged.setdefault(mine, now)
    return others


# What is learned from


def _said(path: str) -> str:
    """A field as people say it."""
    return path.removeprefix("action.")


_IN = " in "


def _measured(action: Mapping[str, Any], evidence: Any, name: str) -> tuple[str, float] | None:
    """A number, by the name under which it is learned: what is money, by its currency too."""
    found, currency = _plainly(action, evidence, name), _at(action, None, CURRENCY)
    # Only a decimal is written as text.
    money = isinstance(_at(action, evidence, name), str) and isinstance(currency, str)
    if found is None or not money or name.startswith("evidence."):
        return found
    return f"{name}{_IN}{currency}", found[1]


def _plainly(action: Mapping[str, Any], evidence: Any, name: str) -> tuple[str, float] | None:
    number = _number(_at(action, evidence, name))
    return None if number is None else (name, number)


def _numbers(rows: Sequence[PastWrite], names: Iterable[str]) -> dict[str, list[float]]:
    found = dict[str, list[float]]()
    for name in names:
        for row in rows:
            if (each := _measured(row.action, row.evidence, name)) is not None:
                found.setdefault(each[0], []).append(each[1])
    return found


def _unlearned(normal: Pattern, name: str) -> str | None:
    """Why an amount is in a currency of which too little is known; None where it is not."""
    if name in normal.amounts:
        return None
    known, currency = normal.currencies.get(name, 0), name.partition(_IN)[2]
    return f"{known} of the {normal.learned} writes that are known are in {one_line(currency, 20)}"


def _column(rows: Sequence[PastWrite], name: str, read: Callable[[Any], V | None]) -> list[V]:
    values = (read(_at(row.action, row.evidence, name)) for row in rows)
    return [value for value in values if value is not None]


def _at(action: Mapping[str, Any], evidence: Any, path: str) -> Any:
    """The value of a field of the action, or of `evidence.field`; None if there is none."""
    first, *rest = path.split(".")
    if first in {"action", "evidence"} and rest:
        found: Any = action if first == "action" else evidence
    else:
        found, rest = action, [first, *rest]
    for name in rest:
        found = found.get(name) if isinstance(found, Mapping) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]  # JSON
    return found  # pyright: ignore[reportUnknownVariableType]  # JSON


def _number(value: Any) -> float | None:
    """A number, as JSON has one or as a Decimal is written in it; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < float("inf") else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _paces(rates: WriteRates) -> tuple[Pace, ...]:
    days: dict[int, int] = {}
    for hour, count in rates.hours.items():
        days[hour // 24] = days.get(hour // 24, 0) + count
    # The first day and the last are not whole.
    whole = sorted(days)[1:-1]
    return pace("hour", rates.hours.values()), pace("day", [days[day] for day in whole])


# Shares of verdicts
