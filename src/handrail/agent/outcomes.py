"""`@outcome`: a function that reads what people did, to be held against what an agent proposed."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handrail.exceptions import StepError

Reads = Callable[[datetime], Awaitable[Iterable[Mapping[str, Any]]]]


@dataclass(frozen=True)
class OutcomeRead:
    """Reads what people did. Upkeep calls it; no case does."""

    fn: Reads


def outcome(fn: Reads, /) -> OutcomeRead:
    """Declare what reads, every few minutes, what people did in the cases of a pilot.

    An `async def` that is given a moment, and returns what was done since: mappings of `case` (its
    key or id), `at`, `action` (None: they did nothing), `step` where there are several writes,
    and `by`. What it returns again is the same; it runs beside the steps, in a worker.

    Raises:
        StepError: if it is no `async def` of one value.
    """
    if not inspect.iscoroutinefunction(fn) or len(inspect.signature(fn).parameters) != 1:
        raise StepError(f"@outcome: write `async def {fn.__name__}(since: datetime) -> list[dict]`")
    return OutcomeRead(fn)
