"""Which agents are retrained, and what retraining has to know of each: one `Learner` an agent."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from handrail.agent import Decide
from handrail.evidence import ChosenAction, PastDecision


@dataclass(frozen=True)
class Learner:
    """An agent that decides by a model.

    `step`: its decide step, which asks `models.chosen` for the model. `learn` makes a model, as
    bytes, of what people have said until a day. `seen`: what the model in use was shown until a
    day, oldest first, by the names of its inputs. `past`: decisions until a day, latest last, that
    nothing is learnt from, with what people made of them. `acts`: whether a choice is more than
    to leave it to people; by itself, one with an action.
    """

    agent: str
    step: Decide[..., Any]
    learn: Callable[[date], Awaitable[bytes]]
    seen: Callable[[date], Awaitable[Sequence[tuple[date, Mapping[str, Any]]]]]
    past: Callable[[date], Awaitable[Sequence[tuple[date, PastDecision]]]]
    acts: Callable[[ChosenAction], bool] = lambda choice: choice.kind is not None


def held_back(name: str) -> bool:
    """Whether nothing is ever learnt from it: what a new version is judged by, every third."""
    return zlib.crc32(f"held back {name}".encode()) % 3 == 0
