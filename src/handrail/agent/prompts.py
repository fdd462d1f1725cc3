"""What a decide step asks a model: its prompt, and what whoever asks must be able to do.

The engine asks, not the step: so what a model costs is counted whatever becomes of the answer, and
what is not the model's to say (evidence, usage) is never asked of it.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, Protocol, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Field, JsonValue, TypeAdapter
from pydantic_core import to_jsonable_python
from typing_extensions import TypeVar

from handrail.actions import Action, AskedModel, Decision, Wire
from handrail.agent.provenance_values import open_answers
from handrail.agent.step_calls import call_directly
from handrail.agent.untrusted_text import holds_untrusted, texts_from_outside
from handrail.exceptions import StepError

A = TypeVar("A", bound=Action)
E = TypeVar("E", bound=BaseModel)


@dataclass(frozen=True)
class Prompt(Generic[A, E]):
    """What a step that is declared by `@decide(model=...)` has a model decide.

    `instructions` are the author's own words. What the model shall look at goes into `data`, by
    name: it is told that this is data, and what of it is `Untrusted`. `evidence` is the author's,
    as of every decision, and so is `confidence`, unless it is None: then the model is asked.
    """

    instructions: str
    evidence: E
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    confidence: float | None = 1.0


@dataclass(frozen=True)
class ModelAnswer:
    """What a model decided, without what is not its to say."""

    action: Action | None
    rationale: str
    confidence: float
    asked: AskedModel


class ToolCall(Wire):
    """A tool that a model wants called, by the name of its step. `args`: as the step takes them."""

    id: str
    tool: str
    args: dict[str, JsonValue]


class ToolCalls(Action):
    """What a model wants done before it decides. `conversation`: a claim on all that was said."""

    calls: tuple[ToolCall, ...]
    conversation: str


class ToolResult(Wire):
    """What came of a call."""

    id: str
    tool: str
    content: JsonValue


class Turn(Wire):
    """What is new to a model in one round: the arguments of the prompt, or results of tools.

    `planning`: it is to plan, and its arguments are without the texts from outside. `listings`:
    what servers listed to this case, in the first round.
    """

    # A worker of before there were plans knows no such field.
    planning: bool = Field(default=False, exclude_if=lambda planning: not planning)
    listings: tuple[JsonValue, ...] = Field(default=(), exclude_if=lambda listings: not listings)
    given: tuple[JsonValue, ...] | None = None
    conversation: str = ""
    results: tuple[ToolResult, ...] = ()


class DecisionModel(Protocol):
    """Asks a model: `handrail.integrations.models.Model` is one."""

    @property
    def patience(self) -> timedelta:
        """The longest that one try may take."""
        ...

    @property
    def secrets(self) -> tuple[str, ...]:
        """Those that a step needs to ask it."""
        ...

    def faults(self) -> list[str]:
        """Why it cannot be asked here, each with its fix."""
        ...

    async def decide(
        self, prompt: Prompt[Any, Any], kinds: Sequence[type[Action]], /
    ) -> ModelAnswer:
        """Have one of these actions chosen and filled in, or none.

        Raises:
            Exception: if there is no answer that validates.
        """
        ...

    async def converse(
        self,
        prompt: Prompt[Any, Any] | None,
        kinds: Sequence[type[Action]],
        tools: Sequence[Any],
        turn: Turn,
        /,
    ) -> tuple[ModelAnswer, JsonValue]:
        """Have tools chosen and filled in (`ToolCalls`), or else what `decide` has.

        `prompt`: in the first round. Returns its evidence with each answer.

        Raises:
            Exception: as `decide`.
        """
        ...


def decision_of(returns: Any) -> Any:
    """What a step comes to that is declared to return this: of a `Prompt` the decision."""
    kinds: Any = Decision
    return kinds[get_args(returns)] if get_origin(returns) is Prompt else returns


def decision_types(returns: Any) -> tuple[tuple[type[Action], ...], type[BaseModel]]:
    """The action classes of a decision, and the model of its evidence.

    Raises:
        StepError: if it is no decision, or one of anything but actions.
    """
    wanted = "a decide step must be declared to return `Decision[SomeAction, SomeEvidence]`"
    if not (isinstance(returns, type) and issubclass(returns, Decision)):
        raise StepError(wanted)
    args = returns.__pydantic_generic_metadata__["args"]
    if not args:
        raise StepError(wanted)
    kinds = tuple(k for k in get_args(args[0]) or (args[0],) if k is not type(None))
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Action)):
            raise StepError(f"{wanted}; {kind} is no Action")
    if not (isinstance(args[1], type) and issubclass(args[1], BaseModel)):
        raise StepError(f"{wanted}; {args[1]} is no model of pydantic's; without any: NoEvidence")
    if found := open_answers(args[1]):
        raise StepError(
            f"{args[1].__name__}: {', '.join(found)}: what is `Classified` is one of a closed set; "
            'fix: declare it as Literal["low", "high"], an Enum or bool'
        )
    return kinds, args[1]


def asked_by(
    fn: Callable[..., Awaitable[Any]], model: DecisionModel | None, returns: Any
) -> Callable[..., Awaitable[Any]]:
    """The function of a decide step: itself, or what has `model` decide what it makes a prompt of.

    Raises:
        StepError: if it returns no decision; or, with a model, no prompt.
    """
    kinds, _ = decision_types(returns)
    prompts = get_origin(get_type_hints(fn)["return"]) is Prompt
    if prompts != (model is not None):
        raise StepError(
            f"{fn.__name__}: a decide step with a model (`@decide(model=...)`), and no other, is "
            "declared to return `Prompt[SomeAction, SomeEvidence]`"
        )
    if model is None:
        return fn

    @functools.wraps(fn)
    async def asked(*args: Any, **kwargs: Any) -> Any:
        prompt: object = await call_directly(fn, *args, **kwargs)
        made = require_prompt(fn.__name__, prompt, [*args, *kwargs.values()])
        answer = await model.decide(made, kinds)
        return returns(
            action=answer.action,
            rationale=answer.rationale,
            confidence=answer.confidence,
            evidence=made.evidence,
            asked=answer.asked,
        )

    return asked


def require_prompt(name: str, prompt: object, args: Sequence[Any]) -> Prompt[Any, Any]:
    """See that it is a prompt in which all text from outside is marked, and known to the case.

    Raises:
        StepError: if it is not.
    """
    if not isinstance(prompt, Prompt):
        raise StepError(f"{name}: it returned {type(prompt).__name__}, and no Prompt")
    made = cast("Prompt[Any, Any]", prompt)
    if holds_untrusted(made.data) and not holds_untrusted(args):
        raise StepError(
            f"{name}: its prompt holds text from outside that the step was not given, and nobody "
            "would know where the decision comes from; fix: read it by a step of its own, and hand "
            "it over as an argument"
        )
    if any(text in made.instructions for text in texts_from_outside(args)):
        raise StepError(
            f"{name}: its instructions hold a text from outside, which would give orders to the "
            "model; fix: put it into `data`"
        )
    return made


def argument_json(kind: Any, value: Any) -> Any:
    """An argument or a result as JSON, as a model reads it."""
    try:
        return TypeAdapter(kind).dump_python(value, mode="json", by_alias=False, round_trip=True)
    except Exception:  # noqa: BLE001  # of an agent's own class; a model reads what there is
        return to_jsonable_python(value, by_alias=False, fallback=repr)
