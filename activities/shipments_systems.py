"""The systems of the shipments agent: the carrier's booking service, and a mail server."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from typing import Any
from urllib.parse import quote, urlsplit

import aiosmtplib
import httpx2

from activities.shipments_facts import Booking, Consignment, moment
from handrail import ConfigurationError, Final

BOOKINGS_URL = "http://127.0.0.1:8470"
"""Where the booking service is when `SHIPMENTS_BOOKINGS_URL` does not say."""

MAIL_SERVER = "127.0.0.1:8025"
"""Where the mail server is when `SHIPMENTS_SMTP` does not say."""

SENDER = "Freight desk <freight@example.com>"

PATIENCE = timedelta(seconds=5)
"""How long either system may take to answer once."""


def bookings_url() -> str:
    """Where the booking service is."""
    return os.environ.get("SHIPMENTS_BOOKINGS_URL") or BOOKINGS_URL


def mail_server() -> tuple[str, int]:
    """Host and port of the mail server.

    Raises:
        ConfigurationError: if `SHIPMENTS_SMTP` is not `host:port`.
    """
    given = os.environ.get("SHIPMENTS_SMTP") or MAIL_SERVER
    try:
        parts = urlsplit(f"//{given}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise ConfigurationError(f"SHIPMENTS_SMTP is {given!r}; write it like {MAIL_SERVER}")
    return host, port


@functools.cache
def service() -> httpx2.AsyncClient:
    """The one client of this process."""
    return httpx2.AsyncClient(base_url=bookings_url(), timeout=PATIENCE.total_seconds())


async def disconnect() -> None:
    """Close the connections to the booking service; the next step opens new ones."""
    if service.cache_info().currsize:
        await service().aclose()
        service.cache_clear()


async def get(path: str, **params: str) -> Any:
    """Ask the booking service."""
    return content(await service().get(path, params=params))


_NOT_NOW = frozenset({408, 425, 429})


def content(response: httpx2.Response) -> Any:
    """What the service answered.

    Raises:
        Final: if it declines, with its own words. It did nothing then.
        httpx2.HTTPStatusError: if it cannot answer now; a write may or may not have happened.
    """
    if response.is_client_error and response.status_code not in _NOT_NOW:
        raise Final(_detail(response))
    response.raise_for_status()
    return response.json()


def _detail(response: httpx2.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, LookupError, TypeError):
        return f"the booking service answered {response.status_code} {response.reason_phrase}"


def compose(known: Consignment, booking: Booking | None, key: str) -> EmailMessage:
    """The mail to a customer. The same key gives the same Message-ID.

    Raises:
        ValueError: if the address or a name cannot stand in a header.
    """
    # Message-IDs are long, and a folded one is another one to some mail servers.
    mail = EmailMessage(policy=SMTP.clone(max_line_length=998))
    mail["From"] = SENDER
    mail["To"] = known.email
    mail["Subject"] = f"{known.id}: {'moved to another flight' if booking else 'delayed'}"
    mail["Date"] = localtime()
    # Made of the key: a mail that was sent twice is known by it as one.
    mail["Message-ID"] = f"<{quote(key, safe='')}@freight.example.com>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_letter(known, booking))
    return mail


def _letter(known: Consignment, booking: Booking | None) -> str:
    promised = moment(known.promised)
    if booking is not None:
        news = (
            f"The flight of your consignment {known.id} was late or cancelled. We have moved it\n"
            f"to flight {booking.flight} (booking {booking.id}), at no cost to you.\n"
        )
    else:
        news = (
            f"Your consignment {known.id} on flight {known.current_flight} is late, and we have\n"
            "found no other flight for it. We are sorry.\n"
        )
    estimate = known.estimated_arrival
    expected = "is not known yet" if estimate is None else f"is {moment(estimate)}"
    return (
        f"Dear {known.customer},\n\n{news}\n"
        f"Its expected arrival {expected}. We had promised {promised}.\n\n"
        "Your freight desk\n"
    )


def for_good(error: aiosmtplib.SMTPException) -> bool:
    """Whether the mail server says no for ever (5xx), and not just for now."""
    refused = isinstance(error, aiosmtplib.SMTPRecipientsRefused)
    said: Sequence[Exception] = error.recipients if refused else [error]
    return all(isinstance(e, aiosmtplib.SMTPResponseException) and e.code >= 500 for e in said)  # noqa: PLR2004  # RFC 5321
