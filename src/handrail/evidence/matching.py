"""Proposals of an agent in pilot, matched with what people did in the same cases. Pure.

A proposal and a decision of people belong together by case and step. They agree where every
field that people named is the same, but for the tolerances of the policy. What cannot be held
against each other is counted and not guessed: a case without a decision, a decision without a
proposal, two people who contradict each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from handrail.ledger import ALONE, CONTRADICTS, DIFFERS, OPEN, SAME, Comparison, number

if TYPE_CHECKING:
    from pydantic import JsonValue

    from handrail.ledger import OutcomeRow, ProposedAction
    from handrail.policy import PilotDoc, Tolerance

NOTHING = "nothing"
"""The class of doing nothing."""


class WhoWasRight(StrEnum):
    """Who was right where the agent and people differ."""

    AGENT = "agent"
    PEOPLE = "people"
    BOTH = "both"
    """Both were fine."""


@dataclass(frozen=True)
class Pairing:
    """A proposal beside what people did. `kind`: the class of the proposal.

    `fields`: those in which they differ. `agrees`: 1 where they do not, or where somebody judged
    that the agent was right, or that both were fine.
    """

    proposed: ProposedAction
    outcome: OutcomeRow
    kind: str
    fields: tuple[str, ...]
    above: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def same(self) -> bool:
        """Whether they did what was proposed."""
        return not self.fields

    @property
    def agrees(self) -> bool:
        """Whether what was proposed was right, as far as is known."""
        return self.same or self.outcome.judged in {WhoWasRight.AGENT, WhoWasRight.BOTH}


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


def rule_digest(rule: PilotDoc) -> str:
    """What tells one rule from another, and one way of comparing from another."""
    text = f"{_WAY} {rule.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()


_WAY = 1
"""Raised when the same rule compares otherwise than before: what is kept is compared again."""


def compare_place(
    agent: str,
    step: str,
    proposals: Sequence[ProposedAction],
    outcomes: Sequence[OutcomeRow],
    rule: PilotDoc,
) -> list[Comparison]:
    """Hold what was proposed in one step of a case against what people did, both in order."""
    found = _Place(agent, step, rule, rule_digest(rule))
    if len(proposals) == 1 and outcomes:
        found.one(proposals[0], outcomes)
        return found.rows
    rows = list(outcomes)
    for each in proposals:
        # Of more writes in one step those that agree belong together, the rest in their order.
        row = min(rows, key=lambda r: bool(differing(each.action, r.action, rule)), default=None)
        if row is None:
            found.add(each, OPEN)
        else:
            rows.remove(row)
            found.pair(each, row)
    for row in rows:
        found.alone(row)
    return found.rows


@dataclass
class _Place:
    agent: str
    step: str
    rule: PilotDoc
    digest: str
    rows: list[Comparison] = field(default_factory=list["Comparison"])

    def one(self, proposed: ProposedAction, rows: Sequence[OutcomeRow]) -> None:
        """Of what one person says of it the last counts; what different people say must agree."""
        last = list({(row.source, row.by): row for row in rows}.values())
        if any(differing(last[-1].action, row.action, self.rule) for row in last[:-1]):
            self.add(proposed, CONTRADICTS)
        else:
            self.pair(proposed, last[-1], several=len(rows) - 1)

    def pair(self, proposed: ProposedAction, row: OutcomeRow, several: int = 0) -> None:
        fields = differing(proposed.action, row.action, self.rule)
        self.add(
            proposed,
            DIFFERS if fields else SAME,
            outcome=row.id,
            fields=fields,
            late=int(row.received - max(proposed.at, row.at) > self.rule.wait),
            hindsight=int(row.at < proposed.at),
            several=several,
            above=_texts(_above(proposed.action, row.action)) if fields else {},
        )

    def add(self, proposed: ProposedAction, stand: str, **more: Any) -> None:
        kind, key, at = kind_of(self.step, proposed.action, self.rule), proposed.key, proposed.at
        own: dict[str, Any] = {"amounts": _texts(amounts(proposed.action))} | more
        place = (self.agent, proposed.case, self.step, len(self.rows), self.digest)
        self.rows.append(Comparison(*place, key, at, kind, stand, **own))

    def alone(self, row: OutcomeRow) -> None:
        place = (self.agent, row.case, self.step, len(self.rows), self.digest)
        self.rows.append(Comparison(*place, "", row.at, "", ALONE, row.id))


def _above(
    proposed: Mapping[str, JsonValue] | None, done: Mapping[str, JsonValue] | None
) -> dict[str, Decimal]:
    """By how much the amounts of a proposal are above those that were done."""
    mine, theirs = amounts(proposed), amounts(done)
    names = mine.keys() & theirs.keys() if theirs and mine else {*mine, *theirs}
    return {name: mine.get(name, Decimal(0)) - theirs.get(name, Decimal(0)) for name in names}


def _texts(numbers: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: str(amount) for name, amount in numbers.items()}


def amounts(action: Mapping[str, JsonValue] | None) -> dict[str, Decimal]:
    """The numbers of an action, by their names; money by its currency too."""
    if action is None:
        return {}
    currency = action.get("currency")
    unit = f" {currency}" if isinstance(currency, str) else ""
    found = {name: number(value) for name, value in action.items()}
    return {f"{name}{unit}": value for name, value in found.items() if value is not None}
