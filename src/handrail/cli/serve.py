"""`handrail serve` and `tokens`: what takes events from other systems."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from handrail.cli.context import load_fleet, logs, settings
from handrail.cli.output import PLAIN, Output, plain
from handrail.cli.processes import settings_with, telling
from handrail.client import Operator
from handrail.exceptions import ConfigurationError, HandrailError
from handrail.runtime import (
    Settings,
    connect,
    inbox_url,
    open_ledger,
    stop_on_signals,
    temporal_runtime,
)

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.runtime import Runtime

    from handrail.integrations.triggers.receiver import Receiver
    from handrail.runtime import Fleet

SERVE_READY = "serve is ready"
"""How the line on stdout begins that says so."""

Part = Literal["events", "hooks", "folders", "inbox"]

_ONE_TRY = timedelta(seconds=3)
_AGAIN = 2.0


async def serve(
    *,
    host: Annotated[str | None, Parameter(help="Listen there; HANDRAIL_INBOX_HOST.")] = None,
    port: Annotated[int | None, Parameter(help="On this port; HANDRAIL_INBOX_PORT.")] = None,
    without: Annotated[
        tuple[Part, ...], Parameter(negative=(), help="Leave a part out. May be repeated.")
    ] = (),
    out: Output = PLAIN,
) -> None:
    """Take events by HTTP, webhook and folder, and run the inbox, until SIGTERM."""
    given = settings_with(host, port)
    lines = logs(given)
    fleet = load_fleet(given.fleet)
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        await _serve(out, given, fleet, frozenset(without), stop)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"this needs {error.name}; fix: install handrail[triggers]"
        ) from error
    finally:
        lines.flush()
    out.row({"ended": True})


class Connection:
    """The client, connected when it is first needed: events are taken while the server is away."""

    def __init__(self, given: Settings, fleet: Fleet, runtime: Runtime | None = None) -> None:
        """`runtime`: shows the metrics of the inbox, if anybody wants them."""
        self.runtime = runtime
        self._given = given
        self._fleet = fleet
        self._client: Client | None = None
        self._one = asyncio.Lock()

    async def __call__(self) -> Client:
        """The client, connected now if it was not yet."""
        async with self._one:
            if self._client is None:
                plugins = [self._fleet.plugin(self._given.payload_dir)]
                self._client = await connect(
                    self._given, plugins=plugins, runtime=self.runtime, patience=_ONE_TRY
                )
            return self._client


async def _serve(
    out: Output, given: Settings, fleet: Fleet, without: frozenset[str], stop: asyncio.Event
) -> None:
    from handrail.inbox.web.server import listen, on, require_sign_in
    from handrail.integrations.triggers.api import OURS, TriggerApi
    from handrail.integrations.triggers.receiver import Receiver
    from handrail.runtime import TokenFile

    port = None if "inbox" in without else given.inbox_metrics_port
    own = None if port is None else temporal_runtime(port, "HANDRAIL_INBOX_METRICS_PORT")
    connection = Connection(given, fleet, own)
    async with open_ledger(given) as ledger:
        receiver = Receiver(fleet, ledger, connection)
        api = TriggerApi(receiver, TokenFile(given.tokens), given.ui_url)
        faults = (
            [] if "hooks" in without else [f for _, h in api.hooks.values() for f in h.faults()]
        )
        if faults:
            raise ConfigurationError("\n".join(faults))
        if "inbox" not in without:
            # Now, not when the server is there: hooks and events would end with it then.
            require_sign_in(given)
        elif unheard := _takes_mail(fleet):
            out.say(
                f"no mail is taken for {unheard}: the inbox does that, and is left out", "yellow"
            )
        ours = api.app(events="events" not in without, hooks="hooks" not in without)
        pages: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            own = OURS.fullmatch(scope["path"]) is not None
            await (ours if own or not pages else pages[0])(scope, receive, send)

        async with contextlib.AsyncExitStack() as stack:
            work = [receiver.resend()]
            if "folders" not in without:
                work += _watches(receiver)
            for each in work:
                stack.push_async_callback(_ended, asyncio.ensure_future(_kept_up(each, stop)))
            listener = listen(given.inbox_host, given.inbox_port)
            await stack.enter_async_context(on(app, listener))
            url = inbox_url(given)
            out.row({"ready": True, "url": url})
            if not out.json:
                with contextlib.suppress(OSError):
                    os.write(1, f"{SERVE_READY} at {url}\n".encode())
            if "inbox" not in without:
                inbox = _kept_up(_inbox(given, connection, receiver, pages, stop), stop)
                stack.push_async_callback(_ended, asyncio.ensure_future(inbox))
            await stop.wait()


def _takes_mail(fleet: Fleet) -> str:
    """The agents that are started by mail."""
    from handrail.integrations.triggers import Mail

    agents = fleet.agents.values()
    return ", ".join(
        a.name for a in agents if any(isinstance(each, Mail) for each in a.triggers.values())
    )


def _watches(receiver: Receiver) -> list[Any]:
    from handrail.integrations.triggers import Folder
    from handrail.integrations.triggers.folder import watch

    found = [
        (agent, each)
        for agent in receiver.fleet.agents.values()
        for each in agent.triggers.values()
        if isinstance(each, Folder)
    ]
    if found:
        importlib.import_module("watchfiles")  # where it lacks, that is said before it is ready
    return [watch(receiver, agent, each) for agent, each in found]


async def _inbox(
    given: Settings,
    connection: Connection,
    receiver: Receiver,
    pages: list[Any],
    stop: asyncio.Event,
) -> None:
    """The pages, as soon as there is a server: events are taken before."""
    from handrail.inbox.web import gauges, server
    from handrail.inbox.web.app import build
    from handrail.integrations.triggers.mail import MailReceiver

    client = None
    while client is None:
        try:
            client = await connection()
        except HandrailError:
            await asyncio.sleep(_AGAIN)
    agents, own = receiver.fleet.agents, connection.runtime
    async with (
        server.opened(given, client, receiver.ledger, agents) as site,
        telling(site, MailReceiver(receiver)),
        gauges.measured(Operator(client, receiver.ledger, agents=agents), own and own.metric_meter),
    ):
        pages.append(build(site, server.signed(site)))
        await stop.wait()
        pages.clear()


async def _kept_up(work: Any, stop: asyncio.Event) -> None:
    """Do it until the end; what ends by a fault ends everything."""
    try:
        await work
    finally:
        stop.set()


async def _ended(task: asyncio.Future[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


# Tokens


async def new(
    name: Annotated[str, Parameter(help="Whose it is: that is who asks for what they send.")],
    *,
    agent: Annotated[
        tuple[str, ...], Parameter(negative=(), help="For this agent only. May be repeated.")
    ] = (),
    reads: Annotated[
        bool, Parameter(negative=(), help="It also reads cases and questions, by MCP and the API.")
    ] = False,
    person: Annotated[
        str, Parameter(help="Whose it is: by the API they read and rule as themselves.")
    ] = "",
    out: Output = PLAIN,
) -> None:
    """Make a token by which a program sends events. It is printed this once."""
    made = _file().new(name, agent, reads=reads, whose=person)
    said = {"name": name, "agents": list(agent) or ["*"], "reads": reads, "person": person}
    out.data(said | {"token": made})
    out.show(made)
    out.say("send it as `Authorization: Bearer ...`; only its digest is kept", "yellow")


async def listing(*, out: Output = PLAIN) -> None:
    """List the names of the tokens, and the agents they are for."""
    found = _file().tokens()
    out.data(
        {
            "tokens": [
                {
                    "name": each.name,
                    "agents": list(each.agents),
                    "reads": each.reads,
                    "person": each.person,
                }
                for each in found
            ]
        }
    )
    for each in found:
        reads = f"  of {plain(each.person)}" if each.person else "  reads" if each.reads else ""
        out.show(f"{plain(each.name)}  {plain(', '.join(each.agents))}{reads}")
    if not found:
        out.show("no tokens")


async def revoke(name: str, *, out: Output = PLAIN) -> None:
    """Refuse a token from now on."""
    _file().revoke(name)
    out.data({"revoked": name})
    out.show(f"revoked the token of {plain(name)}")


def _file() -> Any:
    from handrail.runtime import TokenFile  # seldom needed

    return TokenFile(settings().tokens)
