"""The fields of an action and of its evidence, as every face shows them.

Each has its unit, and beside it what it is now, or was proposed to be, where that is known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from handrail.text import value_in_words

if TYPE_CHECKING:
    from handrail.oversight.views import GateView

FIELD_PATH = " / "
"""Between the names of a field and of a field within it."""

FIELD_OUTSIDE = ", written by somebody outside"
"""What is added to the name of a field whose text is nobody's of the house."""

CURRENCY = "currency"
"""The field that says what the amounts beside it are in, where it is one."""

_CURRENCY = re.compile("[A-Z]{3}")


@dataclass(frozen=True)
class FieldLine:
    """One field of an action. `before`: what it is now, or was, where that is known.

    `unit`: what the value is in; `unit_before`: what the one before it is in.
    """

    name: str
    value: Any
    before: Any = None
    known: bool = False
    unit: str = ""
    unit_before: str = ""

    @property
    def said(self) -> str:
        """The value in words, with its unit."""
        return value_in_words(self.value, self.unit)

    @property
    def said_before(self) -> str:
        """The same of the one before it."""
        return value_in_words(self.before, self.unit_before)

    @property
    def changes(self) -> bool:
        """Whether it will be another than it is."""
        return self.known and self.before != self.value

    @property
    def listed(self) -> bool:
        """Whether it is a list of plain values."""
        return isinstance(self.value, list)


def gate_lines(gate: GateView) -> list[FieldLine]:
    """The action of a gate beside what it replaces: what was proposed, or what is there now."""
    if gate.before is not None:
        return changed_lines(gate.before, gate.action, gate.units)
    return action_lines(gate.action, gate.evidence, gate.units)


def was_called(gate: GateView) -> str:
    """What a value is called beside the one it will be: it is there, or somebody amended it."""
    return "now" if gate.before is None else "proposed"


def action_lines(
    action: dict[str, Any], evidence: Any, units: Mapping[str, str] | None = None
) -> list[FieldLine]:
    """The fields of an action, each beside the same field of the evidence where there is one."""
    found: list[FieldLine] = []
    for name, value in _flat(action):
        at, before = _current(evidence, name)
        units_here = _unit(units, "action", name), _unit(units, "evidence", at)
        found.append(FieldLine(name, value, before, bool(at), *units_here))
    return found


def changed_lines(
    before: dict[str, Any], after: dict[str, Any], units: Mapping[str, str] | None = None
) -> list[FieldLine]:
    """The fields of an amended action beside what was proposed."""
    old, new = dict(_flat(before)), dict(_flat(after))
    found: list[FieldLine] = []
    for name in [*old, *(name for name in new if name not in old)]:
        unit = _unit(units, "action", name)
        beside = f"{name[: -len(name.rpartition(FIELD_PATH)[2])]}{CURRENCY}"
        was = str(old.get(beside, "")) if unit and unit == new.get(beside) else unit
        found.append(FieldLine(name, new.get(name), old.get(name), True, unit, was))
    return found


def bound_units(units: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """The units of the latest such action, for one that names its own currency, if any."""
    if CURRENCY not in values:
        return dict(units)
    return {
        name: str(values[CURRENCY]) if _CURRENCY.fullmatch(unit) else unit
        for name, unit in units.items()
    }


def differing_lines(
    proposed: dict[str, Any] | None,
    did: dict[str, Any] | None,
    units: Mapping[str, str],
    fields: Collection[str] = (),
) -> list[FieldLine]:
    """Where people did something else than was proposed: `before` is what they did.

    `units`: of what was proposed. `fields`: those that count; all of them where one did nothing.
    """
    if proposed is None:
        units = bound_units(units, did or {})
    lines = changed_lines(did or {}, proposed or {}, units)
    if proposed is None or did is None or not fields:
        return lines
    return [each for each in lines if each.name.partition(FIELD_PATH)[0] in fields]


def evidence_lines(gate: GateView) -> list[FieldLine]:
    """The fields of a gate's evidence, or the one value that it is."""
    evidence = gate.evidence
    given = cast("dict[str, Any]", evidence) if isinstance(evidence, dict) else {"value": evidence}
    found = [] if evidence is None else _flat(given)
    return [FieldLine(n, v, unit=_unit(gate.units, "evidence", n)) for n, v in found]


def units_in_words(units: Mapping[str, str], of: str) -> str:
    """The units of `action`, or of `evidence`, for who is shown it as JSON."""
    named = {name: unit for name, unit in units.items() if name.startswith(f"{of}.")}
    return ", ".join(f"{name.partition('.')[2]} in {unit}" for name, unit in named.items())


def _unit(units: Mapping[str, str] | None, of: str, name: str) -> str:
    return (units or {}).get(f"{of}.{name.replace(FIELD_PATH, '.')}", "")


def _flat(value: dict[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """The fields within fields, each under its path; lists of anything but values as JSON."""
    found: list[tuple[str, Any]] = []
    for name, each in value.items():
        path = f"{above}{_plainly(name)}"
        match each:
            case {"untrusted": str(text), **rest} if not rest:
                found.append((f"{path}{FIELD_OUTSIDE}", text))
            case dict() if each:
                found += _flat(cast("dict[str, Any]", each), f"{path}{FIELD_PATH}")
            case _:
                found.append((path, _value(each)))
    return found


def _plainly(name: str) -> str:
    """The name of a field; in quotes where it could be taken for the way to another one."""
    odd = any(each in name for each in (FIELD_PATH, FIELD_OUTSIDE, '"'))
    return json.dumps(name, ensure_ascii=False) if odd or name != name.strip() or not name else name


def _value(value: Any) -> Any:
    if isinstance(value, list):
        listed = cast("list[Any]", value)
        return _as_text(listed) if any(isinstance(e, dict | list) for e in listed) else listed
    return None if value == {} else value


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _current(evidence: Any, name: str) -> tuple[str, Any]:
    """What the evidence says of a field: at its top, or in exactly one of its parts. And where."""
    given = cast("dict[str, Any]", evidence if isinstance(evidence, dict) else {})
    places: list[tuple[str, Any]] = [(name, given[name])] if name in given else []
    if not places:
        inner = [(n, cast("dict[str, Any]", e)) for n, e in given.items() if isinstance(e, dict)]
        places = [(f"{part}{FIELD_PATH}{name}", each[name]) for part, each in inner if name in each]
    if len(places) != 1 or isinstance(places[0][1], dict | list):
        return "", None
    return places[0]
