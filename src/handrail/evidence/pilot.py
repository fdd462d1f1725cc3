"""The pilot of an agent: how often it proposes what people do, by class and over time. Pure.

The bounds hold however often one looks (`handrail.evidence.estimates`). A disagreement counts
against the agent until somebody judges it. Which cases have no decision is shown beside them, and
whether they look like the others: agreement says nothing of cases that nobody decided.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from handrail.evidence.drift import Drift, population_stability
from handrail.evidence.estimates import AgreementBound, agreement_path, measure_agreement
from handrail.evidence.matching import (
    Compared,
    Judged,
    Matched,
    Rules,
    amounts,
    kind_of,
    match,
)
from handrail.policy import PilotDoc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from handrail.ledger import OutcomeRow, Proposed

POINTS = 60
"""Of the agreement over time, at most so many are kept."""


@dataclass(frozen=True)
class ClassAgreement:
    """Agreement in one class of proposals: how many are the same, and the bound."""

    kind: str
    same: int
    bound: AgreementBound


@dataclass(frozen=True)
class AgreementPoint:
    """The agreement after `n` cases, at the moment of the last of them."""

    at: datetime
    bound: AgreementBound


@dataclass(frozen=True)
class Selection:
    """The cases with a decision of people and those without, by class and mean amount.

    `drift`: whether the classes of those without differ from those with.
    """

    kinds: dict[str, tuple[int, int]]
    means: dict[str, tuple[Decimal | None, Decimal | None]]
    drift: Drift


@dataclass(frozen=True)
class PilotReport:
    """What a pilot came to. `same`: the bound of plain agreement; `bound`: with what was judged.

    `difference`: by how much the amounts of the agent are above those of people, in all
    disagreements together.
    """

    proposals: int
    since: datetime | None
    until: datetime | None
    matched: Matched
    same: AgreementBound
    bound: AgreementBound
    classes: tuple[ClassAgreement, ...]
    path: tuple[AgreementPoint, ...]
    selection: Selection
    judged: dict[str, int] = field(default_factory=dict[str, int])
    difference: dict[str, Decimal] = field(default_factory=dict[str, Decimal])

    @property
    def disagreements(self) -> tuple[Compared, ...]:
        """Where people did something else, those first that nobody has judged."""
        found = (each for each in self.matched.compared if not each.same)
        return tuple(sorted(found, key=lambda each: each.outcome.judged is not None))


def measure_pilot(
    proposals: Sequence[Proposed], outcomes: Iterable[OutcomeRow], rules: Rules, now: datetime
) -> PilotReport:
    """What came of what an agent proposed, held against what people did."""
    found = match(proposals, outcomes, rules, now)
    compared = found.compared
    return PilotReport(
        proposals=len(proposals),
        since=min((each.at for each in proposals), default=None),
        until=max((each.at for each in proposals), default=None),
        matched=found,
        same=measure_agreement(each.same for each in compared),
        bound=measure_agreement(each.agrees for each in compared),
        classes=_classes(compared),
        path=_path(compared),
        selection=_selection(found, rules),
        judged=dict(Counter(e.outcome.judged for e in compared if not e.same and e.outcome.judged)),
        difference=_difference(compared),
    )


def _classes(compared: Sequence[Compared]) -> tuple[ClassAgreement, ...]:
    by_kind: dict[str, list[Compared]] = defaultdict(list)
    for each in compared:
        by_kind[each.kind].append(each)
    return tuple(
        ClassAgreement(kind, sum(e.same for e in those), measure_agreement(e.agrees for e in those))
        for kind, those in sorted(by_kind.items(), key=lambda item: -len(item[1]))
    )


def _path(compared: Sequence[Compared]) -> tuple[AgreementPoint, ...]:
    every = max(1, -(-len(compared) // POINTS))
    kept = {*range(every, len(compared) + 1, every), len(compared)} - {0}
    bounds = agreement_path((each.agrees for each in compared), at=kept)
    return tuple(AgreementPoint(compared[bound.n - 1].proposed.at, bound) for bound in bounds)


def _selection(found: Matched, rules: Rules) -> Selection:
    decided = [each.proposed for each in found.compared]
    without = [*found.missing, *found.waiting, *(each for each, _ in found.contradicting)]
    kinds = [[_kind(each, rules) for each in those] for those in (decided, without)]
    counts, others = Counter(kinds[0]), Counter(kinds[1])
    means = [_means(decided), _means(without)]
    return Selection(
        {kind: (counts[kind], others[kind]) for kind in sorted({*counts, *others})},
        {name: (means[0].get(name), means[1].get(name)) for name in sorted({*means[0], *means[1]})},
        population_stability(kinds[0], kinds[1]),
    )


def _kind(each: Proposed, rules: Rules) -> str:
    return kind_of(each.step, each.action, rules.get(each.step, PilotDoc()))


def _means(those: Sequence[Proposed]) -> dict[str, Decimal]:
    seen: dict[str, list[Decimal]] = defaultdict(list)
    for each in those:
        for name, amount in amounts(each.action).items():
            seen[name].append(amount)
    return {name: sum(each, Decimal(0)) / len(each) for name, each in seen.items()}


def _difference(compared: Sequence[Compared]) -> dict[str, Decimal]:
    """What would have come to more or less, had it been as proposed; equal sums are left out."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for each in compared:
        if not each.same and each.outcome.judged != Judged.BOTH:
            mine, theirs = amounts(each.proposed.action), amounts(each.outcome.action)
            for name in mine.keys() & theirs.keys() if theirs and mine else {*mine, *theirs}:
                sums[name] += mine.get(name, Decimal(0)) - theirs.get(name, Decimal(0))
    return {name: amount for name, amount in sorted(sums.items()) if amount}
