"""A decide step held against what was decided before, by it and by people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue
from typing_extensions import override

from handrail.actions import Usage, Wire, as_json
from handrail.marks import FreeText

if TYPE_CHECKING:
    from handrail.actions import Action


class ChosenAction(Wire):
    """What was chosen: an action, by the name of its class; or none.

    `answers`: what was answered, by the field of the evidence that says it. Without a word of
    kind or action, answers alone say nothing of what was to be done.
    """

    kind: str | None = None
    action: dict[str, JsonValue] | None = None
    answers: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])

    @classmethod
    def of(
        cls, action: Action | None, answers: Mapping[str, JsonValue] | None = None
    ) -> ChosenAction:
        """The choice of an action, and what was answered."""
        kind = None if action is None else type(action).__name__
        json = None if action is None else as_json(action)
        return cls(kind=kind, action=json, answers=dict(answers or {}))

    @property
    def says_action(self) -> bool:
        """Whether it says what was to be done, or that nothing was."""
        return not self.answers or bool({"kind", "action"} & self.model_fields_set)

    @override
    def __str__(self) -> str:
        done = f"{self.kind} {self.action}" if self.kind else "nothing to do"
        said = [done] if self.says_action else []
        return ", ".join([*said, *(f"{name} {value}" for name, value in self.answers.items())])


class PastDecision(Wire):
    """What a decide step was given once, and what came of it; None where that is not known."""

    case: str
    given: dict[str, JsonValue]
    decided: ChosenAction | None = None
    people: ChosenAction | None = None


@dataclass(frozen=True)
class RemadeDecision:
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
        if mine is None or any(mine.answers.get(n) != v for n, v in other.answers.items()):
            return False
        return not other.says_action or _bare(mine, self.free) == _bare(other, self.free)


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


def agreement(again: Sequence[RemadeDecision]) -> dict[str, Any]:
    """What came of decisions that were made again, as one document."""
    used = Usage()
    for each in again:
        used += each.usage
    return {
        "decisions": len(again),
        "as_before": _share([each.as_before for each in again]),
        "as_people": _share([each.as_people for each in again]),
        "answers": _answers(again),
        "failed": sum(each.now is None for each in again),
        "usage": used.model_dump(mode="json"),
        "seconds": sum((each.took for each in again), timedelta(0)).total_seconds(),
        "differ": [_document(each) for each in again if each.differs],
    }


def _share(found: Sequence[bool | None]) -> dict[str, int]:
    known = [each for each in found if each is not None]
    return {"agree": sum(known), "of": len(known)}


def _answers(again: Sequence[RemadeDecision]) -> dict[str, dict[str, int]]:
    """Of each answer of which it is known what people said: how often it is the same."""
    found: dict[str, list[bool]] = {}
    for each in again:
        for name, said in (each.past.people or ChosenAction()).answers.items():
            same = each.now is not None and each.now.answers.get(name) == said
            found.setdefault(name, []).append(same)
    return {name: _share(same) for name, same in found.items()}


def _document(each: RemadeDecision) -> dict[str, Any]:
    choices = {"people": each.past.people, "before": each.past.decided, "now": each.now}
    said = {name: choice and choice.model_dump(mode="json") for name, choice in choices.items()}
    return {"case": each.past.case, "error": each.error} | said
