"""What one person may do at a gate, as far as the gate shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from handrail.actions import person

if TYPE_CHECKING:
    from handrail.oversight import Consultation, GateView


def may_rule(gate: GateView, who: str) -> bool:
    """Whether this person is among those the gate asks. Entitlement is the case's to judge."""
    return person(who) in {person(each) for each in gate.people}


_DECIDED = {"approve", "reject", "amend", "answer"}


@dataclass(frozen=True)
class Rights:
    """What one person may do at a gate, as far as the gate shows it, and why not more.

    The case has the last word. `deputies`: to whom they may delegate. `to_answer`: questions
    that were put to them. `colleagues`: whom they may ask.
    """

    rules: bool
    approves: bool
    revokes: bool
    why_not: str
    role: str | None
    deputies: tuple[str, ...]
    to_answer: tuple[Consultation, ...]
    colleagues: tuple[str, ...]

    @property
    def waits(self) -> bool:
        """Whether the gate waits for this person."""
        return self.rules or bool(self.to_answer)


def rights(gate: GateView, who: str) -> Rights:
    """What somebody may do at a gate."""
    who = person(who)
    seats = [s for s in gate.stages if who in {person(p) for p in s.people}]
    asked = may_rule(gate, who)
    ruled = who in gate.given or any(r.by == who and r.verb in _DECIDED for r in gate.rulings)
    everybody = [p for s in gate.stages for p in (*s.people, *s.deputies)]
    named = {*everybody, *gate.people, *filter(None, [gate.requester])}
    return Rights(
        rules=asked and not ruled,
        approves=asked and not ruled and who not in gate.barred,
        revokes=any(r.by == who and r.verb in {*_DECIDED, "delegate"} for r in gate.rulings),
        why_not=_why_not(gate, who, asked=asked, ruled=ruled),
        role=next((s.role for s in seats), None),
        deputies=tuple(sorted({person(p) for s in seats for p in s.deputies} - {who})),
        to_answer=tuple(a for a in gate.asked if a.answer is None and person(a.to) == who),
        colleagues=tuple(sorted({person(p) for p in named} - {who})),
    )


def _why_not(gate: GateView, who: str, *, asked: bool, ruled: bool) -> str:
    if ruled:
        return "You have ruled on this."
    if not asked:
        roles = ", ".join(gate.waiting_for)
        return f"You may look at this. It waits for {roles}: {', '.join(gate.people)}."
    if who in gate.barred:
        return "You asked for this or wrote it, so you may not approve it. Somebody else must."
    return ""
