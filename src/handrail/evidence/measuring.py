"""The report on an agent, from a ledger: its figures, its policy, its baselines, what changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from handrail.actions import WHOLE
from handrail.evidence.metrics import own_metrics, seven_metrics
from handrail.evidence.report import AgentReport, ReportDay, ReportMark
from handrail.evidence.totals import DAY, Totals, day_of, number_of, percentile, totals
from handrail.evidence.value import MONTH, Reckoning, value_report
from handrail.ledger import MetricQuery
from handrail.policy import Setting, known_policy
from handrail.states import State

if TYPE_CHECKING:
    from handrail.ledger import AgentFigures, Ledger, OrderRow, PresenceRow
    from handrail.policy import MetricDoc

PERIOD = timedelta(days=30)


async def measure_report(
    ledger: Ledger, agent: str, since: datetime | None = None, now: datetime | None = None
) -> AgentReport:
    """Everything about an agent since the beginning of a day, UTC; of the last 30 if none is said.

    Money, value and its own metrics go by the policy that was loaded last.

    Raises:
        LedgerUnavailable: if the ledger cannot be read.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    since = _midnight(since or now - PERIOD + DAY)
    before = since - max(_midnight(now) + DAY - since, DAY)
    policies = await ledger.policies(agent)
    worth = known_policy(policies[0].text) if policies else None
    late = worth.value.late.after if worth and worth.value.late else None
    asked = tuple(_query(each) for each in worth.metrics.values()) if worth else ()
    found = await ledger.agent_figures(agent, before, now, late=late, metrics=asked)
    presence = await ledger.presence(agent, before)
    baselines = await ledger.baselines(agent)
    orders = await ledger.orders(agent)
    stops = [
        (each.at, each.ended or now)
        for each in orders
        if each.kind == "stop" and each.step is None and each.case is None
    ]
    then, there = (totals(found, presence, stops, *of) for of in ((before, since), (since, now)))
    old, new = (Reckoning.of(each, worth, baselines) for each in (then, there))
    was = value_report(old, found.first)
    return AgentReport(
        agent=agent,
        policy=policies[0].label if policies else None,
        since=since,
        until=now,
        previous_since=before,
        made=now,
        tasks=there.tasks,
        previous_tasks=then.tasks,
        left_out=_left_out(found, there),
        metrics=seven_metrics(new, old),
        own=own_metrics(worth.metrics, there, then) if worth else (),
        value=value_report(new, found.first),
        previous_net=was.net,
        days=_days(found, new, since, now),
        marks=await _marks(ledger, agent, orders, since, presence),
    )


async def cases_behind(
    ledger: Ledger, agent: str, which: str, since: datetime | None, *, now: datetime, limit: int
) -> list[tuple[str, str, datetime]]:
    """The latest cases behind a figure of such a report: case, state, and when it ended.

    Raises:
        LedgerUnavailable: if the ledger cannot be read.
    """
    policies = await ledger.policies(agent)
    worth = known_policy(policies[0].text) if policies else None
    late = worth.value.late.after if worth and worth.value.late else None
    since = _midnight(since or now - PERIOD + DAY)
    return await ledger.cases_of(agent, since, now, which, late=late, limit=limit)


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _query(doc: MetricDoc) -> MetricQuery:
    which = doc.count or doc.rate or "all"
    of = doc.of if doc.count is None else "all"
    return MetricQuery(which, of, doc.mean, doc.within, doc.action)


def _left_out(found: AgentFigures, sums: Totals) -> dict[str, int]:
    given = {"open": found.open, "pilot": sums.pilots, "only handed on": sums.rounds}
    return {why: n for why, n in given.items() if n} | (
        {"planted questions": sums.planted} if sums.planted else {}
    )


def _days(
    found: AgentFigures, reckoned: Reckoning, since: datetime, until: datetime
) -> tuple[ReportDay, ...]:
    """Every day of the period, also those on which nothing happened."""
    took = defaultdict[int, list[float]](list)
    looked = defaultdict[int, float](float)
    for each in found.questions:
        day = int(each.asked // DAY.total_seconds())
        looked[day] += each.looked or 0.0
        if each.took is not None and not each.planted:
            took[day].append(each.took)
    price = reckoned.figures.get("prices.human minute")
    minute = float(price.amount) / 60 if price else 0.0
    numbers = range(number_of(since), number_of(until) + 1)
    return tuple(
        _day(found, reckoned, number, sorted(took[number]), looked[number] * minute)
        for number in numbers
    )


def _day(
    found: AgentFigures, reckoned: Reckoning, number: int, took: Sequence[float], people: float
) -> ReportDay:
    rows = [row for row in found.cases if row.day == number]
    ends: Counter[str] = Counter()
    for row in rows:
        if not (row.pilot or row.round or row.state == State.PILOTED):
            ends[row.state] += row.cases
    models = sum((r.cost for r in rows if r.currency == reckoned.currency), Decimal(0))
    price = reckoned.figures.get("prices.infrastructure")
    times = ends.total() if reckoned.per_case else DAY / MONTH
    return ReportDay(
        day=day_of(number),
        tasks=ends.total(),
        ends=dict(sorted(ends.items())),
        verdicts={kind: n for (day, kind), n in found.verdicts.items() if day == number},
        errors={each.kind: each.cases for each in found.errors if each.day == number},
        ruled=len(took),
        median=percentile(took, 0.5),
        p90=percentile(took, 0.9),
        models=float(models),
        people=people,
        infrastructure=float(price.amount) * times if price else 0.0,
    )


async def _marks(
    ledger: Ledger,
    agent: str,
    orders: Sequence[OrderRow],
    since: datetime,
    presence: Sequence[PresenceRow],
) -> tuple[ReportMark, ...]:
    """What changed in the period: policies, builds, levels and stops."""
    marks = [
        ReportMark(at=row.first, kind="policy", what=row.label)
        for row in await ledger.policies(agent)
    ]
    first = dict[str, datetime]()
    for row in presence:
        first[row.build] = min(first.get(row.build, row.since), row.since)
    marks += [ReportMark(at=at, kind="build", what=build) for build, at in first.items() if build]
    for order in orders:
        if order.kind == "level" and order.level is not None:
            share = WHOLE if order.rollout is None else order.rollout
            what = f"{order.step or 'all writes'}: {Setting(order.level, share)}, by {order.by}"
            marks.append(ReportMark(at=order.at, kind="level", what=what))
        elif order.kind == "stop" and order.case is None:
            marks.append(ReportMark(at=order.at, kind="stop", what=f"stopped by {order.by}"))
    return tuple(sorted((m for m in marks if m.at >= since), key=lambda mark: mark.at))
