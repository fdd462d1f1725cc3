"""The tools of an MCP server that are known only while a case runs.

    desk = LiveMCP("desk", server, policy=Path("guardrails/assistant.yaml"))

    @converse(model=CLERK, tools=[desk])
    async def assist(asked: Asked) -> Prompt[Answered, Standing]: ...

    Agent("assistant", ..., steps=[assist, *desk.steps], policy=...)

A case has the server list its tools once, and keeps to it: they are typed by the schemas that it
was told, and one that is described otherwise later is not called. What the policy names under
`reads:` is read; all else is a write, `desk_call`, behind the door, which holds each tool that is
not among the `tools:` of its entry.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from mcp import StdioServerParameters
from pydantic import JsonValue

from handrail.actions import Action, Effect, as_json, canonical
from handrail.agent import ListedTool, LiveCall, Read, Step, ToolListing, Write, read, write
from handrail.exceptions import ContractChanged, Final, NotDone
from handrail.integrations.connectors.declare import as_function
from handrail.integrations.connectors.http import REASON, Unanswered
from handrail.integrations.connectors.listings import Reading, require_reading
from handrail.integrations.connectors.mcp import (
    MCP,
    ToolCalled,
    call_tool,
    contract,
    list_tools,
    takes,
    trusting,
)
from handrail.integrations.connectors.schemas import (
    OutsideJson,
    Schemas,
    as_object,
    differences,
    field_name,
    sent,
)
from handrail.marks import Untrusted
from handrail.policy import Faults, file_content, read_policy_file
from handrail.text import one_line

log = logging.getLogger("handrail.connectors")

_REMEMBERED = 1_000

_KNOWN = dict[str, ListedTool]()
"""What servers listed to cases of this process, by digest: to say what is another since."""


class LiveMCP:
    """The tools of a server, as it lists them to each case. `policy`: the file of the agent.

    `trusted`, `reading` and `free_text`: as of `MCP.read` and `MCP.write`, by the name of the tool.
    """

    def __init__(
        self,
        name: str,
        server: StdioServerParameters | str,
        *,
        policy: Path,
        trusted: Mapping[str, Sequence[str]] | None = None,
        free_text: Mapping[str, Sequence[str]] | None = None,
        reading: Mapping[str, Reading] | None = None,
        timeout: timedelta = timedelta(seconds=60),
    ) -> None:
        """Make the steps `NAME_tools`, `NAME_read` and `NAME_call`."""
        self.trusted = {tool: tuple(fields) for tool, fields in (trusted or {}).items()}
        self.free_text = {tool: tuple(fields) for tool, fields in (free_text or {}).items()}
        self.reading = dict(reading or {})
        for tool, each in self.reading.items():
            require_reading(tool, self.trusted.get(tool, ()), each)
        self.name, self.server, self.policy = name, server, policy
        texts = {"tool": (str, ...), "arguments": (dict[str, JsonValue], ...), "digest": (str, ...)}

        async def listing() -> ToolListing:
            found = usable(await list_tools(self.server), self.name)
            _KNOWN.update({each.digest: each for each in found})
            for old in [*_KNOWN][:-_REMEMBERED]:
                del _KNOWN[old]
            reads, writes = self._named()
            said = {"trusted": self.trusted, "free_text": self.free_text}
            return ToolListing(tools=tuple(found), reads=reads, writes=writes, **said)

        async def looking(tool: str, arguments: dict[str, Any], digest: str) -> Any:
            if tool not in self._named()[0]:
                raise Final(f"the policy does not say that {tool} only reads; nothing was sent")
            asked = LiveCall(tool=tool, arguments=arguments, digest=digest)
            answer = await self._send(asked, away=Unanswered, failed=Final)
            if tool in self.trusted:
                return trusting(answer, self.trusted[tool], self.reading.get(tool))
            return as_json(OutsideJson.model_validate(answer))

        async def acting(action: LiveCall, _effect: Effect) -> Any:
            return await self._send(action, away=NotDone, failed=Unanswered)

        words, done = f"a tool of {name}", {"action": (LiveCall, ...), "effect": (Effect, ...)}
        there = as_function(listing, f"{name}_tools", f"List the tools of {name}", {}, ToolListing)
        look = as_function(looking, f"{name}_read", f"Read by {words}", texts, JsonValue)
        act = as_function(acting, f"{name}_call", f"Call {words}", done, OutsideJson)
        self.listed: Read[[], ToolListing] = read(timeout=timeout)(there)
        self.look: Read[..., Any] = read(timeout=timeout, reaches_out=True)(look)
        self.act: Write[LiveCall, Any] = write(timeout=timeout)(act)

    @property
    def steps(self) -> list[Step[..., Any]]:
        """The steps of the agent that it needs."""
        return [self.listed, self.look, self.act]

    def made(self, listing: ToolListing) -> Sequence[Step[..., Any]]:
        """The tools that were listed, as steps with types: to be offered and judged."""
        return _made(canonical(listing.model_dump(mode="json")))

    def call(self, listing: ToolListing, step: Step[..., Any], args: dict[str, Any]) -> LiveCall:
        """The call that stands for a call of one of them."""
        at = [each.name for each in self.made(listing)].index(step.name)
        tool = listing.tools[at]
        if isinstance(step, Write):
            kind: type[Action] = cast("Any", step).action
            given = sent(kind.model_validate(args, by_name=True))
        else:
            schemas = _schemas(tool)
            wires = {field_name(wire): wire for wire in schemas.parts(schemas.document)[0]}
            given = {wires[name]: v for name, v in args.items() if v is not None}
        return LiveCall(tool=tool.name, arguments=given, digest=tool.digest)

    async def _send(
        self,
        call: LiveCall,
        *,
        away: type[NotDone | Unanswered],
        failed: type[Final | Unanswered],
    ) -> Any:
        def refused(listed: Sequence[dict[str, Any]]) -> Final | None:
            now = usable(listed, self.name)
            if any((e.name, e.digest) == (call.tool, call.digest) for e in now):
                known = [each for each in listed if each["name"] == call.tool]
                return MCP(known, "", self.server).refusal(call.tool, call.arguments)
            today = next((each for each in now if each.name == call.tool), None)
            return ContractChanged(
                f"{call.tool} of {self.name} is not what it was when this case began"
                f"{_changes(_KNOWN.get(call.digest), today)}; nothing was sent; "
                "fix: let this case end, and begin another"
            )

        called = ToolCalled(self.server, self.name, call.tool, call.arguments)
        return await call_tool(called, refused, away=away, failed=failed)

    def _named(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The tools that the policy names: those that only read, and those that may write."""
        faults = Faults(str(self.policy))
        doc = read_policy_file(file_content(self.policy)[0], faults)
        if doc is None or faults.found:
            return (), ()
        entry = doc.actions.get(self.act.name)
        return doc.reads, () if entry is None else entry.tools


def usable(listed: Sequence[dict[str, Any]], server: str) -> list[ListedTool]:
    """The tools that can be called. In a case, one that cannot be made would hold up all of it."""
    found = dict[str, ListedTool]()
    for each in listed:
        try:
            tool = _as_tool(each)
            [step] = _made(canonical(as_json(ToolListing(tools=(tool,)))))
            MCP([each], "", "").refusal(tool.name, {})
            why = "" if step.name and step.name not in found else "its name is none, or another's"
        except Exception as error:  # noqa: BLE001  # what a server lists is anybody's
            why = one_line(str(error), REASON)
        else:
            if not why:
                found[step.name] = tool
                continue
        log.warning("%s: its tool %s is left out: %s", server, each["name"], why)
    return [*found.values()]


def _as_tool(listed: dict[str, Any]) -> ListedTool:
    return ListedTool(
        name=listed["name"],
        description=Untrusted(untrusted=listed["description"]),
        takes=listed["inputSchema"],
        digest=hashlib.sha256(canonical(listed).encode()).hexdigest(),
    )


def _changes(before: ListedTool | None, now: ListedTool | None) -> str:
    """How a tool is described otherwise, in words."""
    if now is None:
        return ": it is gone"
    if before is None:
        return ""
    found = differences(contract(_as_listed(before)), contract(_as_listed(now)))
    return f": {one_line('; '.join(found), REASON)}"


def _as_listed(tool: ListedTool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description.text,
        "inputSchema": tool.takes,
    }


@functools.lru_cache(maxsize=50)
def _made(listing: str) -> Sequence[Step[..., Any]]:
    known = ToolListing.model_validate_json(listing)
    made = MCP([_as_listed(each) for each in known.tools], "", "")
    return tuple(
        made.read(each.name, trusted=known.trusted.get(each.name, ()))
        if each.name in known.reads
        else made.write(each.name, free_text=_taken(each, known.free_text.get(each.name, ())))
        for each in known.tools
    )


def _taken(tool: ListedTool, fields: Sequence[str]) -> list[str]:
    """Those that the tool takes: what a server lists is its own, and wedges no case."""
    return [each for each in fields if takes(_schemas(tool), each)]


def _schemas(tool: ListedTool) -> Schemas:
    return Schemas(as_object(tool.takes), tool.name, "")
