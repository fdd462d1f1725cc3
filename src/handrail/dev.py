"""What `handrail dev` and `handrail demo` run, and how it is kept alive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from handrail.actions import Event
from handrail.states import State

__all__ = ["CaseRow", "Demo", "System"]


@dataclass(frozen=True)
class System:
    """An outside system that a demo runs as a process of its own.

    In `argv`, `{home}` is replaced by the home directory and `{python}` by this Python.
    `ready`: how the line on its standard output begins that says it is ready.
    """

    name: str
    argv: tuple[str, ...]
    ready: str


@dataclass(frozen=True)
class CaseRow:
    """One case as a list shows it. `receipts` counts the writes that were proven to happen."""

    case: str
    state: State
    why: str = ""
    waiting_for: tuple[str, ...] = ()
    receipts: int = 0
    started: datetime | None = None
    closed: datetime | None = None
    deadline: datetime | None = None


@dataclass(frozen=True)
class Demo:
    """What a project shows with `handrail demo`.

    `events` yields the events of `agent`, the same ones in every run, at the pace at which
    they shall begin; it gets the home directory. `report` turns the cases into rows of
    label and value: what came out.
    """

    agent: str
    systems: tuple[System, ...]
    events: Callable[[Path], AsyncIterator[Event]]
    report: Callable[[Path, Sequence[CaseRow]], Awaitable[list[tuple[str, str]]]]
