"""An action as it comes from a case, read by the class of the worker that is to write it.

Between a decision and its write a deploy may change the class. What people agreed to is the JSON
that was made of the action when it was decided; where the class of today would make another
action of it, or none, nothing is written: people are asked again, and told what has changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue, ValidationError

from handrail.actions import Action, as_json, canonical, digest_of, from_json
from handrail.agent import recalled
from handrail.text import first_fault, one_line

if TYPE_CHECKING:
    from handrail.wire import Attempt

_SHOWN = 5
_LONGEST = 80


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
    try:
        return kind.model_validate_json(json.dumps(given))
    except Exception:  # noqa: BLE001  # as above
        return None


def changes_in_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What is different between two actions as JSON, field by field."""

    def shown(action: Mapping[str, Any], name: str) -> str:
        return one_line(canonical(action[name]), _LONGEST) if name in action else "nothing"

    names = [name for name in {**before, **after} if before.get(name, ...) != after.get(name, ...)]
    said = [f"{name} was {shown(before, name)}, is {shown(after, name)}" for name in names]
    return "; ".join(said[:_SHOWN]) + (" and others" if len(said) > _SHOWN else "")
