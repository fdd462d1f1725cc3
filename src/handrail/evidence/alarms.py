"""Alarms: which figures of an agent are worse now than its policy's `alerts:` allow."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from handrail.exceptions import LedgerUnavailable
from handrail.ledger import AlertRow
from handrail.policy import ALARMS, written
from handrail.text import one_line, percent

if TYPE_CHECKING:
    from handrail.ledger import Ledger
    from handrail.policy import AlertsDoc

NAMED = 20
"""Cases behind an alarm that are named."""

BASELINE = "cost_per_case"

_FEWEST = 3
"""Fewer escalated cases are no rise, unless `least:` is smaller."""

AGAIN = timedelta(minutes=30)
"""An alarm of a share that comes again within this time is the one that there was."""

_SHARES = frozenset({"failures", "escalations", "cost"})
"""The rules whose figures go to and fro; another question that waits is another matter."""


@dataclass(frozen=True)
class Alarm:
    """A rule whose limit is passed. `cases`: some of those behind it."""

    rule: str
    value: str
    limit: str
    cases: tuple[str, ...] = ()


async def find_alarms(ledger: Ledger, agent: str, doc: AlertsDoc, now: datetime) -> list[Alarm]:
    """Every rule of an agent whose limit is passed `now`, or that cannot be judged.

    Each is judged alone: one that fails hides no other, and is an alarm that says so. A rule
    without the cases that it takes at least (`least:`), or without its baseline, says nothing.

    Raises:
        LedgerUnavailable: if the ledger cannot be read for any of them.
    """
    found, away = list[Alarm](), list[LedgerUnavailable]()
    limits = dict(doc.limits())
    for rule, limit in limits.items():
        try:
            said = await _RULES[rule](ledger, agent, doc, now)
        except Exception as error:  # noqa: BLE001  # of one rule, whatever the rows that it reads hold
            away += [error] if isinstance(error, LedgerUnavailable) else []
            said = one_line(f"it cannot be judged: {type(error).__name__}: {error}", 300), ()
        if said is not None:
            found.append(Alarm(rule, said[0], limit, said[1][:NAMED]))
    if away and len(away) == len(limits):
        raise away[0]
    return found


_Said = tuple[str, tuple[str, ...]] | None
"""The figure in words, and the cases behind it."""


async def _failures(ledger: Ledger, agent: str, doc: AlertsDoc, now: datetime) -> _Said:
    rule = doc.failures
    if rule is None:
        return None
    writes, failed = await ledger.failed_writes(agent, now - rule.within, now)
    if writes < rule.least or len(failed) * 10_000 <= rule.over * writes:
        return None
    return f"{len(failed)} of {writes} writes ({_share(len(failed), writes)})", failed


async def _escalations(ledger: Ledger, agent: str, doc: AlertsDoc, now: datetime) -> _Said:
    rule = doc.escalations
    if rule is None:
        return None
    begins = now - rule.within
    before, then = await ledger.escalated_cases(agent, begins - rule.within, begins)
    cases, escalated = await ledger.escalated_cases(agent, begins, now)
    # From none to one is no rise that anybody can tell from chance.
    if min(before, cases) < rule.least or len(escalated) < min(_FEWEST, rule.least):
        return None
    # So many of these would be as large a share as the one before, and `up` more.
    allowed = Decimal(len(then)) / before * cases * (10_000 + rule.up) / 10_000
    if len(escalated) <= allowed:
        return None
    said = f"{len(escalated)} of {cases} cases ({_share(len(escalated), cases)})"
    return f"{said}, before {len(then)} of {before} ({_share(len(then), before)})", escalated


async def _cost(ledger: Ledger, agent: str, doc: AlertsDoc, now: datetime) -> _Said:
    rule = doc.cost
    baselines = await ledger.baselines(agent, BASELINE) if rule is not None else []
    live = [each for each in baselines if each.replaced is None]
    if rule is None or not live:
        return None
    costs = await ledger.costs_of_cases(agent, now - rule.within, now)
    if len(costs) < rule.least:
        return None
    unit, most = live[-1].unit, Decimal(live[-1].amount) * rule.times
    if foreign := tuple(case for case, cost, currency in costs if cost and currency != unit):
        said = f"cost in another currency than the baseline ({unit}) of {len(foreign)} cases"
        return f"{said}: set {BASELINE} in theirs", foreign
    over = [case for case, cost, _ in costs if cost > most]
    # 95 % of them must stay below it.
    if len(over) * 20 <= len(costs):
        return None
    return f"{len(over)} of {len(costs)} cases cost over {most:f} {unit}", tuple(over)


async def _waiting(ledger: Ledger, agent: str, doc: AlertsDoc, now: datetime) -> _Said:
    rule = doc.waiting
    open_ = await ledger.old_questions(agent, now - rule.over) if rule is not None else []
    if rule is None or not open_:
        return None
    age = written(now - open_[0][1])
    many = "1 question" if len(open_) == 1 else f"{len(open_)} questions"
    return f"{many}, the oldest for {age}", tuple(case for case, _ in open_)


async def _silent(ledger: Ledger, agent: str, doc: AlertsDoc, now: datetime) -> _Said:
    rule = doc.silent
    if rule is None:
        return None
    last = (await ledger.latest_writes()).get(agent)
    # As the last one is older, none of those that began since was written.
    tried, failed = await ledger.failed_writes(agent, now - rule.lasts, now)
    if last is None and tried:
        # Of one that has only begun to try nothing is said yet.
        begin = now - rule.lasts
        before, _ = await ledger.failed_writes(agent, begin - rule.lasts, begin)
        return (f"none has succeeded yet, {tried} tried", failed) if before else None
    if last is None or now - last <= rule.lasts or not tried:
        return None
    return f"the last one {written(now - last)} ago, {tried} tried since", failed


_RULES = {
    "failures": _failures,
    "escalations": _escalations,
    "cost": _cost,
    "waiting": _waiting,
    "silent": _silent,
}


def _share(part: int, whole: int) -> str:
    return percent(part * 10_000 // whole)


async def keep_alarms(
    ledger: Ledger, agent: str, alarms: Sequence[Alarm], now: datetime
) -> list[AlertRow]:
    """Begin the alerts of new alarms, and end those whose limit is kept again.

    One of a share that ended a moment ago lasts on: what goes to and fro beside its limit is no
    news each time, and whoever is at it still is.

    Returns those that the owner is to be told of: each that lasts and was not told yet. Whoever
    tells says so by `Ledger.change_alert(id, told=...)`.

    Raises:
        LedgerUnavailable: if the ledger cannot be read.
    """
    passed = {each.rule: each for each in alarms}
    live = {row.rule: row for row in await ledger.alerts(agent) if row.rule in ALARMS}
    for rule in live.keys() - passed.keys():
        await ledger.change_alert(live[rule].id, ended=now)
    for rule in passed.keys() - live.keys():
        if rule in _SHARES and await ledger.reopen_alert(agent, rule, now - AGAIN):
            continue
        each = passed[rule]
        named = f"{agent} {rule} {now.timestamp()}"
        row = AlertRow(
            id=hashlib.sha256(named.encode()).hexdigest(),
            agent=agent,
            rule=rule,
            began=now,
            value=each.value,
            limit=each.limit,
            cases=each.cases,
        )
        await ledger.begin_alert(row)
    rows = await ledger.alerts(agent)
    return [row for row in rows if row.rule in ALARMS and row.told is None]
