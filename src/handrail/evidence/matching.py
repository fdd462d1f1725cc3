"""Proposals of an agent in pilot, matched with what people did in the same cases. Pure.

A proposal and a decision of people belong together by case and step. They agree where every
field that people named is the same, but for the tolerances of the policy. What cannot be held
against each other is counted and not guessed: a case without a decision, a decision without a
proposal, two people who contradict each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from handrail.ledger import Proposed, number
from handrail.policy import PilotDoc

if TYPE_CHECKING:
    from pydantic import JsonValue

    from handrail.ledger import OutcomeRow
    from handrail.policy import Tolerance

NOTHING = "nothing"
"""The class of doing nothing."""


class Judged(StrEnum):
    """Who was right where the agent and people differ."""

    AGENT = "agent"
    PEOPLE = "people"
    BOTH = "both"
    """Both were fine."""


@dataclass(frozen=True)
class Compared:
    """A proposal beside what people did. `kind`: the class of the proposal.

    `fields`: those in which they differ. `agrees`: 1 where they do not, or where somebody judged
    that the agent was right, or that both were fine.
    """

    proposed: Proposed
    outcome: OutcomeRow
    kind: str
    fields: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether they did what was proposed."""
        return not self.fields

    @property
    def agrees(self) -> bool:
        """Whether what was proposed was right, as far as is known."""
        return self.same or self.outcome.judged in {Judged.AGENT, Judged.BOTH}


@dataclass(frozen=True)
class Matched:
    """What came of matching: who agrees, and what could not be compared, and why not.

    `waiting`: proposals of which a decision may still come in; `missing`: for which it is late.
    `several`: decisions beside the one that counts; `contradicting`: proposals of which people
    say different things, which count for nothing until one takes theirs back. `unmatched`:
    decisions in cases that the agent did not see. `late`: compared, though they came in after
    `wait`. `hindsight`: compared, though people had decided before the agent did.
    """

    compared: tuple[Compared, ...] = ()
    waiting: tuple[Proposed, ...] = ()
    missing: tuple[Proposed, ...] = ()
    contradicting: tuple[tuple[Proposed, tuple[OutcomeRow, ...]], ...] = ()
    unmatched: tuple[OutcomeRow, ...] = ()
    several: int = 0
    late: int = 0
    hindsight: int = 0


Rules = Mapping[str, PilotDoc]
"""How each step is compared; one that is not there as the policy says where it says nothing."""

_PLAIN = PilotDoc()


def kind_of(step: str, action: Mapping[str, JsonValue] | None, rule: PilotDoc) -> str:
    """The class of an action."""
    if action is None:
        return NOTHING
    return step if rule.kind is None else str(action.get(rule.kind))


def differing(
    proposed: Mapping[str, JsonValue] | None,
    done: Mapping[str, JsonValue] | None,
    rule: PilotDoc,
) -> tuple[str, ...]:
    """The fields in which what people did is not what was proposed; `nothing` of only one."""
    if proposed is None or done is None:
        return () if proposed is done else (NOTHING,)
    return tuple(
        name
        for name, value in done.items()
        if not _same(proposed.get(name), value, rule.match.get(name))
    )


def _same(mine: JsonValue, theirs: JsonValue, within: Tolerance | None) -> bool:
    if mine == theirs or (within is not None and within.amount is None):
        return True
    one, other = number(mine), number(theirs)
    if one is None or other is None:
        return False
    off = Decimal(0) if within is None or within.amount is None else within.amount
    return abs(one - other) <= (abs(other) * off if within is not None and within.share else off)


def match(
    proposals: Sequence[Proposed], outcomes: Iterable[OutcomeRow], rules: Rules, now: datetime
) -> Matched:
    """Hold every proposal against what people did in its case and step."""
    given: dict[tuple[str, str], list[OutcomeRow]] = defaultdict(list)
    for row in outcomes:
        given[row.case, row.step].append(row)
    mine: dict[tuple[str, str], list[Proposed]] = defaultdict(list)
    for each in proposals:
        mine[each.case, each.step].append(each)
    found = _Found()
    for place, those in mine.items():
        found.take(those, given.pop(place, []), rules.get(place[1], _PLAIN), now)
    unmatched = tuple(row for rows in given.values() for row in rows)
    compared = sorted(found.compared, key=lambda each: (each.proposed.at, each.proposed.key))
    return Matched(
        compared=tuple(compared),
        waiting=tuple(found.waiting),
        missing=tuple(found.missing),
        contradicting=tuple(found.contradicting),
        unmatched=(*unmatched, *found.unmatched),
        several=found.several,
        late=found.late,
        hindsight=sum(each.outcome.at < each.proposed.at for each in compared),
    )


@dataclass
class _Found:
    compared: list[Compared] = field(default_factory=list[Compared])
    waiting: list[Proposed] = field(default_factory=list[Proposed])
    missing: list[Proposed] = field(default_factory=list[Proposed])
    contradicting: list[tuple[Proposed, tuple[OutcomeRow, ...]]] = field(
        default_factory=list[tuple[Proposed, tuple["OutcomeRow", ...]]]
    )
    unmatched: list[OutcomeRow] = field(default_factory=list["OutcomeRow"])
    several: int = 0
    late: int = 0

    def take(
        self, those: list[Proposed], rows: list[OutcomeRow], rule: PilotDoc, now: datetime
    ) -> None:
        """Match what was proposed in one step of a case."""
        if len(those) == 1 and rows:
            self._one(those[0], rows, rule)
            return
        for each in those:
            # Of more writes in one step those that agree belong together, the rest in their order.
            row = min(
                rows, key=lambda r: bool(differing(each.action, r.action, rule)), default=None
            )
            if row is None:
                late = now - each.at > rule.wait
                (self.missing if late else self.waiting).append(each)
            else:
                rows.remove(row)
                self._pair(each, row, rule)
        self.unmatched += rows

    def _one(self, proposed: Proposed, rows: list[OutcomeRow], rule: PilotDoc) -> None:
        """Of what one person says of it the last counts; what different people say must agree."""
        last = list({(row.source, row.by): row for row in rows}.values())
        if any(differing(last[-1].action, row.action, rule) for row in last[:-1]):
            self.contradicting.append((proposed, tuple(last)))
            return
        self.several += len(rows) - 1
        self._pair(proposed, last[-1], rule)

    def _pair(self, proposed: Proposed, row: OutcomeRow, rule: PilotDoc) -> None:
        self.late += row.received - max(proposed.at, row.at) > rule.wait
        kind = kind_of(proposed.step, proposed.action, rule)
        fields = differing(proposed.action, row.action, rule)
        self.compared.append(Compared(proposed, row, kind, fields))


def amounts(action: Mapping[str, JsonValue] | None) -> dict[str, Decimal]:
    """The numbers of an action, by their names; money by its currency too."""
    if action is None:
        return {}
    currency = action.get("currency")
    unit = f" {currency}" if isinstance(currency, str) else ""
    found = {name: number(value) for name, value in action.items()}
    return {f"{name}{unit}": value for name, value in found.items() if value is not None}
