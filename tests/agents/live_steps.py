"""Steps of an agent that has the tools of a server which lists them to each case."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

from mcp import StdioServerParameters
from pydantic import BaseModel
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from typing_extensions import override

from handrail import Action, Event, FreeText, Prompt, Request
from handrail.integrations.connectors import LiveMCP
from handrail.integrations.models import Model, converse

SEEN: list[AgentInfo] = []


class Errand(Event):
    """What somebody asks, and what the model that obeys shall plan and call."""

    number: str
    request: Annotated[str, Request]
    plan: str
    calls: str

    @property
    @override
    def key(self) -> str:
        return self.number


class Said(Action):
    """Say what was done."""

    words: Annotated[str, FreeText]


class Bare(BaseModel):
    """No evidence."""


def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Plan and call as the event says."""
    SEEN.append(info)
    parts = [part for message in messages for part in message.parts]
    prompt = next(str(part.content) for part in parts if isinstance(part, UserPromptPart))
    found = re.search(r"data (\w+)\n(.*)\ndata \1", prompt, re.DOTALL)
    assert found is not None
    errand = json.loads(found[2])["errand"]
    if "ToolPlan" in {tool.name for tool in info.output_tools}:
        said = {"action": {"calls": json.loads(errand["plan"])}, "rationale": "so"}
        return ModelResponse(parts=[ToolCallPart("ToolPlan", said)])
    answered = sum(isinstance(message, ModelResponse) for message in messages)
    left: list[Any] = json.loads(errand["calls"])[answered:]
    tool, args = left[0] if left else ("nothing_to_do", {"rationale": "done"})
    return ModelResponse(parts=[ToolCallPart(tool, args)])


def server(home: Path) -> StdioServerParameters:
    """How the server is started."""
    here = Path(__file__).with_name("live_server.py")
    return StdioServerParameters(command=sys.executable, args=[str(here), str(home)])


desk = LiveMCP(
    "desk",
    server(Path()),
    policy=Path("desk.yaml"),
    trusted={"held_slots": ["code"]},
    free_text={"give_back": ["words", "none of it"]},
)


@converse(model=Model(FunctionModel(script, model_name="script"), price=0), tools=[desk])
async def run_errand(errand: Errand) -> Prompt[Said, Bare]:
    """Do what somebody asks."""
    return Prompt("Do what is asked.", evidence=Bare(), data={"errand": errand})
