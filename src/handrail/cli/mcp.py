"""`handrail mcp`: what other agents may look at, start and ask, by the Model Context Protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from handrail.cli.context import SomeBody, load_fleet, logs, settings
from handrail.cli.output import PLAIN, Output
from handrail.cli.processes import settings_with
from handrail.cli.serve import Connection
from handrail.client import Operator
from handrail.exceptions import InvalidRequest, NotPermitted
from handrail.runtime import Settings, inbox_url, open_ledger, stop_on_signals

if TYPE_CHECKING:
    from handrail.ledger import Ledger
    from handrail.runtime import Fleet

MCP_READY = "mcp is ready"
"""How the line on stderr begins that says so, where it listens."""

_PATH = "/mcp"


async def mcp(
    *,
    by: SomeBody = None,
    agent: Annotated[
        tuple[str, ...], Parameter(negative=(), help="This agent only. May be repeated.")
    ] = (),
    http: Annotated[
        bool, Parameter(negative=(), help="Listen, and take those who send a token.")
    ] = False,
    host: Annotated[str | None, Parameter(help="With --http: listen there.")] = None,
    port: Annotated[int | None, Parameter(help="With --http: on this port.")] = None,
    out: Output = PLAIN,
) -> None:
    """Let other agents look, start and ask by MCP: on stdin and stdout, or by HTTP."""
    if http == (by is not None):
        raise InvalidRequest("give either --by (who asks, on stdin and stdout), or --http", "by")
    if http and agent:
        raise InvalidRequest("with --http a token says which agents it is for", "agent")
    given = settings_with(host, port) if http else settings()
    lines, fleet = logs(given), load_fleet(given.fleet)
    try:
        async with open_ledger(given) as ledger:
            if http:
                await _listen(out, given, fleet, ledger)
            else:
                await _stdio(given, fleet, ledger, by or "", agent)
    finally:
        lines.flush()


def _operators(given: Settings, fleet: Fleet, ledger: Ledger) -> Callable[[str], Operator]:
    connection = Connection(given, fleet)

    def operator(name: str) -> Operator:
        return Operator(connection, ledger, by=name, agents=fleet.agents, ui_url=given.ui_url)

    return operator


async def _stdio(
    given: Settings, fleet: Fleet, ledger: Ledger, by: str, agents: tuple[str, ...]
) -> None:
    from handrail.integrations.mcp_server import local_caller, mcp_server

    caller = local_caller(by, agents)
    server = mcp_server(fleet.agents, _operators(given, fleet, ledger), caller)
    await server.run_stdio_async()


async def _listen(out: Output, given: Settings, fleet: Fleet, ledger: Ledger) -> None:
    from handrail.inbox.web.server import listen, on
    from handrail.integrations.mcp_server import by_token, mcp_server
    from handrail.runtime import TokenFile

    stop = asyncio.Event()
    stop_on_signals(stop)
    caller = by_token(TokenFile(given.tokens))
    server = mcp_server(fleet.agents, _operators(given, fleet, ledger), caller)
    inner = server.streamable_http_app(
        streamable_http_path=_PATH, stateless_http=True, json_response=True, host=given.inbox_host
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            caller(_headers(scope))
        except NotPermitted:
            head = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 401, "headers": head})
            await send({"type": "http.response.body", "body": b""})
            return
        await inner(scope, receive, send)

    listener = listen(given.inbox_host, given.inbox_port)
    async with server.session_manager.run(), on(app, listener):
        url = f"{inbox_url(given)}{_PATH}"
        out.row({"ready": True, "url": url})
        out.say(f"{MCP_READY} at {url}")
        await stop.wait()


def _headers(scope: Any) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
