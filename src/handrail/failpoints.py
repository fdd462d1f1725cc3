"""Named points of a step at which a process may die.

In production nothing listens. `handrail.testing` installs a listener that kills or
freezes the process at a chosen one, to prove that nothing is lost or done twice there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

BOUNDARIES: Final = (
    "read:before",
    "read:after",
    "decide:before",
    "decide:after",
    "decide:foreseen",
    "notify:before",
    "notify:after",
    "write:arrived",
    "write:judged",
    "write:before-intent",
    "write:after-intent",
    "write:before-effect",
    "write:after-effect",
    "write:before-receipt",
    "write:after-receipt",
    "write:answering",
    "find:before",
    "find:after",
    "doubt:asking",
    "doubt:happened",
    "doubt:before-repeat",
    "undo:arrived",
    "undo:before-effect",
    "undo:after-effect",
    "undo:after-receipt",
)
"""Every name that `reached` is called with by a step."""

INTAKE: Final = ("intake:kept", "intake:started", "call-back:due", "call-back:told")
"""And by what takes events from outside."""

SCHEDULED: Final = ("schedule:fired", "schedule:made")
"""And by the worker that makes the event of a time of a schedule."""

HAND_OFF: Final = ("hand-off:starting", "hand-off:started", "hand-off:answered")
"""And by the worker of an agent that work is handed to, with the case that hands it."""

MCP_CALLS: Final = ("mcp:started", "mcp:answered")
"""And by the MCP server, before another agent hears of the case that it started or asked."""

_listener: Callable[[str, str], None] | None = None


def listen(listener: Callable[[str, str], None] | None) -> None:
    """Call `listener(boundary, case)` at every boundary. None stops it."""
    global _listener  # noqa: PLW0603  # one listener a process, set before the worker starts
    _listener = listener


def reached(boundary: str, case: str) -> None:
    """Say that `case` is at `boundary`."""
    if _listener is not None:
        _listener(boundary, case)
