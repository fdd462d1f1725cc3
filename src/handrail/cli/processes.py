"""`handrail worker`, `handrail dev` and `handrail demo`."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from handrail.cli import words
from handrail.cli.context import load, load_fleet, logs, settings
from handrail.cli.output import Code, Output
from handrail.exceptions import ConfigurationError
from handrail.runtime import READY, ChildFailed, Settings, inbox_url, running_locally

if TYPE_CHECKING:
    from handrail.runtime import Fleet

DEMO = "workers.demo:demo"
"""The demonstration of a project: `async (out, *, once) -> exit code`."""


async def demo(out: Output, *, once: bool) -> int:
    """Run the demonstration of the project in this directory, which is its own program.

    Raises:
        ConfigurationError: if there is none, or if it cannot be called.
    """
    found: Any = load(DEMO, "HANDRAIL_HOME")
    if not inspect.iscoroutinefunction(found):
        raise ConfigurationError(
            f"{DEMO} is {type(found).__name__}, and must be `async def demo(out, *, once) -> int`"
        )
    return int(await found(out, once=once))


async def worker(out: Output, *, anyway: bool) -> int:
    """Run the agents until told to end."""
    from handrail.runtime import serve_fleet, stop_on_signals  # noqa: PLC0415  # imports everything

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
    finally:
        lines.flush()
    out.row({"ended": True})
    return Code.DONE


async def dev(out: Output) -> int:
    """Run the server, the worker and the inbox until told to end."""
    from handrail.runtime import stop_on_signals  # noqa: PLC0415

    given = settings()
    fleet = load_fleet(given.fleet)  # says what is wrong with it before anything runs
    warn_of_address(out)
    lines = logs(given)
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        async with running_locally(given, policies=policies_of(fleet)) as site:
            out.row(urls(given, site.server.namespace, site.server.address))
            say_urls(out, given, site.server.namespace)
            out.show("Ctrl-C ends it; nothing is lost.")
            await stop.wait()
            out.say("ending: the worker finishes what it began (Ctrl-C again: at once)")
    except ChildFailed as error:
        return out.failed(str(error), "child", Code.FAILED)
    finally:
        lines.flush()
    return Code.DONE


def policies_of(fleet: Fleet) -> list[Path]:
    """Where the policies of its agents are."""
    return [agent.policy for agent in fleet.agents.values()]


def warn_of_address(out: Output) -> None:
    """Say so when other commands would look at another server than the one that runs here."""
    address = os.environ.get("TEMPORAL_ADDRESS")
    if address:
        out.say(
            f"TEMPORAL_ADDRESS is set ({words.plain(address)}): other commands of this shell talk "
            "to that server, not to the one that runs here",
            "yellow",
        )


def urls(given: Settings, namespace: str, address: str) -> dict[str, str]:
    """Where everything is, for programs."""
    return {
        "inbox": inbox_url(given),
        "temporal": address,
        "ui": words.list_url(given, namespace),
        "waiting": words.list_url(given, namespace, words.WAITS),
    }


def url_lines(given: Settings, namespace: str) -> list[Text]:
    """Where everything is, for people."""
    found = urls(given, namespace, "")
    inbox = [words.label("inbox", found["inbox"])] if found["inbox"] else []
    rest = [words.label("all cases", found["ui"]), words.label("waiting", found["waiting"])]
    return [*inbox, *rest]


def say_urls(out: Output, given: Settings, namespace: str) -> None:
    """Say where everything is."""
    out.show(*url_lines(given, namespace))
