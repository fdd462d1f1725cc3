"""An action as it comes from a case, read by the class of the worker that is to write it.

Between a decision and its write a deploy may change the class. What people agreed to is the JSON
that was made of the action when it was decided; where the class of today would make another
action of it, or none, nothing is written: people are asked again, and told what has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import JsonValue, ValidationError

from handrail.actions import Action, as_json, canonical, digest_of, from_json
from handrail.agent import recalled
from handrail.exceptions import fallback
from handrail.oversight import GateKind
from handrail.text import first_fault, one_line
from handrail.wire import Attempt

if TYPE_CHECKING:
    from handrail.agent import Case, Write

Way = Literal["asked", "begun", "undo"]
"""How an open case holds a write: its gate asks, it has begun, or it may be taken back."""

_SHOWN = 5
_LONGEST = 80
_WAYS: Mapping[GateKind, Way] = {GateKind.IN_DOUBT: "begun"}
_OF_WRITES = {GateKind.WRITE, GateKind.IN_DOUBT, GateKind.UNDO}


@dataclass(frozen=True)
class ReceivedAction:
    """An action as it came from a case.

    `action`: by its class of today. `given`: its JSON, as it was decided and ruled on; None where
    it is that of the action. `changed`: why people must look at it again. `stale`: its class of
    today makes another of it, which is `action`. `misfit`: why its class does not take it at all;
    `action` is then only the nearest to it.
    """

    action: Any = None
    given: dict[str, JsonValue] | None = None
    changed: str = ""
    stale: bool = False
    misfit: str = ""

    @property
    def differs(self) -> bool:
        """Whether writing `action` would write something else than what was ruled on."""
        return self.stale or bool(self.misfit)

    @property
    def changes(self) -> list[dict[str, Any]]:
        """What its class of today makes otherwise, field by field."""
        return changes(self.given, as_json(self.action)) if self.stale and self.given else []


@dataclass(frozen=True)
class ForeseenWrite:
    """One write or undo that an open case holds. `came` is None where its step is gone."""

    way: Way
    step: str
    came: ReceivedAction | None


def received(
    step: str, kind: type[Action], given: Action | dict[str, JsonValue], of: Attempt
) -> ReceivedAction:
    """Read an action that came from a case, mostly as JSON. Never raises."""
    if isinstance(given, Action):
        return ReceivedAction(given, as_json(given))
    older = None if digest_of(step, given) == of.digest else _with_aliases(kind, given)
    if older is not None and digest_of(step, as_json(older)) == of.digest:
        return ReceivedAction(older, as_json(older))
    try:
        action = from_json(kind, given)
        again = as_json(action)
    # The agent's own validators may raise anything.
    except Exception as error:  # noqa: BLE001
        fault = first_fault(error) if isinstance(error, ValidationError) else str(error)
        why = f"the {kind.__name__} of today does not take what was decided: {fault}"
        return ReceivedAction(recalled(kind, given, by_name=True), given, why, misfit=why)
    if again != given:
        why = f"{kind.__name__} has changed since it was decided: {changes_in_words(given, again)}"
        return ReceivedAction(action, given, why, stale=True)
    if of.unknown_kind is not None:
        why = f"it was decided as {of.unknown_kind}, and no action is called so any more"
        return ReceivedAction(action, given, why)
    return ReceivedAction(action, given)


def _with_aliases(kind: type[Action], given: dict[str, JsonValue]) -> Action | None:
    """An action as a case sent it before `as_json` was the only way: no digest is of aliases."""
    return fallback(None, lambda: kind.model_validate_json(json.dumps(given)))


def foreseen(case: Case, writes: Mapping[str, Write[Any, Any]]) -> Iterator[ForeseenWrite]:
    """What the door will find in what an open case holds, by the classes of today.

    That is what its gates ask about, what is on its way, and what may yet be taken back.
    """

    def found(way: Way, step: str, action: dict[str, JsonValue], digest: str) -> ForeseenWrite:
        of = Attempt(case=case.id, key="", digest=digest)
        came = received(step, writes[step].action, action, of) if step in writes else None
        return ForeseenWrite(way, step, came)

    questions = [gate.question for gate in case.open_gates]
    for each in questions:
        if each.kind in _OF_WRITES and not each.planted:
            way = _WAYS.get(each.kind, "asked")
            yield found(way, each.step, each.action, each.digest)
    for entry in case.undos:
        if entry.agent:  # a hand-off is no write of its own
            continue
        if entry.receipt is None and entry.digest not in {each.digest for each in questions}:
            yield found("begun", entry.step, entry.action, entry.digest)
        if entry.undo is not None:
            digest = digest_of(entry.undo, entry.action)
            yield found("undo", entry.undo, entry.action, digest)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields in which two actions as JSON differ: `field`, and what it is in each, if there."""
    sides = (("before", before), ("after", after))
    return [
        {"field": name, **{side: action[name] for side, action in sides if name in action}}
        for name in {**before, **after}
        if before.get(name, ...) != after.get(name, ...)
    ]


def changes_in_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What is different between two actions as JSON, field by field."""

    def shown(change: Mapping[str, Any], side: str) -> str:
        return one_line(canonical(change[side]), _LONGEST) if side in change else "nothing"

    found = changes(before, after)
    said = [f"{c['field']} was {shown(c, 'before')}, is {shown(c, 'after')}" for c in found]
    return "; ".join(said[:_SHOWN]) + (" and others" if len(said) > _SHOWN else "")
