"""A signed webhook that goes out, and asks to be called back: how n8n, Make or Zapier are reached.

The request is one of Standard Webhooks. Its id, and the `Idempotency-Key`, stay the same in every
retry; its body holds the action and the URL to call back. The answer comes to `handrail serve`,
and the case waits for it: `await self.called_back(due, Answer, within=timedelta(hours=2))`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from handrail.actions import Action, CallBack, Effect, as_json
from handrail.agent import Write, secret, write
from handrail.exceptions import Final, StepError
from handrail.integrations import callbacks
from handrail.integrations.connectors.declare import as_function
from handrail.integrations.connectors.http import HttpRequest, as_key, changed

A = TypeVar("A", bound=Action)

_WEB = ("https://", "http://")
_TIMEOUT = timedelta(seconds=30)
_PATIENCE = 25.0


@dataclass(frozen=True, kw_only=True)
class OutgoingWebhook:
    """Where a webhook goes, and by which secret it is signed (its name; `whsec_...` or base64).

    `url`: its own, or the name of a secret that is one. `call_back`: where `handrail serve` is
    reached from there, such as https://agents.example.com. Steps and `serve` share the secret
    `CALLBACKS`. `headers`: more of them, none that is secret.
    """

    url: str
    secret: str
    call_back: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """See that there is somewhere to call back.

        Raises:
            StepError: if that is no URL.
        """
        if not self.call_back.startswith(_WEB):
            raise StepError(f"{self.call_back!r} is no URL; fix: where `handrail serve` is reached")

    def write(self, name: str, action: type[A], **options: Any) -> Write[A, CallBack]:
        """A write that sends an action; `options` are those of `@write`, such as `undo`.

        The other system must take the same `webhook-id`, or `Idempotency-Key`, once.

        Raises:
            StepError: if the step cannot be declared so.
        """
        plain = self.url.startswith(_WEB)

        async def step(act: Any, effect: Effect) -> CallBack:
            token = callbacks.token_of(effect.key)
            body = {
                "type": name,
                "key": effect.key,
                "data": as_json(act),
                "call_back": f"{self.call_back.rstrip('/')}/callbacks/{token}",
            }
            signing = secret(self.secret).get_secret_value().split()[0]
            signed = _signed(signing, as_key(effect.key), body)
            headers = {**self.headers, **signed, "Idempotency-Key": as_key(effect.key)}
            url = self.url if plain else secret(self.url).get_secret_value()
            request = HttpRequest("POST", url, headers=headers, body=body)
            # A platform that comes up, or whose flow is being changed, knows no such path for now.
            await changed(request, _PATIENCE, effect.attempt, absent=True)
            return CallBack(key=effect.key)

        doc = (action.__doc__ or name).strip()
        taken = {"action": (action, ...), "effect": (Effect, ...)}
        fn = as_function(step, name, doc, taken, CallBack)
        given: dict[str, Any] = {"idempotent": True, "timeout": _TIMEOUT} | options
        secrets = (self.secret, callbacks.SECRET, *(() if plain else (self.url,)))
        made: Write[A, CallBack] = write(secrets=secrets, **given)(fn)
        return made


def _signed(signing: str, number: str, body: Any) -> dict[str, str]:
    """The headers of Standard Webhooks for what `http.exchange` makes of a body.

    Raises:
        Final: if the secret is none.
    """
    try:
        key = base64.b64decode(signing.removeprefix("whsec_"), validate=True)
    except ValueError:
        raise Final(
            "the secret of the webhook is no base64; fix: whsec_... of the system"
        ) from None
    at = str(int(time.time()))
    said = b".".join((number.encode(), at.encode(), json.dumps(body).encode()))
    made = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    return {"webhook-id": number, "webhook-timestamp": at, "webhook-signature": f"v1,{made}"}
