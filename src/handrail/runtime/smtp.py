"""A mail server by its URL, and the addresses that it takes."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from email.headerregistry import Address
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from handrail.exceptions import ConfigurationError

if TYPE_CHECKING:
    from aiosmtplib import SMTP

TIMEOUT: Final = 20.0
"""Seconds for each exchange with the mail server."""

_SPECIAL = frozenset('"(),:;<>@[\\]')
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_UPGRADES = {"smtp+starttls": True, "smtps": False}
_HERE = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class SmtpServer:
    """A mail server.

    `tls`: it speaks TLS from the start. `upgrade`: TLS must be begun, before anything else;
    None where it is begun if it is offered.
    """

    host: str
    port: int
    tls: bool = False
    upgrade: bool | None = None
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str, name: str) -> SmtpServer:
        """Read `smtp://user:password@host:587`. `name`: where it is set, for errors.

        Raises:
            ConfigurationError: if it is no such URL. The URL is not said: it holds a password.
        """
        fix = "write it like smtp://user:password@mail.example.com:587, or smtps://"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(f"{name} is no URL; {fix}") from error
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/"):
            raise ConfigurationError(f"{name} names no mail server; {fix}")
        return cls(
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            tls=parts.scheme == "smtps",
            upgrade=_UPGRADES.get(parts.scheme),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncGenerator[SMTP]:
        """A connection, logged in. It needs `aiosmtplib`.

        Raises:
            ConnectionError: if it offers no TLS, without which no password is sent.
            aiosmtplib.SMTPException: if it cannot be reached, or lets nobody in.
        """
        import aiosmtplib  # noqa: PLC0415  # an extra, there only where it is used

        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.tls,
            start_tls=self.upgrade,
            timeout=TIMEOUT,
        )
        async with client:
            if self.user:
                if client.get_transport_info("sslcontext") is None and self.host not in _HERE:
                    raise ConnectionError(
                        f"{self.host} offers no TLS, and the password is not sent without it; "
                        "use a server that does, or smtps://"
                    )
                await client.login(self.user, self.password)
            yield client


def mail_address(address: str, name: str = "") -> Address:
    """An address as headers and mail servers take it: its domain in ASCII, as DNS has it.

    Raises:
        ValueError, MessageError, IndexError: if it is none.
    """
    local, _, domain = address.rpartition("@")
    if not domain.isascii():
        found = domain.encode("idna").decode()
        # Where the older rules of the codec name another domain (ß, ς) mail would go there.
        if found.encode().decode("idna") != unicodedata.normalize("NFC", domain.lower()):
            raise ValueError("write its domain in ASCII, as it begins with xn--")
        domain = found
    if local.isascii():
        made = Address(name, addr_spec=f"{local}@{domain}")
        # A parser leaves out what it takes for a comment: people would be shown another one.
        if made.addr_spec != f"{local}@{domain}":
            raise ValueError(f"write it as {made.addr_spec}")
        return made
    if not domain or any(c.isspace() or not c.isprintable() or c in _SPECIAL for c in local):
        raise ValueError("it is no address")
    return Address(name, local, domain)
