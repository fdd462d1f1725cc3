"""What the inbox's activities share: channels beside mail and Slack, and what a failure means."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final

import apprise
from temporalio.exceptions import ApplicationError

from handrail.inbox.channels.delivery import NotNow, Undeliverable
from handrail.inbox.channels.people import ALSO

if TYPE_CHECKING:
    from handrail.inbox.channels.people import Person

TIMEOUT: Final = 20.0
"""Seconds for one message by apprise."""


@contextlib.asynccontextmanager
async def failed() -> AsyncGenerator[None]:
    """Say to Temporal whether, and when, to try again what is done in this context.

    Raises:
        ApplicationError: for what could not be delivered.
    """
    try:
        yield
    except Undeliverable as error:
        raise ApplicationError(str(error), type="Undeliverable", non_retryable=True) from error
    except NotNow as error:
        raise ApplicationError(str(error), type="NotNow", next_retry_delay=error.after) from error


async def send(url: str, title: str, body: str) -> None:
    """Send words to the channel that `url` describes, by apprise.

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


def also(someone: Person, address: str, channel: str) -> str:
    """The address of one of a person's further channels."""
    number = channel.removeprefix(ALSO).strip()
    if not number.isdecimal() or not 0 < int(number) <= len(someone.also):
        raise Undeliverable(f"{address} has no channel {channel} in the people file")
    return someone.also[int(number) - 1]
