"""A decide step held against what was decided before, by it and by people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue
from typing_extensions import override

from handrail.actions import Usage, Wire, as_json
from handrail.marks import FreeText

if TYPE_CHECKING:
    from handrail.actions import Action


class ChosenAction(Wire):
    """What was chosen: an action, by the name of its class; or none."""

    kind: str | None = None
    action: dict[str, JsonValue] | None = None

    @classmethod
    def of(cls, action: Action | None) -> ChosenAction:
        """The choice of an action."""
        if action is None:
            return cls()
        return cls(kind=type(action).__name__, action=as_json(action))

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.action}" if self.kind else "nothing to do"


class PastDecision(Wire):
    """What a decide step was given once, and what came of it; None where that is not known."""

    case: str
    given: dict[str, JsonValue]
    decided: ChosenAction | None = None
    people: ChosenAction | None = None


@dataclass(frozen=True)
class Reconsidered:
    """A past decision, made again by the step of today. `now` is None where it failed: `error`."""

    past: PastDecision
    now: ChosenAction | None
    error: str
    usage: Usage
    took: timedelta
    free: frozenset[str] = frozenset()

    @property
    def as_before(self) -> bool | None:
        """Whether it decides as it did; None where that is not known."""
        return self._same(self.past.decided)

    @property
    def as_people(self) -> bool | None:
        """Whether it decides as people did."""
        return self._same(self.past.people)

    @property
    def differs(self) -> bool:
        """Whether it failed, or is not what people made of it, or else not what it was."""
        known = self.as_before if self.as_people is None else self.as_people
        return self.now is None or known is False

    def _same(self, other: ChosenAction | None) -> bool | None:
        """Whether it is the same choice, whatever its free text says."""
        if other is None:
            return None
        mine = self.now
        return mine is not None and _bare(mine, self.free) == _bare(other, self.free)


def _bare(choice: ChosenAction, free: frozenset[str]) -> tuple[str | None, dict[str, Any] | None]:
    fields = choice.action
    return choice.kind, fields and {k: v for k, v in fields.items() if k not in free}


def free_texts(kinds: Sequence[type[Action]]) -> frozenset[str]:
    """The fields of these actions that an agent words itself."""
    return frozenset(
        name
        for kind in kinds
        for name, field in kind.model_fields.items()
        if any(each is FreeText or isinstance(each, FreeText) for each in field.metadata)
    )


def agreement(again: Sequence[Reconsidered]) -> dict[str, Any]:
    """What came of decisions that were made again, as one document."""
    used = Usage()
    for each in again:
        used += each.usage
    return {
        "decisions": len(again),
        "as_before": _share([each.as_before for each in again]),
        "as_people": _share([each.as_people for each in again]),
        "failed": sum(each.now is None for each in again),
        "usage": used.model_dump(mode="json"),
        "seconds": sum((each.took for each in again), timedelta(0)).total_seconds(),
        "differ": [_document(each) for each in again if each.differs],
    }


def _share(found: Sequence[bool | None]) -> dict[str, int]:
    known = [each for each in found if each is not None]
    return {"agree": sum(known), "of": len(known)}


def _document(each: Reconsidered) -> dict[str, Any]:
    choices = {"people": each.past.people, "before": each.past.decided, "now": each.now}
    said = {name: choice and choice.model_dump(mode="json") for name, choice in choices.items()}
    return {"case": each.past.case, "error": each.error} | said
