"""Decisions and results as a history has them, read by the classes of today.

A case that waits is replayed by whatever code its worker has by then. So what it goes on with is
the JSON of its history: no step of the workflow depends on what a class makes of it, and nothing
here raises because a class has changed. That the class took it in its time was seen to in the
activity that made it; whether the class of today takes it is for the door to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, ParamSpec, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_json
from temporalio import workflow
from typing_extensions import TypeVar

from handrail.actions import (
    Action,
    AskedModel,
    Basis,
    Decision,
    Event,
    Usage,
    as_json,
    from_json,
)
from handrail.agent.steps import Decide, Write
from handrail.exceptions import Refused, StepError, fallback
from handrail.text import first_fault
from handrail.wire import DecisionResult, WriteResult, WriteResultKind, json_reader

P = ParamSpec("P")
A = TypeVar("A", bound=Action)
D = TypeVar("D", bound=Decision[Any, Any])


_RESULT = DecisionResult[Any]
"""Made once: pydantic forgets a generic model that nobody holds, and makes it anew each time."""

NEAREST = "*"
"""Stands among the fields that are set of a model that its class does not take."""


@dataclass(frozen=True)
class DecidedAction:
    """An action to be written: the agent's object, and the JSON that goes to the door.

    `unknown_kind`: as `Attempt` has it. `evidence`: the model that the basis shows.
    """

    action: Action
    json: dict[str, Any]
    basis: Basis | None = None
    unknown_kind: str | None = None
    evidence: BaseModel | None = None


@dataclass(frozen=True)
class StepDecision:
    """A decision as it came from its step: `json` is what the step's worker made of it."""

    decision: Decision[Any, Any]
    json: Mapping[str, Any]
    unknown_kind: str | None = None

    @property
    def basis(self) -> Basis:
        """The reasons of the decision."""
        made = self.decision
        return Basis(
            rationale=made.rationale, confidence=made.confidence, evidence=self.json["evidence"]
        )


@dataclass
class Decisions:
    """What a case has decided.

    `outdated`: something that it decided, or read, is not as a class of today takes it.
    """

    outdated: bool = False
    _made: list[StepDecision] = field(default_factory=list[StepDecision])
    _written: list[tuple[Action, Callable[[], Any]]] = field(
        default_factory=list[tuple[Action, Callable[[], Any]]]
    )

    def add(self, decided: StepDecision) -> None:
        """Remember a decision."""
        made = decided.decision
        parts = [each for each in (made.action, made.evidence) if each is not None]
        self.outdated |= any(NEAREST in each.model_fields_set for each in parts)
        self._made.insert(0, decided)

    def proposal(self, what: Decision[Any, Any] | Action) -> DecidedAction:
        """What is to be written, as it was decided. What an agent made itself is dumped here.

        Raises:
            TypeError: if the decision has no action.
        """
        action: Action | None = what.action if isinstance(what, Decision) else what
        if action is None:
            raise TypeError("this decision has no action: look at `decision.action` before writing")
        made = self._like(action, [each.decision.action for each in self._made])
        given = as_json(action) if made is None else made.json["action"]
        kind = None if made is None else made.unknown_kind
        if not isinstance(what, Decision):
            return DecidedAction(action, given, unknown_kind=kind)
        told = self._like(what.evidence, [each.decision.evidence for each in self._made])
        shown = as_json(what.evidence) if told is None else told.json["evidence"]
        basis = Basis(rationale=what.rationale, confidence=what.confidence, evidence=shown)
        return DecidedAction(action, given, basis, kind, what.evidence)

    def came_to(
        self,
        step: Write[Any, Any],
        of: DecidedAction,
        action: Mapping[str, Any],
        answer: WriteResult,
    ) -> None:
        """Remember what was written of a proposal, if anything was: people may have amended it."""
        if answer.receipt is None and answer.kind is not WriteResultKind.PILOT:
            return

        def done() -> Any:
            return of.action if action == of.json else recalled(step.action, action, by_name=True)

        self._written.insert(0, (of.action, done))

    def written(self, what: Decision[A, Any] | A) -> A:
        """What was written of a decision, or of an action.

        Raises:
            StepError: if nothing was.
        """
        action = what.action if isinstance(what, Decision) else what
        same = (done for of, done in self._written if of is action)
        equal = (d for of, d in self._written if type(of) is type(action) and of == action)
        done = next(same, next(equal, None))
        if done is None:
            why = "nothing was written of it; fix: call it after `await self.write(...)` of it"
            raise StepError(f"self.written: {why}")
        return done()

    def _like(self, one: BaseModel, others: list[BaseModel | None]) -> StepDecision | None:
        """The decision that has this very model, or else the latest that has an equal one."""
        same = (i for i, other in enumerate(others) if other is one)
        equal = (i for i, o in enumerate(others) if type(o) is type(one) and o == one)
        at = next(same, next(equal, None))
        return None if at is None else self._made[at]


def as_decided(
    step: Decide[P, D], found: Mapping[str, Any]
) -> tuple[DecisionResult[Any], StepDecision]:
    """A decision from its JSON, and what the door said of it.

    Its action is of the very class that the step decided on: read back from JSON alone, it would
    be the first of the step's classes that has its fields: a refund of an order instead of its
    cancellation.
    """
    result = _RESULT.model_validate(found)
    said: dict[str, Any] = result.decision
    kind, unknown = _kind(step, said["action"], result.kind)
    action = None if kind is None else recalled(kind, said["action"], by_name=result.by_name)
    evidence = recalled(step.evidence, said["evidence"], by_name=result.by_name)
    decision = step.returns.model_construct(
        action=action,
        rationale=said["rationale"],
        confidence=said["confidence"],
        evidence=evidence,
        usage=Usage.model_validate(said.get("usage", {})),
        asked=said.get("asked") and AskedModel.model_validate(said["asked"]),
    )
    if not result.by_name:
        said = said | {
            "action": action and _without_aliases(action, said["action"]),
            "evidence": _without_aliases(evidence, said["evidence"]),
        }
    return result, StepDecision(decision, said, unknown)


def _without_aliases(model: Any, found: Any) -> Any:
    """What a history from before `by_name` has of a model: with aliases, of which no digest is."""

    def made() -> Any:
        return as_json(model) if model.model_dump(mode="json", by_alias=True) == found else found

    return fallback(found, made)


def _kind(
    step: Decide[..., Any], action: Any, named: str | None
) -> tuple[type[Action] | None, str | None]:
    """The class of a decided action, and its name, if several may be meant and none has it."""
    if action is None:
        return None, None
    if len(step.actions) == 1:
        return step.actions[0], None
    known = next((kind for kind in step.actions if kind.__name__ == named), None)
    if known is not None:
        return known, None
    return next((kind for kind in step.actions if _fits(kind, action)), step.actions[0]), named


def _fits(kind: type[Action], action: Any) -> bool:
    return fallback(None, lambda: from_json(kind, action)) is not None


def require_action(step: Write[Any, Any], given: object) -> None:
    """See that what is given to a write is an action, or a decision on one.

    Raises:
        Refused: if it is not.
    """
    decided = isinstance(given, Decision)
    action: object = cast("Decision[Any, Any]", given).action if decided else given
    if action is not None and not isinstance(action, Action):
        raise _of_another_class(step, type(action))


def require_own_class(step: Write[Any, Any], given: DecidedAction) -> None:
    """See that an action is of the very class that its step takes.

    Raises:
        Refused: if it is not.
    """
    own, kind = cast("type[object]", step.action), type(given.action)
    if (kind.__module__, kind.__qualname__) == (own.__module__, own.__qualname__):
        return
    # Nobody knows its class by name any more: people are asked.
    if given.unknown_kind is not None:
        return
    # Cases that wrote such before this was looked at go on as they began; the door refuses it.
    if workflow.patched("action-of-its-step"):
        raise _of_another_class(step, kind)


def _of_another_class(step: Write[Any, Any], kind: type[object]) -> Refused:
    return Refused(step.name, f"it takes {step.action.__name__}, and was given {kind.__name__}")


def recalled(kind: Any, value: Any, *, by_name: bool = False) -> Any:
    """A value from a history as today's type; where that does not take it, the nearest to it.

    A field that is new has its default, or None; one that its type does not take any more is as
    the history has it; one that is not there any more is left out.
    """
    try:
        return json_reader(kind)(to_json(value), by_alias=not by_name, by_name=True)
    except Exception:  # noqa: BLE001  # the agent's own validators
        return _nearest(kind, value, by_name=by_name)


def _nearest(kind: Any, value: Any, *, by_name: bool) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return recalled(args[0], value, by_name=by_name)
    if isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(value, dict):
        return _nearest_model(kind, cast("dict[str, Any]", value), by_name=by_name)
    models = [arg for arg in args if isinstance(arg, type) and issubclass(arg, BaseModel)]
    parts: Any = value
    if origin in {Union, UnionType} and isinstance(value, dict) and models:
        return recalled(models[0], parts, by_name=by_name)
    if origin in {list, tuple} and isinstance(value, list):
        found: Any = [recalled(args[0], part, by_name=by_name) for part in parts]
        return tuple(found) if origin is tuple else found
    if origin is dict and isinstance(value, dict):
        return {key: recalled(args[1], part, by_name=by_name) for key, part in parts.items()}
    return parts


def no_event(event: Event) -> str:
    """Why a case is not begun with what came for its event."""
    kind = type(event)
    try:
        kind.model_validate(vars(event))
    except ValidationError as error:
        return f"this is no {kind.__name__}: {first_fault(error)}; start it with one that is"
    return f"this is no {kind.__name__}; start it with one that is"


def _default(declared: FieldInfo, values: dict[str, Any]) -> Any:
    # A factory may also raise that a workflow may not do what it does.
    found = fallback(
        None, lambda: declared.get_default(call_default_factory=True, validated_data=values)
    )
    return None if found is PydanticUndefined else found


def _nearest_model(kind: type[BaseModel], given: dict[str, Any], *, by_name: bool) -> BaseModel:
    values: dict[str, Any] = {}
    for name, declared in kind.model_fields.items():
        alias = declared.alias or name
        key = name if by_name or alias not in given else alias
        if key in given:
            values[name] = recalled(declared.annotation, given[key], by_name=by_name)
        else:
            values[name] = _default(declared, values)
    made = kind.model_construct({NEAREST}, **values)
    # By construction only what is named as set is kept, and an alias would come first.
    vars(made).update(values)
    return made
