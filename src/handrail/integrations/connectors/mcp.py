"""Steps made of the tools of an MCP server.

    server = StdioServerParameters(command="mcp-server-time")
    clock = MCP("time.json", digest="5f0c...", server=server)

    now = clock.read("get_current_time")
    book = clock.write("book_slot", key_field="reference")

`time.json` is what the server lists (`await list_tools(server)` gives it), and its digest is
pinned. A tool that is described otherwise today is not called: a worker does not start, and a
call is refused, with what differs. What a tool answers is text from outside.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from mcp import Client, MCPError, StdioServerParameters
from pydantic import JsonValue

from handrail.actions import Action, Effect, canonical
from handrail.agent import Read, Write, read, write
from handrail.exceptions import ConfigurationError, ContractChanged, Final, NotDone, StepError
from handrail.integrations.connectors.declare import as_function, caller, snake, title
from handrail.integrations.connectors.http import REASON, Unanswered, as_key
from handrail.integrations.connectors.listings import Reading, as_objects, require_reading
from handrail.integrations.connectors.schemas import (
    OutsideJson,
    Schemas,
    as_object,
    differences,
    field_name,
    outside_json,
    sent,
)
from handrail.text import one_line

LARGEST = 200_000
"""Characters of the longest answer of a tool that is taken."""

_LONGEST = 1_000
"""Characters of what a server says of a tool that a model is shown."""

log = logging.getLogger("handrail.connectors")


async def list_tools(server: StdioServerParameters | str) -> list[dict[str, Any]]:
    """What a server lists: write it into the file that a connector is made of.

    Raises:
        ConfigurationError: if it does not start, or does not answer.
    """
    try:
        async with Client(server) as client:
            return await _listed(client)
    except Exception as error:  # a server is anybody's program: it may break off in any way
        said = server if isinstance(server, str) else " ".join([server.command, *server.args])
        raise ConfigurationError(
            f"{said}: the MCP server cannot be asked for its tools: {_innermost(error)}; "
            "fix: start it by hand, and see that it answers"
        ) from error


def _innermost(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return _innermost(group.exceptions[0])
    return one_line(str(error), 300) or type(error).__name__


@dataclass
class MCP:
    """The tools of one server, as steps.

    `tools`: a file with what it lists, beside the module that names it. `digest`: of that; the
    error without one tells it. `server`: how it is started, or its URL.
    """

    tools: str | Path | list[dict[str, Any]]
    digest: str
    server: StdioServerParameters | str

    def __post_init__(self) -> None:
        """Read the list.

        Raises:
            ConfigurationError: if it cannot be read, or is another one than is pinned.
        """
        module = caller()
        if isinstance(self.tools, list):
            self._name, self._module = "an MCP server", str(module["__name__"])
            self._tools, self._used = {str(each["name"]): each for each in self.tools}, {}
            return
        path = Path(str(module.get("__file__", ""))).parent / self.tools
        self._name, self._module = path.name, str(module["__name__"])
        try:
            given: list[dict[str, Any]] = json.loads(path.read_bytes())
            self._tools = {str(each["name"]): each for each in given}
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ConfigurationError(
                f"{path}: this is no list of tools: {error}; fix: write what `list_tools` gives"
            ) from None
        found = hashlib.sha256(canonical(given).encode()).hexdigest()
        if self.digest.lower() != found:
            raise ConfigurationError(
                f"{self._name}: its digest is {found}, and {self.digest or 'none'} is pinned\n"
                f'  fix: look at what it says now, and then write digest="{found}"'
            )
        self._used = dict[str, None]()

    def read(
        self,
        tool: str,
        /,
        *,
        name: str | None = None,
        trusted: Sequence[str] = (),
        reading: Reading | None = None,
        reaches_out: bool = True,
        timeout: timedelta = timedelta(seconds=30),
    ) -> Read[..., Any]:
        """A step that calls a tool of which you say that it changes nothing.

        A server's own word for that (`readOnlyHint`) is not taken. Arguments go by name, and are
        judged as those of a write: `reaches_out=False` of a server that is your own. `trusted`: the
        fields of its answer with names that the system itself gives out (`id`); all other text is
        text from outside. `reading`: how objects are read out of an answer of plain text,
        `TextLines` or a pure function.

        Raises:
            ConfigurationError: if there is no such tool, or others may make up what is read.
        """
        schemas, schema, parts, needed = self._tool(tool)
        require_reading(tool, trusted, reading)
        wires = sorted(parts, key=lambda wire: wire not in needed)

        async def step(*values: Any) -> Any:
            given = {w: v for w, v in zip(wires, values, strict=True) if v is not None}
            _require(tool, schemas.faults(schema, given))
            answer = await self._call(tool, given, away=Unanswered, failed=Final)
            return trusting(answer, trusted, reading) if trusted else answer

        kind = JsonValue if trusted else OutsideJson
        taken = {field_name(wire): (Any, ... if wire in needed else None) for wire in wires}
        fn = as_function(step, name or snake(tool), f"Call {tool}", taken, kind)
        made = read(timeout=timeout, reaches_out=reaches_out)(fn)
        return replace(made, contract=self.drift, outside=self._said(tool))

    def write(
        self,
        tool: str,
        /,
        *,
        name: str | None = None,
        key_field: str | None = None,
        free_text: Sequence[str] = (),
        timeout: timedelta = timedelta(seconds=60),
        **options: Any,
    ) -> Write[Any, Any]:
        """A step that calls a tool which changes something: `self.write(book, book.action(...))`.

        `key_field`: the argument in which the tool takes a key, and does nothing twice under one.
        Without it people are asked, where nobody knows whether it was done; or give `find`, among
        the `options`, which are those of `handrail.write`. `free_text`: the arguments that the
        agent words itself (`FreeText`); of objects within, `items.note`.

        Raises:
            ConfigurationError: if there is no such tool.
            StepError: if it has no such argument.
        """
        schemas, schema, parts, needed = self._tool(tool)
        named = [key_field] if key_field is not None and key_field not in parts else []
        for each in (*named, *(path for path in free_text if not takes(schemas, path))):
            raise StepError(f"{tool}: it takes no `{each}`; it takes {', '.join(parts)}")
        fields = {
            field_name(wire): (wire, part, wire in needed)
            for wire, part in parts.items()
            if wire != key_field
        }

        def given(act: Any, key: str) -> dict[str, Any]:
            return sent(act) | ({} if key_field is None else {key_field: as_key(key)})

        kind: type[Action] = schemas.action(
            title(tool),
            f"Call {tool}",
            fields,
            lambda act: schemas.faults(schema, given(act, "k")),
            free_text,
        )

        async def step(act: Any, effect: Effect) -> Any:
            arguments = given(act, effect.key)
            _require(tool, schemas.faults(schema, arguments))
            return await self._call(tool, arguments, away=NotDone, failed=Unanswered)

        taken = {"action": (kind, ...), "effect": (Effect, ...)}
        fn = as_function(step, name or snake(tool), f"Call {tool}", taken, OutsideJson)
        same = key_field is not None
        made = write(idempotent=same, timeout=timeout, **options)(fn)
        return replace(made, contract=self.drift, outside=self._said(tool))

    async def drift(self) -> list[str]:
        """How tools in use are described otherwise today. A server that is away is logged."""
        try:
            now = await list_tools(self.server)
        # A server is anybody's program: it may be away, or break off, in any way.
        except Exception as error:  # noqa: BLE001
            log.warning("%s: its server cannot be looked at: %r", self._name, error)
            return []
        return self._differs(now, self._used)

    def _differs(self, now: Sequence[dict[str, Any]], tools: Iterable[str]) -> list[str]:
        today = {str(each["name"]): each for each in now}
        found: list[str] = []
        for tool in tools:
            if tool not in today:
                found.append(f"{tool} is gone")
                continue
            before, after = (contract(each[tool]) for each in (self._tools, today))
            found += [f"{tool}: {line}" for line in differences(before, after)]
        if not found:
            return []
        shown = "".join(f"\n  {one_line(line, 300)}" for line in found[:20])
        return [
            f"{self._name}: its server says otherwise today:{shown}\n"  # noqa: ISC004
            f"  fix: look at it, put it in place of {self._name}, and pin its digest"
        ]

    def _tool(self, tool: str) -> tuple[Schemas, dict[str, Any], dict[str, Any], set[str]]:
        if tool not in self._tools:
            raise ConfigurationError(
                f"{self._name}: it has no tool {tool!r}; it has: {', '.join(self._tools)}"
            )
        self._used[tool] = None
        given = as_object(self._tools[tool].get("inputSchema"))
        schemas = Schemas(given, f"{self._name}, {tool}", self._module)
        return schemas, schemas.document, *schemas.parts(schemas.document)

    def _said(self, tool: str) -> str:
        """What its server says of a tool, which a model that calls it is shown as from outside."""
        return str(self._tools[tool].get("description", ""))[:_LONGEST]

    def refusal(self, tool: str, given: dict[str, Any]) -> Final | None:
        """Why a tool does not take these arguments, by its schema; None if it does."""
        schemas, schema, *_ = self._tool(tool)
        return _untaken(tool, schemas.faults(schema, given))

    async def _call(
        self,
        tool: str,
        given: dict[str, Any],
        *,
        away: type[NotDone | Unanswered],
        failed: type[Final | Unanswered],
    ) -> Any:
        """What a tool answers: as `call_tool`, where it is described as it is pinned."""

        def changed(now: Sequence[dict[str, Any]]) -> Final | None:
            faults = self._differs(now, [tool])
            return ContractChanged("; ".join(faults)) if faults else None

        called = ToolCalled(self.server, self._name, tool, given)
        return await call_tool(called, changed, away=away, failed=failed)


@dataclass(frozen=True)
class ToolCalled:
    """Which tool of which server is called, and with what. `name`: of the server, in words."""

    server: StdioServerParameters | str
    name: str
    tool: str
    given: dict[str, Any]


async def call_tool(
    call: ToolCalled,
    refused: Callable[[Sequence[dict[str, Any]]], Final | None],
    *,
    away: type[NotDone | Unanswered],
    failed: type[Final | Unanswered],
) -> Any:
    """What a tool answers, in one session with its server: its structured content, or its texts.

    `refused`: why it is not called, by what the server lists now. `away`: what is raised where it
    was not called; `failed`: where it says that it failed.

    Raises:
        Final: what `refused` says.
        NotDone: if it was not called, where that is `away`.
        Unanswered: if nobody knows.
    """
    fault, result, sending = cast("Final | None", None), None, False
    # Nothing is raised within: on its way out a session wraps it into groups.
    try:
        async with Client(call.server) as client:
            fault = refused(await _listed(client))
            sending = fault is None
            if sending:
                result = await client.call_tool(call.tool, call.given)
    except Exception as error:
        said = f"{call.tool}: {one_line(repr(error), REASON)}"
        if not sending and fault is None:
            raise away(f"the server of {call.name} does not answer: {said}") from error
        if sending and result is None:
            raise (failed if isinstance(error, MCPError) else Unanswered)(said) from error
    if fault is not None:
        raise fault
    assert result is not None  # noqa: S101  # it was sent, and answered
    texts = [each.text for each in result.content if each.type == "text"]
    if result.is_error:
        raise failed(f"{call.tool}: {one_line(' '.join(texts), REASON)}")
    answer = _answer(result.structured_content, "\n".join(texts))
    if len(json.dumps(answer)) > LARGEST:
        raise failed(f"{call.tool} answers with more than {LARGEST} characters")
    return answer


def _answer(structure: dict[str, Any] | None, said: str) -> Any:
    """A structure; or the one text within it, where that is all that is said.

    What a person points at is that text, whole. `result` stands around every answer of some
    servers, of lists and of numbers too.
    """
    if structure and [*structure] != ["result"] and [*structure.values()] == [said]:
        return said
    return structure or said


async def _listed(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await client.list_tools(cursor=cursor)
        found += [
            {
                "name": each.name,
                "description": each.description or "",
                "inputSchema": each.input_schema,
            }
            for each in page.tools
        ]
        cursor = page.next_cursor
        if cursor is None:
            return found


def contract(tool: dict[str, Any]) -> dict[str, str]:
    """What a tool takes and says of itself, line by line, to be compared."""
    # A model reads what a tool says of itself: its prose is of the contract too.
    schemas = Schemas(as_object(tool.get("inputSchema")), str(tool["name"]), "")
    return schemas.contract(schemas.document) | {"description": str(tool.get("description", ""))}


def takes(schemas: Schemas, path: str) -> bool:
    """Whether a tool takes such an argument, or an object that has `path` within."""
    return schemas.has(schemas.document, path.split("."))


def read_json(answer: Any) -> Any:
    """What a tool answered, where it is one text of JSON."""
    if isinstance(answer, dict):
        parts = as_object(answer)
        return {"result": read_json(parts["result"])} if [*parts] == ["result"] else parts
    try:
        return json.loads(answer) if isinstance(answer, str) else answer
    except ValueError:
        return answer


def trusting(answer: Any, trusted: Sequence[str], reading: Reading | None) -> JsonValue:
    """What a tool answered, its texts as text from outside, but for fields that are `trusted`."""
    return outside_json(
        read_json(answer) if reading is None else as_objects(answer, reading), trusted
    )


def _untaken(tool: str, faults: Sequence[str]) -> Final | None:
    return Final(f"{tool}: {'; '.join(faults)}; nothing was sent") if faults else None


def _require(tool: str, faults: Sequence[str]) -> None:
    fault = _untaken(tool, faults)
    if fault is not None:
        raise fault
