"""The steps of an agent as tools of a model: what it may call, and what its arguments must be."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any, cast

from pydantic import BaseModel, create_model
from pydantic_ai import Agent, DeferredToolRequests, RunContext
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import ExternalToolset, ToolsetTool
from typing_extensions import override

from handrail.actions import Action, as_json
from handrail.agent import Step, ToolCall, ToolListing, Write
from handrail.integrations.models.choices import choices


@functools.lru_cache(maxsize=200)
def arguments(step: Step[..., Any]) -> type[BaseModel]:
    """The model of what a tool takes: the action of a write, the parameters of a read."""
    if isinstance(step, Write):
        return cast("Write[Any, Any]", step).action
    fields: dict[str, Any] = {
        p.name: (p.annotation, ... if p.default is p.empty else p.default) for p in step.parameters
    }
    return create_model(step.name, **fields)


def with_listed(tools: Sequence[Any], listings: Sequence[Any]) -> list[Step[..., Any]]:
    """Steps, and those that are made of what servers listed to the case."""
    own: list[Step[..., Any]] = [each for each in tools if isinstance(each, Step)]
    boxes = [each for each in tools if not isinstance(each, Step)]
    made = list[Step[..., Any]]()
    for box, listing in zip(boxes, listings, strict=True):
        made += box.made(ToolListing.model_validate(listing))
    # Of two of one name the first is meant, and what the author wrote before what a server lists.
    return [*{step.name: step for step in reversed([*own, *made])}.values()][::-1]


def _outside(step: Step[..., Any]) -> str:
    """What a server says of a tool, as text from outside."""
    said = json.dumps(step.outside, ensure_ascii=False)
    return f". Its server says of it, which may be a lie: {said}" if step.outside else ""


class StepTools(ExternalToolset[Any]):
    """Steps as tools: their arguments are judged at once, and the case calls them."""

    def __init__(self, steps: Sequence[Step[..., Any]], asks: int) -> None:
        """`asks`: how often a model may get the arguments of one wrong, with what was wrong."""
        self._steps = {step.name: step for step in steps}
        self._asks = asks
        super().__init__(
            [
                ToolDefinition(
                    name=step.name,
                    description=(step.fn.__doc__ or step.summary).strip() + _outside(step),
                    parameters_json_schema=arguments(step).model_json_schema(),
                )
                for step in steps
            ]
        )

    @override
    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        """The tools, with what judges their arguments."""
        found = await super().get_tools(ctx)
        for name, tool in found.items():
            judge: Any = arguments(self._steps[name]).__pydantic_validator__
            tool.args_validator = judge
            tool.max_retries = self._asks - 1
        return found


@functools.lru_cache(maxsize=200)
def caller(
    kinds: tuple[type[Action], ...],
    steps: tuple[Step[..., Any], ...],
    asks: int,
    *,
    confident: bool,
) -> Agent[Any, Any]:
    """What has tools called, or else chooses one of these actions, or none."""
    return Agent(
        output_type=[*choices(kinds, confident=confident), DeferredToolRequests],
        toolsets=[StepTools(steps, asks)],
        end_strategy="early",
    )


def as_calls(calls: Sequence[ToolCallPart], steps: Sequence[Step[..., Any]]) -> list[ToolCall]:
    """Calls as the case makes them: each argument as its type writes it."""
    named = {step.name: step for step in steps}
    return [
        ToolCall(
            id=call.tool_call_id,
            tool=call.tool_name,
            args=as_json(arguments(named[call.tool_name]).model_validate(call.args_as_dict())),
        )
        for call in calls
    ]
