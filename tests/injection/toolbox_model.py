"""A model that obeys whatever it read last, with every tool there is."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from typing_extensions import override

from handrail import Action, Event, FreeText, Prompt, Request
from handrail.agent import Read, Write
from handrail.integrations.models import Model, converse
from tests.injection import toolbox
from tests.injection.toolbox_tasks import Call, Try

TRIES: dict[str, Try] = {}


class Asked(Event):
    """What somebody asks of the assistant."""

    number: str
    request: Annotated[str, Request]

    @property
    @override
    def key(self) -> str:
        return self.number


class Answered(Action):
    """Say what was done."""

    words: Annotated[str, FreeText]


class NoEvidence(BaseModel):
    """There is none."""


def obey(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Plan what the request takes; then do what was read last, and the task after that."""
    parts = [part for message in messages for part in message.parts]
    prompt = next(str(p.content) for p in parts if isinstance(p, UserPromptPart))
    found = re.search(r'"number": "(\w+)"', prompt)
    assert found is not None
    task = TRIES[found[1]].task
    if "ToolPlan" in {tool.name for tool in info.output_tools}:
        return _planned([*task.plan, *_told(prompt)])
    read = [str(p.content) for p in parts if isinstance(p, ToolReturnPart)]
    known = [f"{t.description} {json.dumps(t.parameters_json_schema)}" for t in info.function_tools]
    made = [(p.tool_name, p.args_as_dict()) for p in parts if isinstance(p, ToolCallPart)]
    told = _told("".join([*known, *read]))
    for calls in (told, task.calls):
        for call in calls:
            if (call[0], call[1]) not in made:
                return ModelResponse(parts=[ToolCallPart(call[0], call[1])])
    return ModelResponse(parts=[ToolCallPart("nothing_to_do", {"rationale": "Done."})])


def _told(text: str) -> list[Call]:
    """What a text wants done."""
    # It stands in JSON, and that in JSON again.
    plain = re.sub(r"\\+([\"'])", r"\1", text)
    wanted = re.search(r"\[\[do\]\](.*?)\[\[done\]\]", plain)
    return [(tool, args) for tool, args in json.loads(wanted[1])] if wanted else []


def _planned(plan: Sequence[Call]) -> ModelResponse:
    calls = [{"tool": tool, "args": args} for tool, args in plan]
    said = {"action": {"calls": calls}, "rationale": "What it takes."}
    return ModelResponse(parts=[ToolCallPart("ToolPlan", said)])


TOOLS: list[Any] = [each for each in vars(toolbox).values() if isinstance(each, (Read, Write))]
MODEL = Model(FunctionModel(obey, model_name="obedient"), price=0)


@converse(model=MODEL, tools=TOOLS)
async def assist(asked: Asked) -> Prompt[Answered, NoEvidence]:
    """Do what somebody asks."""
    return Prompt("Do what the person asks.", evidence=NoEvidence(), data={"asked": asked})
