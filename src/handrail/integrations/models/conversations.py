"""Conversations, kept outside of histories: a chain of what each round has added.

A history has a claim on the last link; so however long they talk, each message is kept once.
"""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter
from temporalio import activity

from handrail.actions import Wire, as_json
from handrail.agent import Prompt
from handrail.exceptions import StepError
from handrail.runtime import ClaimCheck


class Opening(Wire):
    """What a conversation began with, and every round of it needs."""

    instructions: str
    evidence: JsonValue
    confidence: float | None
    digest: str
    listings: tuple[JsonValue, ...] = ()

    @classmethod
    def of(
        cls, prompt: Prompt[Any, Any], digest: str, listings: tuple[JsonValue, ...] = ()
    ) -> Opening:
        """The opening of a prompt."""
        return cls(
            instructions=prompt.instructions,
            evidence=as_json(prompt.evidence),
            confidence=prompt.confidence,
            digest=digest,
            listings=listings,
        )


class _Link(Wire):
    before: str
    opening: Opening | None
    messages: JsonValue


def _store() -> ClaimCheck:
    codec = activity.client().data_converter.payload_codec if activity.in_activity() else None
    if not isinstance(codec, ClaimCheck):
        raise StepError("a conversation is kept where a worker keeps payloads: run it in a case")
    return codec


async def keep(before: str, opening: Opening | None, messages: list[ModelMessage]) -> str:
    """Add messages to a conversation, and return the claim on all of it.

    Raises:
        StepError: if no worker runs this.
    """
    said = ModelMessagesTypeAdapter.dump_python(messages, mode="json")
    link = _Link(before=before, opening=opening, messages=said)
    return await _store().keep(link.model_dump_json().encode())


async def conversation(claim: str) -> tuple[Opening, list[ModelMessage]]:
    """What was said so far, and what it began with.

    Raises:
        PayloadLost: if some of it is not there any more.
        StepError: as `keep`.
    """
    links: list[_Link] = []
    while claim:
        links.append(_Link.model_validate_json(await _store().kept(claim)))
        claim = links[-1].before
    opening = next(link.opening for link in links if link.opening is not None)
    found = [ModelMessagesTypeAdapter.validate_python(link.messages) for link in reversed(links)]
    return opening, [message for each in found for message in each]
