"""What pages show of questions: what would change, who may say what, and what waits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from handrail.actions import person
from handrail.client.gates import may_rule
from handrail.inbox.web.tokens import page_link
from handrail.oversight import GateKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from handrail.inbox.web.directory import PolicyDirectory
    from handrail.oversight import Consultation, GateView

ASKS = {
    GateKind.WRITE: "May this be done?",
    GateKind.IN_DOUBT: "Did this happen?",
    GateKind.UNDO: "This undo failed. Try it again?",
    GateKind.QUESTION: "The agent asks",
}

SOON = timedelta(hours=1)
"""What is due sooner is shown as urgent."""

PATH = " / "
"""Between the names of a field and of a field within it."""

_DECIDED = {"approve", "reject", "amend", "answer"}
_ON_A_ROW = 4
_NOTHING: Any = object()


@dataclass(frozen=True)
class Line:
    """One field of an action. `before`: what it is now, or was, where that is known."""

    name: str
    value: Any
    before: Any = None
    known: bool = False

    @property
    def changes(self) -> bool:
        """Whether it will be another than it is."""
        return self.known and self.before != self.value

    @property
    def listed(self) -> bool:
        """Whether it is a list of plain values."""
        return isinstance(self.value, list)


def lines(action: dict[str, Any], evidence: Any) -> list[Line]:
    """The fields of an action, each beside the same field of the evidence where there is one."""
    found: list[Line] = []
    for name, value in _flat(action):
        before = _current(evidence, name)
        known = before is not _NOTHING
        found.append(Line(name, value, before if known else None, known))
    return found


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[Line]:
    """The fields of an amended action beside what was proposed."""
    old, new = dict(_flat(before)), dict(_flat(after))
    names = [*old, *(name for name in new if name not in old)]
    return [Line(name, new.get(name), old.get(name), known=True) for name in names]


def _flat(value: dict[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """The fields within fields, each under its path; lists of anything but values as JSON."""
    found: list[tuple[str, Any]] = []
    for name, each in value.items():
        path = f"{above}{name}"
        if isinstance(each, dict) and each:
            found += _flat(cast("dict[str, Any]", each), f"{path}{PATH}")
        else:
            found.append((path, _value(each)))
    return found


def _value(value: Any) -> Any:
    if isinstance(value, list):
        listed = cast("list[Any]", value)
        return _as_text(listed) if any(isinstance(e, dict | list) for e in listed) else listed
    return None if value == {} else value


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _current(evidence: Any, name: str) -> Any:
    """What the evidence says of a field: at its top, or in exactly one of its parts."""
    if not isinstance(evidence, dict):
        return _NOTHING
    given = cast("dict[str, Any]", evidence)
    if name in given:
        return _scalar(given[name])
    inner = [cast("dict[str, Any]", each) for each in given.values() if isinstance(each, dict)]
    found = [each[name] for each in inner if name in each]
    return _scalar(found[0]) if len(found) == 1 else _NOTHING


def _scalar(value: Any) -> Any:
    return _NOTHING if isinstance(value, dict | list) else value


@dataclass(frozen=True)
class Standing:
    """What one person may do at one question, and why they may not do more."""

    rules: bool
    approves: bool
    revokes: bool
    why_not: str
    role: str
    deputies: tuple[str, ...]
    to_answer: tuple[Consultation, ...]
    colleagues: tuple[str, ...]


def standing(gate: GateView, who: str) -> Standing:
    """What somebody may do here. The case has the last word: this only shapes the page."""
    seats = [s for s in gate.stages if who in {person(p) for p in s.people}]
    asked = may_rule(gate, who)
    ruled = has_ruled(gate, who)
    everybody = [p for s in gate.stages for p in (*s.people, *s.deputies)]
    named = {*everybody, *gate.people, *filter(None, [gate.requester])}
    return Standing(
        rules=asked and not ruled,
        approves=asked and not ruled and who not in gate.barred,
        revokes=any(r.by == who and r.verb in {*_DECIDED, "delegate"} for r in gate.rulings),
        why_not=_why_not(gate, who, asked=asked, ruled=ruled),
        role=next((s.role for s in seats), gate.waiting_for[0] if gate.waiting_for else ""),
        deputies=tuple(sorted({p for s in seats for p in s.deputies} - {who})),
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


def has_ruled(gate: GateView, who: str) -> bool:
    """Whether somebody has said what they think of it."""
    return who in gate.given or any(r.by == who and r.verb in _DECIDED for r in gate.rulings)


def visible(gate: GateView, who: str, known: PolicyDirectory) -> bool:
    """Whether somebody may see a question: it asks them, or their agent's policy names them."""
    named = {person(p) for s in gate.stages for p in (*s.people, *s.deputies)}
    named |= {person(a.to) for a in gate.asked} | {r.by for r in gate.rulings}
    agent = gate.case.partition(":")[0]
    return may_rule(gate, who) or who in named or agent in known.agents(who)


def waits_for(gate: GateView, who: str) -> bool:
    """Whether a question waits for this person."""
    here = standing(gate, who)
    return here.rules or bool(here.to_answer)


@dataclass(frozen=True)
class Row:
    """One question in the list."""

    gate: GateView
    url: str
    fields: tuple[Line, ...]
    more: int
    urgent: bool
    mine: bool
    bulk: str
    checked: bool = False

    @property
    def agent(self) -> str:
        """The agent that asks."""
        return self.gate.case.partition(":")[0]

    @property
    def asks(self) -> str:
        """What it asks, in words."""
        return ASKS[self.gate.kind]


def rows(
    gates: Iterable[GateView], who: str, now: datetime, checked: Sequence[str] = ()
) -> list[Row]:
    """The questions as the list shows them."""
    return [_row(gate, who, now, checked) for gate in gates]


def _row(gate: GateView, who: str, now: datetime, checked: Sequence[str]) -> Row:
    own = gate.kind is GateKind.QUESTION
    every = [] if own else lines(gate.action, gate.evidence)
    fields = [each for each in every if not each.listed and PATH not in each.name]
    here = standing(gate, who)
    bulk = gate.kind is GateKind.WRITE and here.rules
    item = json.dumps([gate.case, gate.gate, gate.digest])
    return Row(
        gate=gate,
        url=page_link("", gate.case, gate.gate),
        fields=tuple(fields[:_ON_A_ROW]),
        more=len(every) - len(fields[:_ON_A_ROW]),
        urgent=gate.deadline is not None and gate.deadline - now < SOON,
        mine=here.rules or bool(here.to_answer),
        bulk=item if bulk else "",
        checked=bulk and item in checked,
    )
