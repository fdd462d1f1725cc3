"""What pages show of questions: what would change, who may say what, and what waits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from handrail.actions import person
from handrail.client import amounts, rights
from handrail.inbox.web.tokens import page_link
from handrail.oversight import FIELD_PATH, FieldLine, GateKind, gate_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from handrail.oversight import GateView

ASKS = {
    GateKind.WRITE: "May this be done?",
    GateKind.IN_DOUBT: "Did this happen?",
    GateKind.UNDO: "This undo failed. Try it again?",
    GateKind.UNDECIDED: "The agent cannot decide. Try it again?",
    GateKind.READ: "May this be sent to somebody outside?",
    GateKind.QUESTION: "The agent asks",
}

SOON = timedelta(hours=1)
"""What is due sooner is shown as urgent."""

_ON_A_ROW = 4


def few(lines: Iterable[FieldLine]) -> tuple[FieldLine, ...]:
    """The fields that a list shows: the first that are plain values."""
    plain = [each for each in lines if not each.listed and FIELD_PATH not in each.name]
    return tuple(plain[:_ON_A_ROW])


def words(name: str) -> str:
    """The name of a field or a state as words."""
    return name.replace("_", " ")


def visible(gate: GateView, who: str, agents: frozenset[str]) -> bool:
    """Whether somebody may see a question: it asks them, or it is of one of their agents."""
    staged = [p for s in gate.stages for p in (*s.people, *s.deputies)]
    named = {person(p) for p in (*staged, *gate.people, *(a.to for a in gate.asked))}
    agent = gate.case.partition(":")[0]
    return agent in agents or who in named | {r.by for r in gate.rulings}


@dataclass(frozen=True)
class GateRow:
    """One question in the list."""

    gate: GateView
    url: str
    fields: tuple[FieldLine, ...]
    more: int
    urgent: bool
    mine: bool
    bulk: str
    checked: bool = False
    amounts: str = "{}"

    @property
    def agent(self) -> str:
        """The agent that asks."""
        return self.gate.case.partition(":")[0]

    @property
    def says(self) -> str:
        """What it asks about, in one line."""
        return self.gate.says

    @property
    def asks(self) -> str:
        """What it asks, in words."""
        return ASKS[self.gate.kind]


def rows(
    gates: Iterable[GateView], who: str, now: datetime, checked: Sequence[str] | None = ()
) -> list[GateRow]:
    """The questions as the list shows them. `checked`: which are selected; None is all."""
    return [_row(gate, who, now, checked) for gate in gates]


def _row(gate: GateView, who: str, now: datetime, checked: Sequence[str] | None) -> GateRow:
    own = gate.kind is GateKind.QUESTION
    every = [] if own else gate_lines(gate)
    fields = few(every)
    here = rights(gate, who)
    bulk = gate.kind is GateKind.WRITE and here.rules
    item = json.dumps([gate.case, gate.gate, gate.digest])
    added = amounts(gate)
    return GateRow(
        gate=gate,
        url=page_link("", gate.case, gate.gate),
        fields=fields,
        more=len(every) - len(fields),
        urgent=gate.deadline is not None and gate.deadline - now < SOON,
        mine=here.waits,
        bulk=item if bulk else "",
        checked=bulk and (checked is None or item in checked),
        amounts=json.dumps({f"{words(n)}|{u}": str(v) for (n, u), v in added.items()}),
    )
