"""Recorded histories: what cases did, kept, and replayed against the code of today.

A change that reorders what a workflow does would wedge every open case. Replaying
recorded histories finds it before it is deployed: keep one of each kind of case, also
ones that still wait, in the repository.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any, cast

from handrail.exceptions import CaseError

if TYPE_CHECKING:
    from pathlib import Path

    from temporalio.client import WorkflowHandle

    from handrail.runtime import Fleet

_MACHINE = re.compile(r"\d+@[\w.-]+")
"""How workers are called, also in the names of their own task queues."""

_OF_NO_USE = {"identity", "stackTrace", "stickyAttributes", "workerVersion"}


async def record(handle: WorkflowHandle[Any, Any], path: Path) -> None:
    """Write the history of a case's run to `path`, as Temporal's JSON on one line.

    Names of machines and traces, which are of no use to a replay, are left out.
    """
    history = await handle.fetch_history()
    text = json.dumps(_without_traces(json.loads(history.to_json())), separators=(",", ":"))
    await asyncio.to_thread(_write, path, text + "\n")


async def replay(fleet: Fleet, path: Path, payload_dir: Path) -> str | None:
    """Replay one recorded history. None if the code still does what it did, or the fault.

    `payload_dir`: where the payloads are that were too large for the history.

    Raises:
        ValueError: if it is no history, or one of no agent of the fleet.
    """
    text = await asyncio.to_thread(path.read_text, encoding="utf-8")
    try:
        return (await fleet.replayed(text, payload_dir)).fault
    except CaseError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _without_traces(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_traces(item) for item in cast("list[Any]", value)]
    if isinstance(value, str):
        return _MACHINE.sub("recorded", value)
    if not isinstance(value, dict):
        return value
    kept = {k: v for k, v in cast("dict[str, Any]", value).items() if k not in _OF_NO_USE}
    return {k: _without_traces(v) for k, v in kept.items()}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
