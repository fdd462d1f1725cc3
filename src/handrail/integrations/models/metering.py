"""A model whose every request is charged: what it may cost before, what it did cost after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.usage import RequestUsage
from pydantic_core import to_json
from typing_extensions import override

from handrail.actions import Usage
from handrail.agent import charged, current_heartbeats

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_ai.models import Model as AnyModel
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.settings import ModelSettings

    from handrail.integrations.models.prices import Prices

_ON_THE_WAY = {408, 502, 504, 524}
"""What gateways answer where a request went on, and nobody knows whether it was thought about."""

_BYTES = 3
"""Bytes of a token of input, at least: an estimate that is too high is given back."""


class MeteredModel(WrapperModel):
    """One model of those that may be asked."""

    def __init__(
        self,
        wrapped: AnyModel,
        prices: Prices,
        settings: dict[str, Any],
        answered: Callable[[], None],
        *,
        streams: bool = False,
    ) -> None:
        """Meter a model. `settings`: its own, over those of the request."""
        super().__init__(wrapped)
        self.prices = prices
        self.own = settings
        self.answered = answered
        self.streams = streams

    @override
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the model, and charge it."""
        settings = cast("ModelSettings", {**(model_settings or {}), **self.own})
        async with charged(self._estimate(messages, model_request_parameters)) as used:
            try:
                response = await self._asked(messages, settings, model_request_parameters)
            except ModelHTTPError as error:
                if error.status_code not in _ON_THE_WAY:
                    used.append(Usage())  # the provider refused it, and nothing was thought
                raise
            used.append(self.prices.usage(response.usage, response.model_name))
        self.answered()
        return response

    async def _asked(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings,
        parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The whole answer; where it streams, the page of the case shows it as it comes."""
        if not self.streams:
            return await super().request(messages, settings, parameters)
        shown = current_heartbeats()
        async with super().request_stream(messages, settings, parameters) as stream:
            async for _ in stream:
                shown.thinks(_words(stream.get()))
        return stream.get()

    def _estimate(self, messages: list[ModelMessage], parameters: ModelRequestParameters) -> Usage:
        tools = [*parameters.function_tools, *parameters.output_tools]
        sent = len(ModelMessagesTypeAdapter.dump_json(messages))
        sent += sum(len(to_json(tool.parameters_json_schema)) for tool in tools)
        output = self.own.get("max_tokens", 0)
        return self.prices.usage(RequestUsage(input_tokens=sent // _BYTES, output_tokens=output))


def _words(answer: ModelResponse) -> str:
    """What an answer says so far: its thoughts and words, and the tools that it calls."""
    said = list[str]()
    for part in answer.parts:
        if isinstance(part, ToolCallPart):
            said.append(f"{part.tool_name}({part.args_as_json_str()})")
        elif isinstance(part, (TextPart, ThinkingPart)):
            said.append(part.content)
    return "\n".join(said)
