"""Tokens of call-backs: which write of which case another system answers, sealed by a secret.

A token names the key of an effect, so that it is the same in every retry, and good for that write
of that case alone. That it counts once is the case's to say.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from handrail.agent import secret, secrets_given
from handrail.exceptions import InvalidRequest

SECRET = "CALLBACKS"  # noqa: S105  # its name
"""The secret of steps that are called back, and of `handrail serve`: HANDRAIL_SECRET_CALLBACKS."""


def token_of(key: str) -> str:
    """The token for the effect of this key. Where `SECRET` is given.

    Raises:
        SecretMissing: if the secret is not there.
    """
    return f"{_text(key.encode())}.{_seal(key, _secrets()[0])}"


def key_of(token: str) -> str:
    """The key of the effect that a token is for.

    Raises:
        InvalidRequest: if it was not made here.
        SecretMissing: if the secret is not there.
    """
    said, _, seal = token.partition(".")
    with secrets_given((SECRET,)):
        known = _secrets()
    try:
        key = base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)).decode()
    except ValueError:
        key = ""
    given = seal.encode("ascii", "replace")
    if not key or not any(hmac.compare_digest(_seal(key, s).encode(), given) for s in known):
        raise InvalidRequest("this call-back was not asked for", "token")
    return key


def _secrets() -> list[str]:
    """The secret, and those that it replaces, one a line."""
    return secret(SECRET).get_secret_value().split()


def _seal(key: str, sealing: str) -> str:
    made = hmac.new(sealing.encode(), b"handrail.call-back:" + key.encode(), hashlib.sha256)
    return _text(made.digest())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
