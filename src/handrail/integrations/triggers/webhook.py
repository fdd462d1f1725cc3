"""Webhooks: what another system sends, signed by it, and how an event is made of it.

The signature is of the bytes as they came, and is looked at before anything reads them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final, Literal

from typing_extensions import override

from handrail.actions import Event
from handrail.agent import secret, secret_faults, secrets_given
from handrail.exceptions import ConfigurationError, fallback
from handrail.integrations.triggers.source import EventMapping, EventSource, RawEvent

TOLERANCE: Final = timedelta(minutes=5)
"""How old, or how early, what is signed with a time may be."""


@dataclass(frozen=True, kw_only=True)
class HmacHeader:
    """A header that holds the HMAC of the body, after a `prefix` if there is one."""

    header: str
    prefix: str = ""
    algorithm: Literal["sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"

    def is_of(self, delivery: RawEvent, key: bytes) -> bool:
        """Whether it is there, and of this body by this key."""
        said = delivery.headers.get(self.header.lower(), "")
        made = hmac.new(key, delivery.body, self.algorithm).digest()
        wanted = made.hex() if self.encoding == "hex" else base64.b64encode(made).decode()
        return _same(f"{self.prefix}{wanted}", said)


@dataclass(frozen=True, kw_only=True)
class Webhook(EventSource):
    """Cases of what another system sends to `POST /hooks/<name>`.

    `signed`: by whose scheme, `standard` being Standard Webhooks. `secret`: its name, as of the
    secrets of steps (`HANDRAIL_SECRET_<name>`, or a file); its value may be several, one a line,
    while one replaces another. `event` makes the event of what came; None: it is not for us.
    """

    event: Callable[[RawEvent], Event | None]
    secret: str
    signed: Literal["standard", "github", "stripe", "slack"] | HmacHeader = "standard"
    source: ClassVar[str] = "hook"

    @property
    @override
    def mapping(self) -> EventMapping:
        return self.event

    def __post_init__(self) -> None:
        """See that it can be one.

        Raises:
            ConfigurationError: if there is no such scheme.
        """
        super().__post_init__()
        if not isinstance(self.signed, HmacHeader) and self.signed not in _SCHEMES:
            known = ", ".join(_SCHEMES)
            raise ConfigurationError(
                f"webhook {self.name}: signed= is one of {known}, or HmacHeader"
            )

    def faults(self) -> list[str]:
        """Whether its secret is lacking, where it is taken: a worker needs none."""
        return secret_faults(f"webhook {self.name}", [self.secret])

    def is_signed(self, delivery: RawEvent) -> bool:
        """Whether the sender's secret signed this, and not long ago where it says when.

        Raises:
            SecretMissing: if the secret is not there.
        """
        with secrets_given((self.secret,)):
            keys = secret(self.secret).get_secret_value().split()
        proves = (
            self.signed.is_of if isinstance(self.signed, HmacHeader) else _OF_SCHEME[self.signed]
        )
        return any(_holds(proves, delivery, key) for key in keys)

    def challenge(self, delivery: RawEvent) -> str | None:
        """What Slack wants to hear again before it sends any event; None if it is one."""
        if self.signed != "slack" or not delivery.body.lstrip().startswith(b"{"):
            return None
        said: dict[str, Any] = fallback(dict[str, Any](), delivery.json)
        asks = said.get("type") == "url_verification" and "challenge" in said
        return str(said["challenge"]) if asks else None


_Proves = Callable[[RawEvent, bytes], bool]


def _holds(proves: _Proves, delivery: RawEvent, key: str) -> bool:
    try:
        return proves(delivery, key.encode())
    # What is no signature at all may be anything: bytes that are no text, no number, no base64.
    except (ValueError, LookupError):
        return False


def _standard(delivery: RawEvent, key: bytes) -> bool:
    import standardwebhooks  # noqa: PLC0415  # an extra, there only where webhooks are taken

    try:
        signing = standardwebhooks.Webhook(key.decode())
        signing.verify(delivery.body, dict(delivery.headers), json_parse=False)
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


def _github(delivery: RawEvent, key: bytes) -> bool:
    return HmacHeader(header="x-hub-signature-256", prefix="sha256=").is_of(delivery, key)


def _stripe(delivery: RawEvent, key: bytes) -> bool:
    said = [each.strip().partition("=") for each in delivery.headers["stripe-signature"].split(",")]
    at = {name: value for name, _, value in said}["t"]
    signatures = [value for name, _, value in said if name == "v1"]
    return _recent(at) and _any(signatures, _hex(key, at.encode() + b"." + delivery.body))


def _slack(delivery: RawEvent, key: bytes) -> bool:
    at = delivery.headers["x-slack-request-timestamp"]
    wanted = _hex(key, b"v0:" + at.encode() + b":" + delivery.body)
    return _recent(at) and _same(f"v0={wanted}", delivery.headers["x-slack-signature"])


_OF_SCHEME: Mapping[str, _Proves] = {
    "standard": _standard,
    "github": _github,
    "stripe": _stripe,
    "slack": _slack,
}
_SCHEMES = tuple(_OF_SCHEME)


def _hex(key: bytes, signed: bytes) -> str:
    return hmac.new(key, signed, hashlib.sha256).hexdigest()


def _recent(at: str) -> bool:
    # Of whole numbers: one of 400 digits is none that a float takes.
    return abs(int(time.time()) - int(at)) <= TOLERANCE.total_seconds()


def _any(given: Iterable[str], wanted: str) -> bool:
    return any([_same(wanted, each) for each in given])  # noqa: C419  # no hint by how long it takes


def _same(wanted: str, given: str) -> bool:
    return hmac.compare_digest(wanted.encode(), given.encode())
