"""What commands print, and the codes they end with."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class Code(IntEnum):
    """How a command ended. The numbers are promises."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    WAITS = 4


class UsageError(Exception):
    """What was typed cannot be done by anybody: exit code 2."""


@dataclass(frozen=True)
class Output:
    """Where a command's data and messages go. With `json` stdout holds JSON and nothing else."""

    json: bool = False

    @cached_property
    def console(self) -> Console:
        """Stdout for humans. Nothing in what is printed is taken for markup."""
        return _console(stderr=False)

    @cached_property
    def messages(self) -> Console:
        """Stderr for humans."""
        return _console(stderr=True)

    def data(self, value: Any) -> None:
        """Print the one JSON document of a command, if JSON is wanted."""
        if self.json:
            sys.stdout.write(f"{json.dumps(value, indent=2, ensure_ascii=False, default=str)}\n")

    def row(self, value: Mapping[str, Any]) -> None:
        """Print one of several JSON documents, on a line of its own, if JSON is wanted."""
        if self.json:
            sys.stdout.write(f"{json.dumps(value, ensure_ascii=False, default=str)}\n")
            sys.stdout.flush()

    def show(self, *what: RenderableType) -> None:
        """Print something for humans, unless JSON is wanted. Long lines are never cut."""
        if not self.json:
            for each in what:
                self.console.print(each, soft_wrap=isinstance(each, str) or _is_text(each))

    def say(self, text: str, style: str = "") -> None:
        """Say something on stderr."""
        self.messages.print(text, style=style or None, soft_wrap=True)

    def failed(self, error: str, kind: str, code: Code) -> int:
        """Say what went wrong, on stderr and in JSON, and return the exit code."""
        self.say(f"handrail: {error}", "red")
        self.data({"error": {"kind": kind, "message": error}, "exit": int(code)})
        return int(code)


def _is_text(what: object) -> bool:
    from rich.text import Text  # noqa: PLC0415  # only when something is printed

    return isinstance(what, Text)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console  # noqa: PLC0415  # `--json` and scripts do without

    stream = sys.stderr if stderr else sys.stdout
    # Without a terminal there is no width to fit into: what reads it wants it whole.
    width = None if stream.isatty() else 200
    return Console(
        file=stream, markup=False, highlight=False, emoji=False, width=width, soft_wrap=False
    )
