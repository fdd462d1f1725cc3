"""Handrail as an MCP server, by the client of the library, on stdin and stdout and by HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from handrail.runtime import TokenFile
from handrail.testing import Human, Outside, Stage
from handrail.testing.fixtures import RunFleet
from tests.agents.triggered import triggered

pytestmark = pytest.mark.integration

TOOLS = {
    "list_agents",
    "list_cases",
    "show_case",
    "list_questions",
    "explain",
    "start_case",
    "ask_agent",
}
"""All of them: none rules, lifts, stops or changes anything."""

PROGRAM = (sys.executable, "-m", "handrail", "mcp")


def environment(stage: Stage, port: int = 1) -> dict[str, str]:
    home = stage.directory
    own = {k: v for k, v in os.environ.items() if not k.startswith(("HANDRAIL_", "TEMPORAL_"))}
    return own | {
        "TRIGGERED": str(home),
        "HANDRAIL_FLEET": "tests.agents.triggered:fleet",
        "HANDRAIL_HOME": str(home / "home"),
        "HANDRAIL_LEDGER_URL": f"sqlite:///{home}/ledger.db",
        "HANDRAIL_PAYLOAD_DIR": str(home / "payloads"),
        "HANDRAIL_INBOX_PORT": str(port),
        "TEMPORAL_ADDRESS": stage.client.service_client.config.target_host,
        "TEMPORAL_NAMESPACE": stage.client.namespace,
        "PYTHONPATH": str(Path.cwd()),
    }


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """What a tool answers; or the words of its refusal."""
    said = await client.call_tool(tool, arguments)
    if said.is_error:
        return getattr(said.content[0], "text", "")
    assert said.structured_content is not None
    return said.structured_content


@contextlib.asynccontextmanager
async def listening(stage: Stage, port: int) -> AsyncGenerator[str]:
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, "--http", "--json", stdout=asyncio.subprocess.PIPE, env=environment(stage, port)
    )
    assert process.stdout is not None
    yield json.loads(await process.stdout.readline())["url"]
    process.terminate()
    await process.wait()


@contextlib.asynccontextmanager
async def bearing(url: str, token: str) -> AsyncGenerator[Client]:
    headers = {"authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


async def test_another_agent_looks_starts_and_asks_and_never_rules(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(triggered(tmp_path)) as stage:
        given = StdioServerParameters(
            command=PROGRAM[0],
            args=[*PROGRAM[1:], "--by", "bot@example.com"],
            env=environment(stage),
        )
        async with Client(given) as client:
            assert {each.name for each in (await client.list_tools()).tools} == TOOLS
            [orders] = (await call(client, "list_agents"))["agents"]
            assert (orders["agent"], "number" in orders["event"]["properties"]) == ("orders", True)
            for event, wrong in (({"number": "1", "amount": "much"}, "amount"), ({}, "number")):
                assert wrong in await call(client, "start_case", agent="orders", event=event)
            assert "no agent 'none'" in await call(client, "start_case", agent="none", event={})
            small = {"agent": "orders", "event": {"number": "1"}}
            answer = (await call(client, "ask_agent", **small))["untrusted"]
            assert (answer["case"], answer["state"]) == ("orders:1", "done")
            assert (await call(client, "start_case", **small))["duplicate"] is True
            # One that waits for people: what is asked, and why.
            large = {"agent": "orders", "event": {"number": "2", "amount": 300}}
            asked = (await call(client, "ask_agent", **large))["untrusted"]
            assert (asked["state"], asked["outcome"]) == ("waiting", None)
            found = (await call(client, "list_questions", agent="orders"))["untrusted"]
            [gate] = found["gates"]
            assert (gate["case"], len(gate["digest"])) == ("orders:2", 64)
            assert gate["action"]["amount"] == "300"
            why = (await call(client, "explain", case="orders:2"))["untrusted"]["verdicts"]
            assert why[-1]["kind"] == "hold"
            assert "costs more than 200 EUR" in json.dumps(why[-1]["findings"])
            shown = (await call(client, "show_case", case="orders:2"))["untrusted"]
            assert (shown["requester"], shown["state"]) == ("bot@example.com", "waiting")
            waiting = await call(client, "list_cases", agent="orders", state="waiting")
            assert [each["case"] for each in waiting["untrusted"]["cases"]] == ["orders:2"]
            assert "no case" in await call(client, "show_case", case="orders:none")
        case = stage.case("orders:2")
        await Human("ana@example.com").reject(case, await case.gate(), why="no")
    assert len(outside.effects("pay")) == 1


async def test_a_server_that_is_killed_before_it_answers_finds_its_case_again(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    tools = {"start_case": "mcp:started", "ask_agent": "mcp:answered"}
    crashes = [{"boundary": at, "arrival": 1} for at in tools.values()]
    plan = json.dumps({"crashes": crashes, "fired": str(tmp_path)})
    script = str(Path(__file__).with_name("mcp_process.py"))
    said = dict[str, Any]()
    async with run_fleet(triggered(tmp_path)) as stage:
        given = StdioServerParameters(
            command=sys.executable, args=[script, plan], env=environment(stage)
        )
        # Each process dies before it can answer one call; the next one is asked the same again.
        for dies in (*tools, None):
            with contextlib.suppress(MCPError, ExceptionGroup):
                async with asyncio.timeout(60), Client(given) as client:
                    for number, tool in enumerate(tools):
                        if tool not in said:
                            event = {"agent": "orders", "event": {"number": str(number)}}
                            said[tool] = await call(client, tool, **event)
                            assert tool != dies, "it was not killed"
        for number in range(len(tools)):
            outcome = await stage.case(f"orders:{number}").outcome()
            assert len(outcome.receipts) == 1
    started, asked = said["start_case"], said["ask_agent"]["untrusted"]
    assert (started["case"], started["duplicate"]) == ("orders:0", True)
    assert (asked["case"], asked["state"]) == ("orders:1", "done")
    assert len(outside.effects("pay")) == len(tools)


async def test_a_token_may_by_mcp_what_it_is_for(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, unused_tcp_port: int
) -> None:
    del outside
    async with run_fleet(triggered(tmp_path)) as stage, listening(stage, unused_tcp_port) as url:
        file = TokenFile(tmp_path / "home" / "keys" / "tokens.json")
        sends, other = file.new("shop", ("orders",)), file.new("other", ("others",))
        reads = file.new("desk", ("orders",), reads=True)
        async with httpx2.AsyncClient() as http:
            for headers in ({}, {"authorization": "Bearer hr_wrong"}):
                assert (await http.post(url, json={}, headers=headers)).status_code == 401
        event = {"agent": "orders", "event": {"number": "1"}}
        async with bearing(url, other) as client:
            assert await call(client, "list_agents") == {"agents": []}
            assert "may start no agent" in await call(client, "start_case", **event)
        async with bearing(url, sends) as client:
            assert (await call(client, "start_case", **event))["case"] == "orders:1"
            for tool, named in (
                ("list_cases", {"agent": "orders"}),
                ("explain", {"case": "orders:1"}),
            ):
                assert "reads nothing" in await call(client, tool, **named)
        async with bearing(url, reads) as client:
            await stage.case("orders:1").outcome()
            shown = (await call(client, "show_case", case="orders:1"))["untrusted"]
            assert (shown["state"], shown["requester"]) == ("done", "shop")
            assert "may start no agent" in await call(client, "show_case", case="others:1")
        file.revoke("desk")
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {reads}"}) as http:
            assert (await http.post(url, json={})).status_code == 401
