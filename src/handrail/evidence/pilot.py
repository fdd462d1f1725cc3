"""The pilot of an agent: how often it proposes what people do, by class and over time. Pure.

The bounds hold however often one looks (`handrail.evidence.estimates`). A disagreement counts
against the agent until somebody judges it. Which cases have no decision is shown beside them, and
whether they look like the others: agreement says nothing of cases that nobody decided.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from handrail.evidence.drift import Drift, stability_of_counts
from handrail.evidence.estimates import AgreementBound, bound_of
from handrail.evidence.matching import NOTHING, Pairing, WhoWasRight
from handrail.ledger import ALONE, DIFFERS, OPEN, SAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from handrail.ledger import ComparedSoFar, ComparisonCount, ComparisonFigures

POINTS = 60
"""Of the agreement over time, at most so many are given, and the last."""


@dataclass(frozen=True)
class ClassAgreement:
    """Agreement in one class of proposals: how many are the same, and the bound."""

    kind: str
    same: int
    bound: AgreementBound
    differ: int


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

    `writes`: the bound of those alone that proposed to write: doing nothing where people do
    nothing shows nothing of what may be written.
    `differ`: how many do not agree, with what was judged. `difference`: by how much the amounts
    of the agent are above those of people, in all disagreements together. `disagreements`: where
    people did something else, those first that nobody has judged.

    `waiting`: proposals of which a decision may still come in; `missing`: for which it is late.
    `several`: decisions beside the one that counts. `contradicting`: cases of which people say
    different things, which count for nothing until one takes theirs back. `unmatched`: decisions
    of no proposal. `late`: compared, though they came in after `wait`. `hindsight`: compared,
    though people had decided before the agent did.
    """

    proposals: int
    since: datetime | None
    until: datetime | None
    same: AgreementBound
    bound: AgreementBound
    writes: AgreementBound
    differ: int
    classes: tuple[ClassAgreement, ...]
    path: tuple[AgreementPoint, ...]
    selection: Selection
    disagreements: tuple[Pairing, ...] = ()
    judged: dict[str, int] = field(default_factory=dict[str, int])
    difference: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    waiting: int = 0
    missing: int = 0
    contradicting: tuple[str, ...] = ()
    unmatched: int = 0
    several: int = 0
    late: int = 0
    hindsight: int = 0


def measure_pilot(
    figures: ComparisonFigures,
    unjudged: Sequence[Pairing],
    judged: Sequence[Pairing],
) -> PilotReport:
    """What came of what an agent proposed, held against what people did.

    `unjudged`: disagreements to be shown, which may be some of them; `judged`: all of the others.
    """
    sums = _Sums.of(figures)
    right = [each for each in judged if each.agrees]
    bounds = [bound_of(sums.compared, each) for each in (sums.differ, sums.differ - len(right))]
    classes = _classes(figures.counts, right)
    return PilotReport(
        proposals=sum(each.number for each in figures.counts if each.stand != ALONE),
        since=figures.since,
        until=figures.until,
        same=bounds[0],
        bound=bounds[1],
        writes=_together(each for each in classes if each.kind != NOTHING),
        differ=sums.differ - len(right),
        classes=classes,
        path=_path(figures.path, right),
        selection=_selection(figures),
        disagreements=(*unjudged, *judged),
        judged=dict(Counter(each.outcome.judged for each in judged if each.outcome.judged)),
        difference=_difference(figures, judged),
        waiting=sums.waiting,
        missing=sums.open - sums.waiting,
        contradicting=figures.contradicting,
        unmatched=sum(each.number for each in figures.counts if each.stand == ALONE),
        several=sums.several,
        late=sums.late,
        hindsight=sums.hindsight,
    )


@dataclass(frozen=True)
class _Sums:
    compared: int
    differ: int
    open: int
    waiting: int
    late: int
    hindsight: int
    several: int

    @classmethod
    def of(cls, figures: ComparisonFigures) -> _Sums:
        stands = Counter[str]()
        for each in figures.counts:
            stands[each.stand] += each.number
        more = (
            sum(getattr(each, name) for each in figures.counts)
            for name in ("waiting", "late", "hindsight", "several")
        )
        return cls(stands[SAME] + stands[DIFFERS], stands[DIFFERS], stands[OPEN], *more)


def _classes(
    counts: Iterable[ComparisonCount], right: Iterable[Pairing]
) -> tuple[ClassAgreement, ...]:
    same, differ = Counter[str](), Counter[str]()
    for each in counts:
        if each.stand in {SAME, DIFFERS}:
            (same if each.stand == SAME else differ)[each.kind] += each.number
    judged = Counter(each.kind for each in right)
    kinds = sorted({*same, *differ}, key=lambda kind: (-same[kind] - differ[kind], kind))
    return tuple(
        ClassAgreement(
            kind,
            same[kind],
            bound_of(same[kind] + differ[kind], differ[kind] - judged[kind]),
            differ[kind] - judged[kind],
        )
        for kind in kinds
    )


def _together(classes: Iterable[ClassAgreement]) -> AgreementBound:
    numbers = [(each.bound.n, each.differ) for each in classes]
    return bound_of(sum(n for n, _ in numbers), sum(differ for _, differ in numbers))


def _path(path: Sequence[ComparedSoFar], right: Iterable[Pairing]) -> tuple[AgreementPoint, ...]:
    places = sorted((each.proposed.at, each.proposed.key) for each in right)
    return tuple(
        AgreementPoint(
            each.at,
            bound_of(each.number, each.differ - bisect_right(places, (each.at, each.key))),
        )
        for each in path
    )


def _selection(figures: ComparisonFigures) -> Selection:
    with_, without = Counter[str](), Counter[str]()
    for each in figures.counts:
        if each.stand != ALONE:
            (with_ if each.stand in {SAME, DIFFERS} else without)[each.kind] += each.number
    means = {place: total / n for place, (total, n) in figures.amounts.items()}
    kinds, names = sorted({*with_, *without}), sorted({name for _, name in means})
    return Selection(
        {kind: (with_[kind], without[kind]) for kind in kinds},
        {name: (means.get((True, name)), means.get((False, name))) for name in names},
        stability_of_counts(*(dict(sorted(each.items())) for each in (with_, without))),
    )


def _difference(figures: ComparisonFigures, judged: Iterable[Pairing]) -> dict[str, Decimal]:
    """What would have come to more or less, had it been as proposed; equal sums are left out."""
    sums = defaultdict(Decimal, figures.above)
    for each in judged:
        if each.outcome.judged == WhoWasRight.BOTH:
            for name, amount in each.above.items():
                sums[name] -= Decimal(amount)
    return {name: amount for name, amount in sorted(sums.items()) if amount}
