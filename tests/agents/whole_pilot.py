"""A pilot reckoned from all rows at once: what figures that are kept are held against.

Written without the tables of the ledger, the bounds case by case in their order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from handrail.evidence import (
    POINTS,
    Pairing,
    WhoWasRight,
    agreement_path,
    differing,
    measure_agreement,
    population_stability,
)
from handrail.ledger import OutcomeRow, ProposedAction, number
from handrail.policy import PilotDoc

Place = tuple[str, str]


@dataclass
class Whole:
    """What came of it."""

    compared: list[Pairing] = field(default_factory=list[Pairing])
    open: list[ProposedAction] = field(default_factory=list[ProposedAction])
    contradicting: list[ProposedAction] = field(default_factory=list[ProposedAction])
    unmatched: list[OutcomeRow] = field(default_factory=list[OutcomeRow])
    several: dict[str, int] = field(default_factory=dict[str, int])


def match(
    proposals: Sequence[ProposedAction],
    outcomes: Iterable[OutcomeRow],
    rules: Mapping[str, PilotDoc],
) -> Whole:
    """Hold every proposal against what people did in its case and step."""
    given: dict[Place, list[OutcomeRow]] = defaultdict(list)
    mine: dict[Place, list[ProposedAction]] = defaultdict(list)
    for row in outcomes:
        given[row.case, row.step].append(row)
    for each in proposals:
        mine[each.case, each.step].append(each)
    found = Whole()
    for place, those in mine.items():
        rows, rule = given.pop(place, []), rules.get(place[1], PilotDoc())
        if len(those) == 1 and rows:
            _one(found, those[0], rows, rule)
            continue
        for each in those:
            if not rows:
                found.open.append(each)
                continue
            alike = [row for row in rows if not differing(each.action, row.action, rule)]
            row = (alike or rows)[0]
            rows.remove(row)
            found.compared.append(_pair(each, row, rule))
        found.unmatched += rows
    found.unmatched += [row for rows in given.values() for row in rows]
    found.compared.sort(key=lambda each: (each.proposed.at, each.proposed.key))
    return found


def _one(found: Whole, each: ProposedAction, rows: list[OutcomeRow], rule: PilotDoc) -> None:
    last = list({(row.source, row.by): row for row in rows}.values())
    if any(differing(last[-1].action, row.action, rule) for row in last):
        found.contradicting.append(each)
    else:
        found.several[each.key] = len(rows) - 1
        found.compared.append(_pair(each, last[-1], rule))


def _pair(each: ProposedAction, row: OutcomeRow, rule: PilotDoc) -> Pairing:
    return Pairing(each, row, kind_of(each, rule), differing(each.action, row.action, rule))


def kind_of(each: ProposedAction, rule: PilotDoc) -> str:
    """The class of a proposal."""
    if each.action is None:
        return "nothing"
    return each.step if rule.kind is None else str(each.action.get(rule.kind))


def reckon(
    proposals: Sequence[ProposedAction],
    outcomes: Iterable[OutcomeRow],
    rules: Mapping[str, PilotDoc],
    now: datetime,
    since: datetime | None = None,
) -> dict[str, Any]:
    """The figures of what was proposed since then, as the view of a pilot names them."""
    found = match(proposals, outcomes, rules)

    def counts(at: datetime) -> bool:
        return since is None or at >= since

    compared = [each for each in found.compared if counts(each.proposed.at)]
    open_ = [each for each in found.open if counts(each.at)]
    against = [each for each in found.contradicting if counts(each.at)]
    waits = {step: rule.wait for step, rule in rules.items()}
    waiting = [e for e in open_ if now - e.at <= waits.get(e.step, PilotDoc().wait)]
    agreed, same = [each.agrees for each in compared], [each.same for each in compared]
    every = max(1, -(-len(compared) // POINTS))
    kept = {*range(every, len(compared) + 1, every), len(compared)}
    path = [bound for bound in agreement_path(agreed) if bound.n in kept]
    sides = [[e.proposed for e in compared], [*open_, *against]]
    named = [sorted(kind_of(e, rules.get(e.step, PilotDoc())) for e in side) for side in sides]
    numbers = [Counter(each) for each in named]
    means = [_means(side) for side in sides]
    drift = population_stability(*named)
    mine = [each.at for each in proposals if counts(each.at)]
    return {
        "proposed": len(mine),
        "since": min(mine, default=None),
        "until": max(mine, default=None),
        "same": measure_agreement(same),
        "agreement": measure_agreement(agreed),
        "classes": {
            kind: (
                sum(e.same for e in compared if e.kind == kind),
                measure_agreement(e.agrees for e in compared if e.kind == kind),
            )
            for kind in {each.kind for each in compared}
        },
        "path": [(compared[b.n - 1].proposed.at, b.n, b.share, b.low, b.high) for b in path],
        "kinds": {k: (numbers[0][k], numbers[1][k]) for k in {*numbers[0], *numbers[1]}},
        "means": {n: (means[0].get(n), means[1].get(n)) for n in {*means[0], *means[1]}},
        "drift": (drift.index, drift.drifted if drift.index is not None else None),
        "judged": dict(
            Counter(e.outcome.judged for e in compared if not e.same and e.outcome.judged)
        ),
        "apart": {each.outcome.id for each in compared if not each.same},
        "difference": _difference(compared),
        "waiting": len(waiting),
        "missing": len(open_) - len(waiting),
        "contradicting": sorted(each.case for each in against),
        "unmatched": sum(counts(row.at) for row in found.unmatched),
        "several": sum(found.several.get(each.proposed.key, 0) for each in compared),
        "late": sum(_late(each, rules) for each in compared),
        "hindsight": sum(each.outcome.at < each.proposed.at for each in compared),
    }


def _late(each: Pairing, rules: Mapping[str, PilotDoc]) -> bool:
    began = max(each.proposed.at, each.outcome.at)
    return each.outcome.received - began > rules.get(each.proposed.step, PilotDoc()).wait


def amounts(action: Mapping[str, Any] | None) -> dict[str, Decimal]:
    """The numbers of an action, money by its currency too."""
    given = action or {}
    unit = f" {given['currency']}" if isinstance(given.get("currency"), str) else ""
    found = {name: number(value) for name, value in given.items()}
    return {f"{name}{unit}": value for name, value in found.items() if value is not None}


def _means(those: Sequence[ProposedAction]) -> dict[str, Decimal]:
    seen: dict[str, list[Decimal]] = defaultdict(list)
    for each in those:
        for name, amount in amounts(each.action).items():
            seen[name].append(amount)
    return {name: sum(each, Decimal(0)) / len(each) for name, each in seen.items()}


def _difference(compared: Sequence[Pairing]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for each in compared:
        if not each.same and each.outcome.judged != WhoWasRight.BOTH:
            mine, theirs = amounts(each.proposed.action), amounts(each.outcome.action)
            for name in mine.keys() & theirs.keys() if theirs and mine else {*mine, *theirs}:
                sums[name] += mine.get(name, Decimal(0)) - theirs.get(name, Decimal(0))
    return {name: amount for name, amount in sums.items() if amount}
