"""What the client answers about a pilot: documents, as those of `handrail.client.views`."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Self

from pydantic import Field, JsonValue

from handrail.client.views import Document, Moment
from handrail.evidence import ErrorShare

if TYPE_CHECKING:
    from handrail.evidence import AgreementBound, Pairing, PilotReport
    from handrail.ledger import AlertRow

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
    units: dict[str, str] = Field(default_factory=dict[str, str])


class SelectionView(Document):
    """The cases with a decision and those without: [with, without], by class and mean amount.

    `differ`: whether their classes differ by more than chance; None of too few.
    """

    kinds: dict[str, tuple[int, int]]
    means: dict[str, tuple[Decimal | None, Decimal | None]]
    index: float | None
    differ: bool | None


class PilotView(Document):
    """What a pilot came to. For `waiting` to `hindsight` see `handrail.evidence.PilotReport`.

    `same`: plain agreement; `agreement`: with what people judged. `difference`: by how much the
    amounts of the agent are above those of people, in all disagreements together. `unproven`:
    judgements that prove nothing and do not count. `undecided`: cases of the agent that ended
    before it came to a decision, of which agreement says nothing. `units`: what the amounts of
    `difference` are in; one that is in money by its currency has that in its name.
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
    undecided: int = 0
    units: dict[str, str] = Field(default_factory=dict[str, str])


def pilot_view(
    agent: str, step: str | None, found: PilotReport, goal: float | None, left: tuple[int, int]
) -> PilotView:
    """A report as a document. `left`: how many are `unproven`, and `undecided`."""
    chosen = found.selection
    known = chosen.drift.index is not None
    return PilotView(
        agent=agent,
        step=step,
        proposed=found.proposals,
        since=found.since,
        until=found.until,
        goal=goal,
        same=agreement_view(found.same, goal),
        agreement=agreement_view(found.bound, goal),
        classes=tuple(
            ClassView(kind=each.kind, same=each.same, agreement=agreement_view(each.bound, goal))
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
        unproven=left[0],
        difference=found.difference,
        waiting=found.waiting,
        missing=found.missing,
        contradicting=found.contradicting,
        unmatched=found.unmatched,
        several=found.several,
        late=found.late,
        hindsight=found.hindsight,
        undecided=left[1],
        units={n: u for n in found.difference if (u := _unit(n, found.disagreements))},
    )


def _unit(name: str, of: Iterable[Pairing]) -> str:
    """What an amount is in; nothing where they do not agree."""
    said = {each.proposed.units.get(f"action.{name}", "") for each in of if name in each.above}
    return said.pop() if len(said) == 1 else ""


def disagreement(each: Pairing) -> Disagreement:
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
        units=each.proposed.units,
    )


def agreement_view(bound: AgreementBound, goal: float | None) -> AgreementView:
    """A bound as a document."""
    enough = bound.n >= LEAST
    return AgreementView(
        n=bound.n,
        share=bound.share if enough else None,
        low=bound.low,
        high=bound.high,
        needs=max(LEAST - bound.n, 0),
        to_goal=None if goal is None or goal >= 1 else bound.needed(goal),
    )


# Promotions


class Expected(Document):
    """What a step up would have meant in the last 30 days, of `cases` that were decided.

    `alone`: those that would have run without a human, beside what does already. `minutes`,
    `cost`, in its `unit`: what that frees by the baseline; None where none is known. `wrong_low`,
    `wrong_high`: how many of them may be wrong.
    """

    cases: int
    alone: int
    minutes: Decimal | None
    cost: Decimal | None
    wrong_low: float
    wrong_high: float
    unit: str = ""


class PromotionView(Document):
    """How far one write is from doing more: from `now` to `to`, and what is `lacking`.

    `proposal`: the id of the one that is open. `signed`: who has signed it already, where it takes
    a `second` person, as the words say. `since`, `restarted`: from when on the evidence
    counts, and why not from the beginning.
    """

    step: str
    now: str
    to: str | None
    lacking: tuple[str, ...]
    proposal: str | None
    signed: tuple[str, ...] = ()
    second: str = ""
    since: Moment | None
    restarted: str
    agreement: AgreementView
    wrong: ErrorShare | None
    settled: int
    open_incidents: int
    waiting: int
    planted: int
    caught: int
    expected: Expected | None
    takes_back: tuple[str, ...]


class AutonomyEvent(Document):
    """One thing that became of an agent's freedom. `by`: empty while nobody has answered."""

    id: str
    event: str
    step: str
    at: Moment
    what: str
    wanted: str
    by: str
    open: bool

    @classmethod
    def of(cls, event: str, step: str, row: AlertRow) -> Self:
        """An alert as an event."""
        return cls(
            id=row.id,
            event=event,
            step=step,
            at=row.began,
            what=row.value,
            wanted=row.limit,
            by=row.acknowledged_by or "",
            open=row.ended is None,
        )


class PromotionList(Document):
    """The writes of an agent that may be promoted, and its timeline, the latest first."""

    agent: str
    writes: tuple[PromotionView, ...]
    timeline: tuple[AutonomyEvent, ...]


class PromotionDone(Document):
    """What an evaluation did: proposals that are new, and what was taken back."""

    agent: str
    proposed: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
