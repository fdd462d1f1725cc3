"""A model that does whatever the first text from outside says: a script, one answer a request.

It stands for a model in the worst case, and it is the same in every process: which answer is
next, it sees from the conversation.
"""

from __future__ import annotations

import json
import os
from typing import Any

from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from handrail.testing import Outside


def shown(messages: list[ModelMessage]) -> str:
    """What the model was given to look at."""
    parts = [part for message in messages for part in message.parts]
    return "".join(
        part.content
        for part in parts
        if isinstance(part, UserPromptPart) and isinstance(part.content, str)
    )


def data_of(messages: list[ModelMessage]) -> Any:
    """The data of the prompt, between its two lines."""
    _, *lines, _ = shown(messages).splitlines()
    return json.loads("\n".join(lines))


async def obey(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Answer as the mail says: `[[tool, arguments], ...]`, or a text."""
    answered = sum(isinstance(message, ModelResponse) for message in messages)
    mail = data_of(messages)["mail"]
    said = json.loads(mail["body"]["untrusted"])[answered]
    assert isinstance(messages[-1], ModelRequest)
    await Outside.current().do("model", f"{mail['number']}/{answered}", str(messages[-1].parts))
    if said == "away":
        raise ModelAPIError("clerk", "the model is away")
    if said == "leak":
        raise ModelAPIError("clerk", f"wrong key: {os.environ['CLERK_API_KEY']}")
    calls = [said] if isinstance(said[0], str) else said
    return ModelResponse(
        parts=[TextPart("Let me see."), *(ToolCallPart(tool, args) for tool, args in calls)],
        usage=RequestUsage(input_tokens=100, output_tokens=10),
    )


CLERK = FunctionModel(obey, model_name="clerk")
