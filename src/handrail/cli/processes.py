"""`handrail worker`, `demo` and `inbox serve`: what runs until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter
from pydantic import ValidationError
from rich.text import Text

from handrail.cli.context import load, load_fleet, logs, settings
from handrail.cli.output import PLAIN, WAITS, Output, label, list_url, plain
from handrail.client import Operator
from handrail.exceptions import ConfigurationError, InvalidRequest
from handrail.runtime import (
    INBOX_READY,
    READY,
    UNFIT,
    Settings,
    System,
    UnreplayableCases,
    connect,
    converter,
    inbox_url,
    open_ledger,
    serve_fleet,
    stop_on_signals,
    temporal_runtime,
)
from handrail.text import first_fault

if TYPE_CHECKING:
    from handrail.inbox.channels.bounces import MailTaker
    from handrail.inbox.web.site import Site
    from handrail.runtime import Fleet

ANYWAY = "_HANDRAIL_ANYWAY"
"""By which `dev --anyway` tells its worker. No setting: nobody else is to say it."""

_INBOX_PATIENCE = timedelta(seconds=60)
"""How long the inbox looks for its server before it gives up."""

DEMO = "workers.demo:demo"
"""The demonstration of a project: `async (out, *, once) -> exit code`."""

DEMOS = "workers.demos.{}:demo"
"""The demonstration of one of its agents, or of several at once."""


async def demo(
    name: Annotated[str | None, Parameter(help="Which one: a module of workers/demos.")] = None,
    *,
    once: Annotated[
        bool, Parameter(negative=(), help="End when nothing moves any more (4: cases wait).")
    ] = False,
    out: Output = PLAIN,
) -> int:
    """Run everything on this machine, and the project's demonstration with it.

    Raises:
        ConfigurationError: if the project has no such demonstration.
    """
    where = DEMO if name is None else DEMOS.format(name.replace("-", "_"))
    load_fleet(settings().fleet)  # what a project lacks at first
    file = Path(*where.partition(":")[0].split(".")).with_suffix(".py")
    if not any((Path(folder) / file).exists() for folder in sys.path):
        raise ConfigurationError(
            f"this project has no demonstration ({file}); fix: `handrail dev` runs the project; a "
            "demonstration is `async def demo(out, *, once) -> int` in that file"
        )
    found: Any = load(where)
    if not inspect.iscoroutinefunction(found):
        raise ConfigurationError(
            f"{where} is {type(found).__name__}, and must be `async def demo(out, *, once) -> int`"
        )
    return int(await found(out, once=once))


async def worker(
    *,
    anyway: Annotated[
        bool,
        Parameter(
            negative=(),
            env_var=ANYWAY,
            help="Start although open cases do not replay with this code.",
        ),
    ] = False,
    out: Output = PLAIN,
) -> None:
    """Run the agents until SIGTERM; then finish the steps that were begun."""
    given = settings()
    lines = logs(given)
    fleet = load_fleet(given.fleet)
    stop = asyncio.Event()
    stop_on_signals(stop)

    def ready() -> None:
        # Whoever started it may be gone, or not read: that is no reason to end.
        with contextlib.suppress(OSError):
            out.row({"ready": True, "agents": list(fleet.agents)})
            if not out.json:
                os.write(1, f"{READY}: {', '.join(fleet.agents)}\n".encode())

    try:
        await serve_fleet(given, fleet, stop=stop, ready=ready, anyway=anyway)
    except UnreplayableCases as error:
        with contextlib.suppress(OSError):
            if not out.json:
                os.write(1, f"{UNFIT}: {error.in_a_line}\n".encode())
        raise
    finally:
        lines.flush()
    out.row({"ended": True})


def systems_of(fleet: str) -> Sequence[System]:
    """The outside systems that stand beside the fleet in its module, as `systems`.

    Raises:
        ConfigurationError: if they are anything else.
    """
    module, _, _ = fleet.partition(":")
    found: Any = getattr(sys.modules.get(module), "systems", ())
    if not isinstance(found, list | tuple) or not all(
        isinstance(each, System) for each in cast("Sequence[Any]", found)
    ):
        raise ConfigurationError(
            f"{module}: `systems` must be a list of handrail.System; fix: "
            'systems = [System("shop", ("{python}", "-m", "world.shop"), ready="shop is open")]'
        )
    return cast("Sequence[System]", found)


def policies_of(fleet: Fleet) -> list[Path]:
    """Where the policies of its agents are."""
    return [agent.policy for agent in fleet.agents.values()]


def warn_of_address(out: Output) -> None:
    """Say so when other commands would look at another server than the one that runs here."""
    address = os.environ.get("TEMPORAL_ADDRESS")
    if address:
        out.say(
            f"TEMPORAL_ADDRESS is set ({plain(address)}): other commands of this shell talk "
            "to that server, not to the one that runs here",
            "yellow",
        )


def urls(given: Settings, namespace: str, address: str) -> dict[str, str]:
    """Where everything is, for programs."""
    return {
        "inbox": inbox_url(given),
        "temporal": address,
        "ui": list_url(given, namespace),
        "waiting": list_url(given, namespace, WAITS),
    }


def url_lines(given: Settings, namespace: str) -> list[Text]:
    """Where everything is, for people."""
    found = urls(given, namespace, "")
    inbox = [label("inbox", found["inbox"])] if found["inbox"] else []
    rest = [label("all cases", found["ui"]), label("waiting", found["waiting"])]
    return [*inbox, *rest]


# The inbox


async def serve(
    *,
    host: Annotated[str | None, Parameter(help="Listen there; HANDRAIL_INBOX_HOST.")] = None,
    port: Annotated[int | None, Parameter(help="On this port; HANDRAIL_INBOX_PORT.")] = None,
    out: Output = PLAIN,
) -> None:
    """Run the page where people rule, and tell them by message, until SIGTERM."""
    given = settings_with(host, port)
    lines = logs(given)
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        await _serve(out, given, stop)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the inbox needs {error.name}; fix: install handrail[inbox]"
        ) from error
    finally:
        lines.flush()
    out.row({"ended": True})


def settings_with(host: str | None, port: int | None) -> Settings:
    """The settings, with what was said on the command line instead.

    Raises:
        InvalidRequest: if that cannot be.
    """
    given = settings()
    said = {"inbox_host": host, "inbox_port": port}
    changed = {name: value for name, value in said.items() if value is not None}
    try:
        return Settings.model_validate({**dict(given), **changed})
    except ValidationError as error:
        raise InvalidRequest(first_fault(error)) from error


async def _serve(out: Output, given: Settings, stop: asyncio.Event) -> None:
    from handrail.inbox.web import gauges, server

    port = given.inbox_metrics_port
    own = None if port is None else temporal_runtime(port, "HANDRAIL_INBOX_METRICS_PORT")
    reads = converter(given.payload_dir)
    client = await connect(given, data_converter=reads, runtime=own, patience=_INBOX_PATIENCE)
    async with (
        open_ledger(given) as ledger,
        server.opened(given, client, ledger) as site,
        telling(site),
        gauges.measured(Operator(client, ledger), None if own is None else own.metric_meter),
    ):
        listener = server.listen(given.inbox_host, given.inbox_port)
        async with server.serving(site, listener, server.signed(site)):
            out.row({"ready": True, "url": site.base})
            if not out.json:
                # Whoever started it may be gone, or not read: that is no reason to end.
                with contextlib.suppress(OSError):
                    os.write(1, f"{INBOX_READY} at {site.base}\n".encode())
            await stop.wait()


def telling(
    site: Site, mail: MailTaker | None = None
) -> contextlib.AbstractAsyncContextManager[None]:
    """What tells people that something waits for them, and hears mail that comes back.

    `mail`: takes mail to agents.
    """
    from handrail.inbox.channels.worker import running

    return running(
        site.client,
        site.settings,
        links=site.links,
        secret=site.seals.secret,
        owners=site.directory.owner,
        ledger=site.ledger,
        mail=mail,
    )
