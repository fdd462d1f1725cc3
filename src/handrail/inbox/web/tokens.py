"""What the inbox signs for itself: links, forms, sessions. Nobody else can make or change one.

A seal has a purpose, so that a token of one kind is never taken for another.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from itsdangerous import BadData, URLSafeSerializer

from handrail.exceptions import ConfigurationError, HandrailError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from handrail.runtime import Settings

_LEAST = 32


class BadToken(HandrailError):
    """A token was not made here, was changed, or its time is over. The message says which."""


@dataclass(frozen=True)
class Seals:
    """Seals under one secret of 32 characters or more."""

    secret: str = field(repr=False)

    def seal(self, purpose: str, until: datetime, **content: Any) -> str:
        """A token for `purpose` that holds `content` for everybody to read, until then."""
        return self._serializer(purpose).dumps({**content, "exp": int(until.timestamp())})

    def open(self, purpose: str, token: str, now: datetime) -> dict[str, Any]:
        """The content of a token.

        Raises:
            BadToken: if it is none of `purpose`, or its time is over.
        """
        try:
            content: Any = self._serializer(purpose).loads(token)
        except BadData:
            raise BadToken("this link or form was not made here, or was changed") from None
        if not isinstance(content, dict):
            raise BadToken("this link or form was not made here")
        found = cast("dict[str, Any]", content)
        if now.timestamp() >= float(found.get("exp", 0)):
            raise BadToken("this link or form was good for a time, and that is over")
        return found

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        return URLSafeSerializer(
            self.secret,
            salt=f"handrail.inbox.{purpose}",
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )


def seals_of(settings: Settings) -> Seals:
    """The seals of this inbox: by its setting, else by a secret made once in the home.

    Raises:
        ConfigurationError: if the secret's file cannot be used.
    """
    if settings.inbox_secret is not None:
        return Seals(settings.inbox_secret.get_secret_value())
    path = settings.home / "keys" / "inbox.secret"
    try:
        return Seals(_kept(path))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be used: {error}; fix: set HANDRAIL_INBOX_SECRET, or make the "
            "directory writable"
        ) from error


def _kept(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(48))
        except FileExistsError:
            pass  # another process was faster
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(f"{path} is a secret that others can read; fix: chmod 600 {path}")
    secret = path.read_text(encoding="utf-8").strip()
    if len(secret) < _LEAST:
        raise ConfigurationError(f"{path} holds no secret; fix: delete it, and start again")
    return secret
