"""What the client answers about a pilot: documents, as those of `handrail.client.views`."""

from __future__ import annotations

from decimal import Decimal

from pydantic import JsonValue

from handrail.client.views import Document, Moment
from handrail.evidence import AgreementBound, Compared, PilotReport

LEAST = 20
"""Of fewer cases no share is given: so many more are needed."""


class BadOutcome(Document):
    """An outcome that was not taken in: where it stands, and why."""

    where: str
    why: str


class OutcomeImport(Document):
    """What came of taking outcomes in. `known`: those that were there already."""

    agent: str
    new: int
    known: int
    bad: tuple[BadOutcome, ...] = ()


class AgreementView(Document):
    """How often two agree, of `n` cases; bounds that hold however often one looks.

    `share`: None of too few, then `needs` says how many more. `to_goal`: how many more must
    agree, in a row, until `low` reaches the goal; None without one.
    """

    n: int
    share: float | None
    low: float
    high: float
    needs: int = 0
    to_goal: int | None = None


class ClassView(Document):
    """Agreement in one class of proposals. `same`: plain agreement, before any was judged."""

    kind: str
    same: int
    agreement: AgreementView


class PointView(Document):
    """The agreement after `n` cases, at a moment."""

    at: Moment
    n: int
    share: float
    low: float
    high: float


class Disagreement(Document):
    """Where people did something else. `id`: of the outcome, to judge it by."""

    id: str
    case: str
    step: str
    kind: str
    proposed: dict[str, JsonValue] | None
    did: dict[str, JsonValue] | None
    fields: tuple[str, ...]
    by: str
    at: Moment
    judged: str | None = None
    judged_by: str | None = None
    judged_at: Moment | None = None
    judged_why: str | None = None


class SelectionView(Document):
    """The cases with a decision and those without: [with, without], by class and mean amount.

    `differ`: whether their classes differ by more than chance; None of too few.
    """

    kinds: dict[str, tuple[int, int]]
    means: dict[str, tuple[Decimal | None, Decimal | None]]
    index: float | None
    differ: bool | None


class PilotView(Document):
    """What a pilot came to. For `waiting` to `hindsight` see `handrail.evidence.Matched`.

    `same`: plain agreement; `agreement`: with what people judged. `difference`: by how much the
    amounts of the agent are above those of people, in all disagreements together. `unproven`:
    judgements that prove nothing and do not count.
    """

    agent: str
    step: str | None
    proposed: int
    since: Moment | None
    until: Moment | None
    goal: float | None
    same: AgreementView
    agreement: AgreementView
    classes: tuple[ClassView, ...]
    path: tuple[PointView, ...]
    disagreements: tuple[Disagreement, ...]
    selection: SelectionView
    judged: dict[str, int]
    unproven: int
    difference: dict[str, Decimal]
    waiting: int
    missing: int
    contradicting: tuple[str, ...]
    unmatched: int
    several: int
    late: int
    hindsight: int


def pilot_view(
    agent: str, step: str | None, found: PilotReport, goal: float | None, unproven: int
) -> PilotView:
    """A report as a document."""
    matched, chosen = found.matched, found.selection
    known = chosen.drift.index is not None
    return PilotView(
        agent=agent,
        step=step,
        proposed=found.proposals,
        since=found.since,
        until=found.until,
        goal=goal,
        same=_agreement(found.same, goal),
        agreement=_agreement(found.bound, goal),
        classes=tuple(
            ClassView(kind=each.kind, same=each.same, agreement=_agreement(each.bound, goal))
            for each in found.classes
        ),
        path=tuple(
            PointView(at=at, n=b.n, share=b.share or 0.0, low=b.low, high=b.high)
            for at, b in ((each.at, each.bound) for each in found.path)
        ),
        disagreements=tuple(map(disagreement, found.disagreements)),
        selection=SelectionView(
            kinds=chosen.kinds,
            means=chosen.means,
            index=chosen.drift.index,
            differ=chosen.drift.drifted if known else None,
        ),
        judged=found.judged,
        unproven=unproven,
        difference=found.difference,
        waiting=len(matched.waiting),
        missing=len(matched.missing),
        contradicting=tuple(each.case for each, _ in matched.contradicting),
        unmatched=len(matched.unmatched),
        several=matched.several,
        late=matched.late,
        hindsight=matched.hindsight,
    )


def disagreement(each: Compared) -> Disagreement:
    """One disagreement as a document."""
    row = each.outcome
    return Disagreement(
        id=row.id,
        case=row.case,
        step=row.step,
        kind=each.kind,
        proposed=each.proposed.action,
        did=row.action,
        fields=each.fields,
        by=row.by,
        at=row.at,
        judged=row.judged,
        judged_by=row.judged_by,
        judged_at=row.judged_at,
        judged_why=row.judged_why,
    )


def _agreement(bound: AgreementBound, goal: float | None) -> AgreementView:
    enough = bound.n >= LEAST
    return AgreementView(
        n=bound.n,
        share=bound.share if enough else None,
        low=bound.low,
        high=bound.high,
        needs=max(LEAST - bound.n, 0),
        to_goal=None if goal is None or goal >= 1 else bound.needed(goal),
    )
