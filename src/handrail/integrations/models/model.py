"""Model: a language model that decides, for `@decide(model=...)`, asked by pydantic-ai."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

from pydantic import JsonValue

from handrail.actions import Action, AskedModel
from handrail.agent import ModelAnswer, Prompt, ToolCalls, Turn, secret, secret_in_use
from handrail.exceptions import ConfigurationError, StepError
from handrail.integrations.models import rendering

try:
    from pydantic_ai import AgentRunResult, DeferredToolRequests, DeferredToolResults
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.messages import ModelResponse, TextPart
    from pydantic_ai.models import Model as AnyModel
    from pydantic_ai.models import infer_model, parse_model_id
    from pydantic_ai.models.fallback import FallbackModel
    from pydantic_ai.providers import infer_provider, infer_provider_class
    from pydantic_ai.usage import RequestUsage

    from handrail.integrations.models.choices import chooser
    from handrail.integrations.models.conversations import Opening, conversation, keep
    from handrail.integrations.models.metering import MeteredModel
    from handrail.integrations.models.prices import Price, Prices
    from handrail.integrations.models.tools import as_calls, caller, with_listed
except ImportError as error:
    raise ConfigurationError(
        f"steps that ask a model need {error.name}; fix: install handrail[llm]"
    ) from error

_KEYS = ("API_KEY", "ACCESS_KEY", "TOKEN")
"""How the names of variables end in which providers of models look for a key."""

_SHORTEST_KEY = 8
_LONGEST = 4_000


class Model:
    """A language model that decide steps ask, and what it costs.

    CLERK = Model("anthropic:claude-haiku-4-5", fallback=Model("openai:gpt-5-mini"))

    @decide(model=CLERK)
    async def judge(mail: Mail, orders: list[Order]) -> Prompt[Refund, Standing]: ...
    """

    def __init__(
        self,
        model: str | AnyModel,
        *,
        fallback: Model | None = None,
        price: Price | int | None = None,
        key: str | None = None,
        temperature: float | None = None,
        max_tokens: int = 2_000,
        timeout: timedelta = timedelta(seconds=60),
        asks: int = 3,
        streams: bool = False,
    ) -> None:
        """Name a model of pydantic-ai (`provider:name`), or give one.

        `fallback` is asked where this one does not answer. `price`: per million tokens, where
        genai-prices knows none; 0 of a model that costs nothing. `key`: the name of a secret
        (`handrail.secret`) with the provider's key, which is otherwise the variable of the
        environment that the provider names. `timeout` and `max_tokens` are of one request;
        `asks`: how often it is asked in one try, with what was wrong with its last answer.
        `streams`: have the page of the case show what it says while it says it.

        Raises:
            StepError: if it is no such name, or nobody knows what it costs.
        """
        if asks < 1 or max_tokens < 1 or timeout <= timedelta(0):
            raise StepError(f"{model}: asks, max_tokens and timeout must be more than zero")
        if price not in {None, 0} and not isinstance(price, Price):
            raise StepError(f"{model}: price is a Price, or 0; not {price!r}")
        if isinstance(model, str):
            provider, name = parse_model_id(model)
        else:
            provider, name = model.system, model.model_name
        if provider is None:
            raise StepError(f"{model!r} names no model; fix: write it as provider:name")
        free = Price(Decimal(0), Decimal(0))
        self.id = f"{provider}:{name}"
        self.temperature, self.timeout, self.asks = temperature, timeout, asks
        self.fallback = fallback
        self._given, self._key, self._streams = model, key, streams
        self._prices = Prices(provider, name, free if price == 0 else cast("Price | None", price))
        self._prices.require(RequestUsage(input_tokens=1, output_tokens=1))
        self._settings: dict[str, Any] = {"max_tokens": max_tokens}
        if temperature is not None:
            self._settings["temperature"] = temperature

    @property
    def chain(self) -> list[Model]:
        """The model, and those that are asked after it."""
        return [self, *(self.fallback.chain if self.fallback is not None else [])]

    @property
    def patience(self) -> timedelta:
        """The longest that one try may take."""
        return self.asks * sum((each.timeout for each in self.chain), timedelta(seconds=5))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets of a step that asks it."""
        return tuple(each._key for each in self.chain if each._key is not None)  # noqa: SLF001

    def faults(self) -> list[str]:
        """Why it cannot be asked here, each with its fix."""
        found: list[str] = []
        for each in self.chain:
            try:
                if each._key is None:  # noqa: SLF001  # of the secret it is said anyway
                    each._model()  # noqa: SLF001
            except (UserError, ImportError, ValueError) as error:
                found.append(f"{each.id}: {error}")
        return found

    async def decide(
        self, prompt: Prompt[Any, Any], kinds: Sequence[type[Action]], /
    ) -> ModelAnswer:
        """Have one of these actions chosen and filled in, or none.

        Raises:
            AgentRunError: if no model answers, or with nothing that validates.
            ApplicationError: if the budget has no room for it.
        """
        agent = chooser(tuple(kinds), confident=prompt.confidence is None)
        heard, digest = list[Model](), rendering.digest(prompt, kinds)
        result = await agent.run(
            rendering.data(prompt),
            instructions=rendering.instructions(prompt.instructions),
            **self._options(heard),
        )
        return _answer(result, prompt.confidence, asked(result, heard, digest))

    async def converse(
        self,
        prompt: Prompt[Any, Any] | None,
        kinds: Sequence[type[Action]],
        tools: Sequence[Any],
        turn: Turn,
        /,
    ) -> tuple[ModelAnswer, JsonValue]:
        """Have tools called (`ToolCalls`), or one of these actions chosen, or none.

        Raises:
            AgentRunError: as `decide`.
            ApplicationError: the same.
            PayloadLost: if what was said before is not there any more.
        """
        given: dict[str, Any]
        if prompt is not None:
            opening = Opening.of(prompt, rendering.digest(prompt, kinds), turn.listings)
            given = {"user_prompt": rendering.data(prompt)}
        else:
            opening, before = await conversation(turn.conversation)
            results = DeferredToolResults(calls={each.id: each.content for each in turn.results})
            given = {"message_history": before, "deferred_tool_results": results}
        tools, heard = with_listed(tools, opening.listings), list[Model]()
        agent = caller(tuple(kinds), tuple(tools), self.asks, confident=opening.confidence is None)
        result = await agent.run(
            **given,
            instructions=rendering.instructions(opening.instructions),
            **self._options(heard),
        )
        who = asked(result, heard, opening.digest)
        if not isinstance(result.output, DeferredToolRequests):
            return _answer(result, opening.confidence, who), opening.evidence
        # Of single calls nobody was asked how sure they are.
        first = None if prompt is None else opening
        calls = ToolCalls(
            calls=tuple(as_calls(result.output.calls, tools)),
            conversation=await keep(turn.conversation, first, result.new_messages()),
        )
        said = "\n".join(p.content for p in result.response.parts if isinstance(p, TextPart))
        return ModelAnswer(calls, said[:_LONGEST], opening.confidence or 0, who), opening.evidence

    def _options(self, heard: list[Model]) -> dict[str, Any]:
        """How it is asked. `heard`: who answered."""
        return {
            "model": self.metered(heard),
            "model_settings": {"request_timeout": self.timeout.total_seconds()},
            "retries": {"output": self.asks - 1, "tools": self.asks - 1},
        }

    def metered(self, heard: list[Model]) -> AnyModel:
        """The model with its fallbacks, each request of which is charged. `heard`: who answered."""
        _hide_keys()
        models = [
            MeteredModel(
                each._model(),  # noqa: SLF001  # of its own class
                each._prices,  # noqa: SLF001
                each._settings,  # noqa: SLF001
                functools.partial(heard.append, each),
                streams=each._streams,  # noqa: SLF001
            )
            for each in self.chain
        ]
        return models[0] if len(models) == 1 else FallbackModel(models[0], *models[1:])

    def _model(self) -> AnyModel:
        if not isinstance(self._given, str):
            return self._given
        if self._key is None:
            return _named(self._given)
        # Read anew at each use, as every secret is.
        value = secret(self._key).get_secret_value()

        def provider(name: str) -> Any:
            make: Any = infer_provider_class(name)
            return make(api_key=value)

        return infer_model(self._given, provider)


def asked(result: AgentRunResult[Any], heard: Sequence[Model], digest: str) -> AskedModel:
    """Who was asked in a run, and how often. `heard`: who answered. `digest`: of the prompt."""
    answers = [m for m in result.new_messages() if isinstance(m, ModelResponse)]
    return AskedModel(
        model=heard[-1].id,
        version=answers[-1].model_name or "",
        prompt=digest,
        temperature=heard[-1].temperature,
        requests=len(heard),
    )


def _answer(result: AgentRunResult[Any], confidence: float | None, who: AskedModel) -> ModelAnswer:
    """What was chosen. `confidence`: the author's; None where they left it to the model."""
    chosen = result.output
    sure = chosen.confidence if confidence is None else confidence
    return ModelAnswer(getattr(chosen, "action", None), chosen.rationale, sure, who)


@functools.lru_cache(maxsize=100)
def _named(name: str) -> AnyModel:
    return infer_model(name, infer_provider)


def _hide_keys() -> None:
    """Have what providers take for a key masked in whatever the step says or raises."""
    for name, value in os.environ.items():
        if name.endswith(_KEYS) and len(value) >= _SHORTEST_KEY:
            with contextlib.suppress(StepError):
                secret_in_use(name, value)
