"""Tools that are known only while a case runs: a server lists them, and they are called by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import Field, JsonValue

from handrail.actions import Action, Wire
from handrail.agent.steps import Read, Step, Write
from handrail.marks import Untrusted

FieldNames = dict[str, tuple[str, ...]]
"""Of tools, by name, some of their fields."""


class ListedTool(Wire):
    """A tool as its server listed it. `takes`: the schema of its arguments. `digest`: of it."""

    name: str
    description: Untrusted
    takes: JsonValue
    digest: str


class ToolListing(Wire):
    """What a server listed to one case.

    `reads` and `writes`: those that the policy names, which alone a plan may know of. `trusted` and
    `free_text`: of tools, the fields of an answer and the arguments that the owner declares so.
    """

    tools: tuple[ListedTool, ...]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = Field(default=(), exclude_if=lambda writes: not writes)
    trusted: FieldNames = Field(default_factory=dict, exclude_if=lambda fields: not fields)
    free_text: FieldNames = Field(default_factory=dict, exclude_if=lambda fields: not fields)

    def names(self, tool: str) -> bool:
        """Whether the policy names a tool."""
        return tool in self.reads or tool in self.writes


class LiveCall(Action):
    """Call a tool that a server listed. `digest`: of what it said of the tool to this case."""

    tool: str
    arguments: dict[str, JsonValue]
    digest: str


class LiveToolbox(Protocol):
    """The tools of a server, listed anew for each case: three steps of an agent.

    `listed` says what there is; `look` and `act` call one of them, as a read and as a write.
    """

    listed: Read[[], ToolListing]
    look: Read[..., Any]
    act: Write[LiveCall, Any]

    def made(self, listing: ToolListing, /) -> Sequence[Step[..., Any]]:
        """The tools as steps with types: to be offered and judged, and never to be run."""
        ...

    def call(self, listing: ToolListing, step: Step[..., Any], args: dict[str, Any], /) -> LiveCall:
        """The call that stands for a call of one of them."""
        ...
