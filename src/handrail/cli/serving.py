"""`handrail inbox serve`: the page where people rule, and what tells them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from handrail.cli.context import logs, plugin, settings
from handrail.cli.output import Code, Output, UsageError
from handrail.exceptions import ConfigurationError
from handrail.runtime import INBOX_READY, Settings, connect, open_ledger, stop_on_signals
from handrail.text import first_fault

if TYPE_CHECKING:
    from handrail.inbox.web.site import Site

PATIENCE = timedelta(seconds=60)
"""How long it looks for its server before it gives up."""


async def serve(out: Output, *, host: str | None, port: int | None) -> int:
    """Serve until told to end.

    Raises:
        ConfigurationError: if the settings, or what is installed, do not let it run.
    """
    given = _settings(host, port)
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
    return Code.DONE


def _settings(host: str | None, port: int | None) -> Settings:
    """The settings, with what was said on the command line instead.

    Raises:
        UsageError: if that cannot be.
    """
    given = settings()
    said = {"inbox_host": host, "inbox_port": port}
    changed = {name: value for name, value in said.items() if value is not None}
    try:
        return Settings.model_validate({**dict(given), **changed})
    except ValidationError as error:
        raise UsageError(first_fault(error)) from error


async def _serve(out: Output, given: Settings, stop: asyncio.Event) -> None:
    from handrail.inbox.web import server  # noqa: PLC0415  # an extra

    client = await connect(given, plugins=[plugin(given.payload_dir)], patience=PATIENCE)
    async with (
        open_ledger(given) as ledger,
        server.opened(given, client, ledger) as site,
        telling(site),
    ):
        listener = server.listen(given.inbox_host, given.inbox_port)
        async with server.serving(site, listener, server.signed(site)):
            out.row({"ready": True, "url": site.base})
            if not out.json:
                # Whoever started it may be gone, or not read: that is no reason to end.
                with contextlib.suppress(OSError):
                    os.write(1, f"{INBOX_READY} at {site.base}\n".encode())
            await stop.wait()


def telling(site: Site) -> contextlib.AbstractAsyncContextManager[None]:
    """What tells people that something waits for them, and hears mail that comes back."""
    from handrail.inbox.channels.worker import running  # noqa: PLC0415

    return running(
        site.client,
        site.settings,
        links=site.links,
        secret=site.seals.secret,
        owners=site.known.owner,
        ledger=site.ledger,
    )
