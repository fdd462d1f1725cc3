"""Approver attention: how well people look before they rule, from recorded rulings. Pure.

Counted are a person's decisions: rulings by the verbs approve, amend and reject, proven and
recorded, planted ones too. Questions, delegations, revocations and answers decide nothing of
an action. An amendment is no yes: whoever changes something has read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

from handrail.actions import Verb

if TYPE_CHECKING:
    from handrail.ledger import RulingRow

LAST = 50
"""The share of yes and the median look are of so many decisions, the latest."""

MOST_YES = 0.95
"""A larger share of yes among a full `LAST` is a flag."""

SHORTEST_LOOK = timedelta(seconds=5)
"""A shorter median look is a flag."""

FEWEST_LOOKS = 10
"""Of fewer measured looks no median is a flag."""

_DECISIONS = frozenset({Verb.APPROVE, Verb.AMEND, Verb.REJECT})


@dataclass(frozen=True)
class ApproverAttention:
    """How one approver ruled.

    `decisions`: all that were given. `yes`: the share of approvals, 0..1, among the last
    `counted`, which are 50 at most. `looked`: the median of the seconds that this person saw
    what they ruled on, among those of the last `counted` that were measured, `measured` in
    number; None if none was. `planted`: the bad proposals they decided on; `caught` of them
    were rejected, `missed` were approved; what was amended is neither. `last`: when they
    decided last.
    """

    person: str
    decisions: int
    counted: int
    yes: float
    measured: int
    looked: timedelta | None
    planted: int
    caught: int
    missed: int
    last: datetime

    @property
    def flags(self) -> tuple[str, ...]:
        """What the policy's owner should know, in words.

        - more than 95 % yes among the last 50, and no fewer than 50 decisions;
        - a median look under 5 s, of no fewer than 10 that were measured;
        - a planted proposal approved, ever in the time looked at.
        """
        found: list[str] = []
        if self.counted >= LAST and self.yes > MOST_YES:
            found.append(f"said yes to {self.yes:.0%} of the last {self.counted}")
        if self.measured >= FEWEST_LOOKS and self.looked is not None:
            seconds = self.looked.total_seconds()
            if self.looked < SHORTEST_LOOK:
                found.append(f"looked for {seconds:.3g} s in the median of {self.measured}")
        if self.missed:
            found.append(f"approved {self.missed} of {self.planted} planted bad proposals")
        return tuple(found)


def approver_attention(rulings: Iterable[RulingRow]) -> list[ApproverAttention]:
    """Each person who decided something; first those with flags, then by the alphabet.

    What somebody decided in another's place is their own decision.
    """
    by_person: dict[str, list[RulingRow]] = {}
    for row in rulings:
        if row.verb in _DECISIONS:
            by_person.setdefault(row.by, []).append(row)
    found = [_of(person, rows) for person, rows in by_person.items()]
    return sorted(found, key=lambda each: (not each.flags, each.person))


def inattentive(rulings: Iterable[RulingRow]) -> Mapping[str, tuple[str, ...]]:
    """The flags of each person who has any, for the owner's daily message."""
    return {each.person: each.flags for each in approver_attention(rulings) if each.flags}


def _of(person: str, rows: Sequence[RulingRow]) -> ApproverAttention:
    latest = sorted(rows, key=lambda row: (row.at, row.jti), reverse=True)
    last = latest[:LAST]
    looks = [row.looked for row in last if row.looked is not None]
    planted = [row.verb for row in rows if row.planted]
    return ApproverAttention(
        person=person,
        decisions=len(rows),
        counted=len(last),
        yes=sum(row.verb == Verb.APPROVE for row in last) / len(last),
        measured=len(looks),
        looked=timedelta(seconds=median(looks)) if looks else None,
        planted=len(planted),
        caught=planted.count(Verb.REJECT),
        missed=planted.count(Verb.APPROVE),
        last=latest[0].at,
    )
