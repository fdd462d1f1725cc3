"""What pages show of questions: what would change, who may say what, and what waits."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from handrail.actions import person
from handrail.client import amounts, rights
from handrail.inbox.web.tokens import page_link
from handrail.oversight import GateKind

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

PATH = " / "
"""Between the names of a field and of a field within it."""

_ON_A_ROW = 4
_NOTHING: Any = object()


@dataclass(frozen=True)
class FieldLine:
    """One field of an action. `before`: what it is now, or was, where that is known.

    `unit`: what its values are in, as its model says (`json_schema_extra={"unit": "kg"}`).
    """

    name: str
    value: Any
    before: Any = None
    known: bool = False
    unit: str = ""

    @property
    def changes(self) -> bool:
        """Whether it will be another than it is."""
        return self.known and self.before != self.value

    @property
    def listed(self) -> bool:
        """Whether it is a list of plain values."""
        return isinstance(self.value, list)


def lines(action: dict[str, Any], evidence: Any) -> list[FieldLine]:
    """The fields of an action, each beside the same field of the evidence where there is one."""
    found: list[FieldLine] = []
    for name, value in _flat(action):
        before = _current(evidence, name)
        known = before is not _NOTHING
        found.append(FieldLine(name, value, before if known else None, known))
    return found


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[FieldLine]:
    """The fields of an amended action beside what was proposed."""
    old, new = dict(_flat(before)), dict(_flat(after))
    names = [*old, *(name for name in new if name not in old)]
    return [FieldLine(name, new.get(name), old.get(name), known=True) for name in names]


def with_units(lines: Iterable[FieldLine], schema: dict[str, Any]) -> list[FieldLine]:
    """The fields with the units that the schema of the action names."""
    given: Any = schema.get("properties")
    known = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    return [replace(line, unit=_unit(known.get(line.name))) for line in lines]


def _unit(of: Any) -> str:
    unit = cast("dict[str, Any]", of).get("unit") if isinstance(of, dict) else None
    return unit if isinstance(unit, str) else ""


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


def few(lines: Iterable[FieldLine]) -> tuple[FieldLine, ...]:
    """The fields that a list shows: the first that are plain values."""
    plain = [each for each in lines if not each.listed and PATH not in each.name]
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
    every = [] if own else lines(gate.action, gate.evidence)
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
        amounts=json.dumps({f"{words(n)} {u}".strip(): str(v) for (n, u), v in added.items()}),
    )
