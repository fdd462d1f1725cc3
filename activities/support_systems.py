"""The systems that the support agent talks to: the shop, the desk's Roundup, the mail server."""

from __future__ import annotations

import os
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from typing import Any
from urllib.parse import quote

import aiosmtplib
import httpx2

from handrail import Final, secret

SHOP_URL = "http://127.0.0.1:8510"
DESK_URL = "http://127.0.0.1:8511"
MAIL_SERVER = "127.0.0.1:8512"
PATIENCE = timedelta(seconds=5)
"""How long any system may take to answer once."""


def shop_url() -> str:
    """Where the shop is."""
    return os.environ.get("SUPPORT_SHOP_URL") or SHOP_URL


def shop() -> httpx2.AsyncClient:
    """The one client of the shop."""
    return _client(shop_url(), None)


_open: dict[tuple[str, str | None], httpx2.AsyncClient] = {}


def _client(url: str, password: str | None) -> httpx2.AsyncClient:
    found = _open.get((url, password))
    if found is None:
        auth = ("agent", password) if password else None
        found = httpx2.AsyncClient(base_url=url, auth=auth, timeout=PATIENCE.total_seconds())
        _open[url, password] = found
    return found


def desk() -> httpx2.AsyncClient:
    """The one client of the desk, signed in as the agent."""
    password = secret("DESK_PASSWORD").get_secret_value()
    return _client(desk_url(), password)


def write_headers() -> dict[str, str]:
    """What Roundup wants to see of whoever writes."""
    return {"X-Requested-With": "rest", "Origin": desk_url()}


def desk_url() -> str:
    """Where the desk's Roundup is."""
    return os.environ.get("SUPPORT_DESK_URL") or DESK_URL


async def send(to: str, subject: str, text: str, key: str) -> None:
    """Send a mail; the same key gives the same Message-ID.

    Raises:
        Final: if the mail server refuses it for good.
        aiosmtplib.SMTPException: if it cannot take it now.
    """
    mail = EmailMessage(policy=SMTP.clone(max_line_length=998))
    mail["From"], mail["To"], mail["Subject"] = "Support <support@example.com>", to, subject
    mail["Date"], mail["Auto-Submitted"] = localtime(), "auto-replied"
    mail["Message-ID"] = f"<{quote(key, safe='')}@support.example.com>"
    mail.set_content(f"{text}\n\nYour support desk\n")
    host, _, port = (os.environ.get("SUPPORT_SMTP") or MAIL_SERVER).rpartition(":")
    try:
        await aiosmtplib.send(mail, hostname=host, port=int(port), timeout=PATIENCE.total_seconds())
    except aiosmtplib.SMTPResponseException as error:
        if error.code >= 500:  # noqa: PLR2004 - RFC 5321: for good
            raise Final(f"the mail server refuses it: {error}") from error
        raise


async def disconnect() -> None:
    """Close the connections; the next step opens new ones."""
    while _open:
        await _open.popitem()[1].aclose()


async def get_shop(path: str, **params: str) -> Any:
    """Read from the shop."""
    return content(await shop().get(path, params=params))


def content(response: httpx2.Response) -> Any:
    """What a system answered.

    Raises:
        Final: if it declines; it did nothing then.
        httpx2.HTTPStatusError: if it cannot answer now; a write may or may not have happened.
    """
    if response.is_client_error and response.status_code not in {408, 425, 429}:
        raise Final(f"{response.url.path}: {response.status_code} {response.text[:200]}")
    response.raise_for_status()
    return response.json() if response.content else None
