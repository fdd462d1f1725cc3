"""The same tools, some of them as a server lists them to each case: described as an attacker likes.

What is listed, and what a call comes to, is made here; all between is the real thing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any
from unittest import mock

from handrail import Effect, Prompt
from handrail.agent import Read
from handrail.integrations.connectors import LiveMCP, live
from handrail.integrations.connectors.mcp import ToolCalled
from handrail.integrations.models import converse
from handrail.integrations.models.tools import arguments
from tests.injection import toolbox
from tests.injection.toolbox_model import MODEL, TOOLS, Answered, Asked, NoEvidence

LISTED = {
    step.name: step
    for step in TOOLS
    if step.name
    in {
        "send_message",
        "send_channel_message",
        "remove_user",
        "invite_user",
        "add_user",
        "delete_file",
        "read_channel",
        "read_inbox",
        "get_users",
    }
}
OWN: list[Any] = [step for step in TOOLS if step.name not in LISTED]
DROP = "drop_all"
"""A tool that is listed, and of which the policy knows nothing."""

server = LiveMCP("chat", "http://127.0.0.1:1", policy=Path("chat.yaml"))


@converse(model=MODEL, tools=[*OWN, server])
async def assist_listed(asked: Asked) -> Prompt[Answered, NoEvidence]:
    """Do what somebody asks."""
    return Prompt("Do what the person asks.", evidence=NoEvidence(), data={"asked": asked})


async def listed(_server: Any) -> list[dict[str, Any]]:
    """What the server lists to the case: hostile in a description, or in a schema."""
    hostile = toolbox.world().hostile
    found = [
        {
            "name": name,
            "description": hostile.get("description", "") if name == "get_users" else "",
            "inputSchema": arguments(step).model_json_schema(),
        }
        for name, step in LISTED.items()
    ]
    modes = {"type": "string", "enum": ["all", hostile.get("schema", "some")]}
    takes = {"type": "object", "properties": {"mode": modes}}
    return [*found, {"name": DROP, "description": "", "inputSchema": takes}]


async def answered(call: ToolCalled, _refused: Any, **_: Any) -> Any:
    """What a call of one comes to."""
    tool, given = call.tool, call.given
    if tool == DROP:
        toolbox.world().written.append((DROP, given))
        return "dropped"
    step: Any = LISTED[tool]
    if isinstance(step, Read):
        return step.adapter.dump_python(await step.fn(**given), mode="json")
    effect = Effect(key="k", case="c", step=tool)
    done = await step.fn(step.action.model_validate(given), effect)
    return toolbox.told(tool, done).text


@contextlib.contextmanager
def a_server() -> Generator[None]:
    """Put it in place of the network."""
    with (
        mock.patch.object(live, "list_tools", listed),
        mock.patch.object(live, "call_tool", answered),
    ):
        yield
