"""Whether Slack would take what it is sent: its own models of blocks, and what those leave out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

MOST_BLOCKS = 50
"""Blocks of a message; a dialogue takes 100."""

LONGEST_TEXT = 40_000
"""Characters of what a message says beside its blocks."""

_ELEMENTS = {"actions": 25, "context": 10}
_FIELD, _LABEL, _INITIAL = 2_000, 2_000, 3_000


def wrong_message(blocks: list[dict[str, Any]], text: str) -> Iterator[str]:
    """What Slack would refuse of a message."""
    if len(blocks) > MOST_BLOCKS:
        yield f"{len(blocks)} blocks"
    if not 0 < len(text) <= LONGEST_TEXT:
        yield f"a text of {len(text)} characters"
    yield from wrong_blocks(blocks)


def wrong_view(view: dict[str, Any]) -> Iterator[str]:
    """What Slack would refuse of a dialogue."""
    yield from _refused(View(**view), view)
    yield from wrong_blocks(view["blocks"])


def wrong_blocks(blocks: list[dict[str, Any]]) -> Iterator[str]:
    """What Slack would refuse of blocks, wherever they are."""
    named = [block["block_id"] for block in blocks if "block_id" in block]
    if len(set(named)) != len(named):
        yield f"two blocks have one id: {named}"
    models: Any = Block
    for block in blocks:
        yield from _refused(models.parse(block), block)
        yield from _beyond(block)


def _refused(parsed: Any, given: dict[str, Any]) -> Iterator[str]:
    """What the models say. They leave out what is empty, and what no block has."""
    try:
        known: Any = parsed.to_dict() if parsed is not None else None
    except SlackObjectFormationError as error:
        yield f"{given['type']}: {error}"
    else:
        if known != given:
            yield f"{given['type']}: {given} is read as {known}"


def _beyond(block: dict[str, Any]) -> Iterable[str]:
    """The limits of Slack's reference that its models do not know."""
    elements, inner = block.get("elements", []), block.get("element", {})
    if len(elements) > _ELEMENTS.get(block["type"], 0):
        yield f"{block['type']}: {len(elements)} elements"
    actions = [each["action_id"] for each in elements if "action_id" in each]
    if len(set(actions)) != len(actions):
        yield f"two elements have one id: {actions}"
    texts = [(each["text"], _FIELD) for each in block.get("fields", [])]
    texts += [(block["label"]["text"], _LABEL)] if "label" in block else []
    texts += [(inner["initial_value"], _INITIAL)] if "initial_value" in inner else []
    texts += [(each["text"], 3_000) for each in elements if isinstance(each.get("text"), str)]
    for text, most in texts:
        if not 0 < len(text) <= most:
            yield f"{block['type']}: a text of {len(text)} characters"
