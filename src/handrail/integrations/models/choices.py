"""The ways in which a model may answer: each action is a tool of its own name, and none is one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, create_model
from pydantic_ai import Agent, ToolOutput

from handrail.actions import Action

NOTHING = "nothing_to_do"
"""The name by which a model says that it chooses none of the actions."""


class _Chosen(BaseModel):
    """What a model says beside an action."""

    rationale: str = Field(max_length=4_000, description="Why, in one to three sentences.")


class _SureChoice(_Chosen):
    confidence: float = Field(ge=0, le=1, description="How sure you are.")


@functools.lru_cache(maxsize=200)
def chooser(kinds: tuple[type[Action], ...], *, confident: bool) -> Agent[Any, Any]:
    """What has one of these actions chosen, or none: each is a tool of its own name.

    So two actions with the same fields are told apart. What is not the model's to fill is not in
    any of them.
    """
    return Agent(output_type=choices(kinds, confident=confident))


def choices(kinds: Sequence[type[Action]], *, confident: bool) -> list[ToolOutput[Any]]:
    """The ways in which a model may answer."""
    base = _SureChoice if confident else _Chosen
    found: list[ToolOutput[Any]] = []
    for kind in kinds:
        fields: dict[str, Any] = {"action": (kind, ...)}
        made = create_model(kind.__name__, __base__=base, **fields)
        about = (kind.__doc__ or kind.__name__).strip()
        found.append(ToolOutput(made, name=kind.__name__, description=about))
    nothing = create_model("Nothing", __base__=base)
    words = "Do nothing: there is nothing to do, or nothing of this that you may or can do."
    return [*found, ToolOutput(nothing, name=NOTHING, description=words)]
