"""Other channels, one way: a line of words and the link to the inbox, sent by apprise."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import apprise

from handrail.inbox.channels.content import note
from handrail.inbox.channels.faults import NotNow, Undeliverable

if TYPE_CHECKING:
    from handrail.inbox.channels.wire import Telling

TIMEOUT: Final = 20.0
"""Seconds for one message."""


async def tell(telling: Telling, url: str, page: str) -> None:
    """Send one message to the channel that `url` describes. It holds no link that lets in.

    Raises:
        Undeliverable: if apprise knows no such channel.
        NotNow: if it was not sent. Apprise does not say why.
    """
    said = note(telling)
    await send(url, said.subject, "\n".join([*said.opening, page, *said.closing]))


async def send(url: str, title: str, body: str) -> None:
    """Send words to the channel that `url` describes.

    Raises:
        Undeliverable: if apprise knows no such channel.
        NotNow: if it was not sent. Apprise does not say why.
    """
    # Untyped, as the library's own signatures are.
    channel: Any = apprise.Apprise()
    with warnings.catch_warnings():
        # It loads what it needs now, and on Python 3.11 that is imghdr.
        warnings.simplefilter("ignore", DeprecationWarning)
        known = channel.add(url)
    if not known:
        raise Undeliverable("apprise knows no such channel; see `also` in the people file")
    sent = await channel.async_notify(
        body=body, title=title, body_format=apprise.NotifyFormat.TEXT, timeout=TIMEOUT
    )
    if not sent:
        raise NotNow("the channel did not take it; its address is in the people file")
