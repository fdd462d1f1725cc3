"""What every request and answer of the inbox goes through before any page does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 512 * 1024
"""Of a request's body."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'{more}; base-uri 'none'; frame-ancestors 'none'"
)

_SAFE = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class Headed:
    """Adds what browsers need to know to keep a page to itself.

    `referrer-policy` is same-origin and not no-referrer: with that browsers hide the origin of
    our own forms from us too.
    """

    app: ASGIApp
    https: bool
    forms_to: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to each answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                self._add(headers, static=scope["path"].startswith("/static/"))
            await send(message)

        await self.app(scope, receive, headed)

    def _add(self, headers: MutableHeaders, *, static: bool) -> None:
        more = f" {self.forms_to}" if self.forms_to else ""
        headers["content-security-policy"] = _POLICY.format(more=more)
        headers["x-content-type-options"] = "nosniff"
        headers["x-frame-options"] = "DENY"
        headers["referrer-policy"] = "same-origin"
        headers["cross-origin-opener-policy"] = "same-origin"
        headers["cross-origin-resource-policy"] = "same-origin"
        headers["permissions-policy"] = "camera=(), microphone=(), geolocation=(), payment=()"
        headers["x-robots-tag"] = "noindex, nofollow"
        # What is asked is nobody else's: no cache keeps it, no back button shows it later.
        headers["cache-control"] = "public, max-age=3600" if static else "no-store"
        if self.https:
            headers["strict-transport-security"] = "max-age=31536000"


@dataclass(frozen=True)
class Bounded:
    """Refuses a request with a larger body than any form has."""

    app: ASGIApp
    most: int = MOST_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes in, whatever the request says of its length."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "0")
        if not said.isdigit() or int(said) > self.most:
            answer = PlainTextResponse("too large", status_code=413)
            await answer(scope, receive, send)
            return
        left = self.most

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                # As if the connection had broken: nothing of it is used.
                return {"type": "http.disconnect"}
            return message

        await self.app(scope, counted, send)


@dataclass(frozen=True)
class SameOrigin:
    """Refuses what changes something unless a page of ours sent it: the first of two locks.

    The second is the token in each form.
    """

    app: ASGIApp
    origin: str
    signed: frozenset[str] = frozenset()
    """Paths to which other programs send what they have signed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass what only reads, and what comes from here."""
        changes = scope["type"] == "http" and scope["method"] not in _SAFE
        if changes and scope["path"] not in self.signed:
            headers = Headers(scope=scope)
            if not self._ours(headers):
                text = "this did not come from a page of this inbox; open it again"
                await PlainTextResponse(text, status_code=403)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _ours(self, headers: Headers) -> bool:
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return False
        origin = headers.get("origin")
        if origin is None:
            referrer = urlsplit(headers.get("referer", ""))
            origin = f"{referrer.scheme}://{referrer.netloc}"
        return origin == self.origin
