"""@converse: declare a loop in which a model calls steps of the agent until it decides."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, ParamSpec

from pydantic import BaseModel, JsonValue, TypeAdapter
from typing_extensions import TypeVar

from handrail.actions import Action, Decision, as_json, from_json
from handrail.agent import (
    Converse,
    LiveToolbox,
    Prompt,
    Read,
    Step,
    ToolCalls,
    ToolListing,
    ToolPlan,
    Turn,
    Write,
    call_directly,
    decide,
    decision_types,
    has_request,
    recalled,
    require_prompt,
)
from handrail.exceptions import StepError
from handrail.integrations.models.model import Model
from handrail.integrations.models.tools import arguments

P = ParamSpec("P")
A = TypeVar("A", bound=Action)
E = TypeVar("E", bound=BaseModel)

MOST_ROUNDS = 200
"""Rounds of one loop: what it does stays in one history."""


def converse(
    *,
    model: Model,
    tools: Sequence[Step[..., Any] | LiveToolbox],
    plan: bool | None = None,
    rounds: int = 20,
    tokens: int | None = None,
    cost: Decimal | None = None,
    tries: int = 5,
    timeout: timedelta | None = None,
) -> Callable[[Callable[P, Awaitable[Prompt[A, E]]]], Converse[P, Decision[A, E]]]:
    """Declare a loop: a model calls these read and write steps until it decides.

    As `@decide(model=...)`; `self.converse` runs it. When `rounds`, `tokens` or `cost` (in the
    currency of the model's price) are used up, people are asked whether it may go on. `plan`: the
    model first says, shown nothing from outside, which calls the task needs, and writes outside
    of that are held; by default where an argument holds the words of a person (`Request`).

    Raises:
        StepError: as `decide`; or if a tool is no read or write step, or there are no rounds.
    """

    def declare(fn: Callable[..., Any]) -> Converse[..., Any]:
        live: list[Any] = [each for each in tools if hasattr(each, "made")]
        own: list[Any] = [each for each in tools if not hasattr(each, "made")]
        bad = [getattr(t, "name", repr(t)) for t in own if not isinstance(t, (Read, Write))]
        if bad or not tools:
            raise StepError(f"{fn.__name__}: its tools are @read and @write steps, not {bad}")
        if not 1 <= rounds <= MOST_ROUNDS:
            raise StepError(
                f"{fn.__name__}: rounds is 1 to {MOST_ROUNDS}, for all of them are in one history; "
                "fix: let it decide sooner, and call it again after `await self.renew(...)`"
            )
        made = decide(model=model, tries=tries, timeout=timeout or model.patience)(fn)
        kinds, evidence = decision_types(made.returns)
        generic: Any = Decision
        planned = any(has_request(p.annotation) for p in made.parameters) if plan is None else plan
        first: Any = ToolCalls | ToolPlan if planned else ToolCalls
        returns = generic[functools.reduce(lambda one, two: one | two, kinds, first), evidence]
        parts: dict[str, Any] = vars(made) | {
            "fn": _one_round(fn, model, kinds, evidence, returns, made.parameters, tuple(tools)),
            "parameters": (
                inspect.Parameter("turn", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Turn),
            ),
            "returns": returns,
            "adapter": TypeAdapter(returns),
        }
        return Converse(
            **parts,
            tools=tuple(own),
            live=tuple(live),
            plan=planned,
            rounds=rounds,
            tokens=tokens,
            cost=cost,
            given=made.parameters,
        )

    return declare


PLANNING = (
    "Before you begin: say which calls of the tools below this needs, as far as you can know it "
    "now. Name each write, and each read that finds its object, with the arguments that you know "
    "by now; leave out the others. What is not in it is not done without a question to people."
)


def planning(
    prompt: Prompt[A, E], tools: Sequence[Any], listings: Sequence[JsonValue] = ()
) -> Prompt[A, E]:
    """The same prompt, with the question which calls of these steps it takes.

    For a step that plans: its answer is a `ToolPlan`. Of what servers list it knows the names
    alone that the policy has: whatever else they say, a value of a schema even, may be an order.
    """
    own: list[Step[..., Any]] = [each for each in tools if isinstance(each, Step)]
    known: dict[str, Any] = {
        step.name: {"says": step.summary, "takes": arguments(step).model_json_schema()}
        for step in own
    }
    boxes = (each for each in tools if not isinstance(each, Step))
    for box, listed in zip(boxes, listings, strict=True):
        listing = ToolListing.model_validate(listed)
        named = zip(box.made(listing), listing.tools, strict=True)
        known = {
            step.name: {"says": "a tool of which only the name is known: plan it without arguments"}
            for step, tool in named
            if listing.names(tool.name)
        } | known
    words = f"{prompt.instructions}\n\n{PLANNING}"
    return replace(prompt, instructions=words, data={**prompt.data, "your tools": known})


def _one_round(  # noqa: PLR0917  # the parts of a declaration
    fn: Callable[..., Any],
    model: Model,
    kinds: Sequence[type[Action]],
    evidence: type[BaseModel],
    returns: Any,
    parameters: Sequence[inspect.Parameter],
    tools: Sequence[Any],
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(fn)
    async def asked(turn: Turn) -> Any:
        prompt = None
        if turn.given is not None:
            pairs = zip(parameters, turn.given, strict=True)
            args = [recalled(p.annotation, value, by_name=True) for p, value in pairs]
            prompt = require_prompt(fn.__name__, await call_directly(fn, *args), args)
        if prompt is not None and turn.planning:
            answer = await model.decide(planning(prompt, tools, turn.listings), [ToolPlan])
            known = as_json(prompt.evidence)
        else:
            answer, known = await model.converse(prompt, kinds, tools, turn)
        return returns(
            action=answer.action,
            rationale=answer.rationale,
            confidence=answer.confidence,
            evidence=from_json(evidence, known),
            asked=answer.asked,
        )

    return asked
