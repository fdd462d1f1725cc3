"""The web application: its paths, and what each request goes through before any page."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import re
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from itsdangerous import BadSignature, TimestampSigner
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from temporalio.service import RPCError

from handrail.exceptions import LedgerUnavailable
from handrail.inbox.web import (
    alert_pages,
    asking,
    intake,
    mandates,
    orders,
    pages,
    pilots,
    reports,
    reviews,
    rulings,
    sign_in,
    waiting,
)
from handrail.inbox.web.api import PREFIX, InboxApi
from handrail.inbox.web.site import ANSWERS, site_of
from handrail.inbox.web.tokens import SESSION_LASTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from temporalio.client import Client

    from handrail.inbox.web.site import Site

MOST_BYTES = 512 * 1024
"""Of a request's body."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'{more}; base-uri 'none'; frame-ancestors 'none'"
)

_SAFE = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class SecurityHeaders:
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
class BodyLimit:
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
class Deadline:
    """Gives up on a page that only reads: people hear within seconds that nothing answers."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in time; what has begun to answer goes on."""
        if scope["type"] != "http" or scope["method"] not in _SAFE:
            await self.app(scope, receive, send)
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            if not begun and not limit.expired():
                limit.reschedule(None)
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(ANSWERS.total_seconds()) as limit:
                await self.app(scope, receive, noted)
        except TimeoutError as error:
            if begun:
                raise
            answer = await _unavailable(Request(scope), error)
            await answer(scope, receive, send)


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
        # By a token, which no browser sends by itself; cookies count for nothing there.
        by_token = scope["type"] == "http" and scope["path"].startswith(f"{PREFIX}/")
        if changes and not by_token and scope["path"] not in self.signed:
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


@dataclass(frozen=True)
class OneSession:
    """Of several session cookies takes the one that this inbox has signed.

    Whoever answers under the same name, on another port or at another path, can have a browser
    send one of theirs beside it: that must sign nobody out. Of two that are both signed in nobody
    can tell which was planted, and neither counts.
    """

    app: ASGIApp
    name: str
    secret: str = field(repr=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave it as it is where there is one of that name at most."""
        cookies = ";".join(Headers(scope=scope).getlist("cookie")) if "headers" in scope else ""
        pairs = [each.strip().partition("=") for each in cookies.split(";")]
        mine = [value for name, _, value in pairs if name.strip() == self.name]
        if len(mine) > 1:
            rest = [f"{name}={value}" for name, _, value in pairs if name.strip() != self.name]
            kept = self._kept(dict.fromkeys(mine))
            cookies = "; ".join([*rest, *(f"{self.name}={value}" for value in kept)])
            headers = [each for each in scope["headers"] if each[0] != b"cookie"]
            scope = {**scope, "headers": [*headers, (b"cookie", cookies.encode("latin-1"))]}
        await self.app(scope, receive, send)

    def _kept(self, values: Iterable[str]) -> list[str]:
        signer = TimestampSigner(self.secret)
        signed: dict[str, bool] = {}
        for value in values:
            with contextlib.suppress(BadSignature):
                data = signer.unsign(value, max_age=int(SESSION_LASTS.total_seconds()))
                signed[value] = "who" in json.loads(b64decode(data))
        somebody = [value for value, who in signed.items() if who]
        return somebody if len(somebody) == 1 else [] if somebody else list(signed)[-1:]


log = structlog.get_logger("handrail.inbox")

_TITLES = {403: "Not so", 404: "Not here", 405: "Not so", 429: "Too often", 503: "Not now"}

_SECRET = re.compile(r"^((?:/now)?/mail/|/sign-in/link/).*", re.DOTALL)
"""The path of a link that lets in whoever has it: in no log."""


def build(site: Site, signed: Sequence[Route] = ()) -> Starlette:
    """The application of one inbox. `signed`: what other programs call, which prove themselves."""
    # `__Host-`: no other host, and no page without TLS, can set a cookie of that name.
    cookie = "__Host-handrail" if site.https else "handrail"
    handlers: dict[Any, Any] = {
        HTTPException: _refused,
        RPCError: _unavailable,
        LedgerUnavailable: _unavailable,
        TimeoutError: _unavailable,
        Exception: _broken,
    }
    app = Starlette(
        routes=[*signed, InboxApi(site).mount(), *_routes()],
        middleware=[
            Middleware(SecurityHeaders, https=site.https),
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5),
            Middleware(TrustedHostMiddleware, allowed_hosts=_hosts(site), www_redirect=False),
            Middleware(BodyLimit),
            Middleware(
                SameOrigin, origin=site.base, signed=frozenset(each.path for each in signed)
            ),
            Middleware(OneSession, name=cookie, secret=site.seals.secret),
            Middleware(
                SessionMiddleware,
                secret_key=site.seals.secret,
                session_cookie=cookie,
                max_age=int(SESSION_LASTS.total_seconds()),
                same_site="lax",
                https_only=site.https,
            ),
            Middleware(Deadline),
        ],
        exception_handlers=handlers,
    )
    app.state.site = site
    return app


def _routes() -> list[Route | Mount]:
    get, post = ["GET"], ["POST"]
    question = "/gates/{case:path}/{gate}"
    return [
        Route("/", waiting.waiting, methods=get),
        Route("/now", waiting.waiting_now, methods=get),
        Route("/bulk", rulings.decide_many, methods=post),
        Route("/now" + question, pages.question_now, methods=get),
        Route(question, pages.question, methods=get),
        Route(question, rulings.decide, methods=post),
        Route("/mail/{token}", pages.question, methods=get),
        Route("/mail/{token}", rulings.decide, methods=post),
        Route("/now/mail/{token}", pages.question_now, methods=get),
        Route("/ask", asking.agents, methods=get),
        Route("/ask/{agent}", asking.form, methods=get),
        Route("/ask/{agent}", asking.ask, methods=post),
        Route("/cases/{case:path}", asking.case, methods=get),
        Route("/now/cases/{case:path}", asking.case_now, methods=get),
        Route("/intake", intake.intake, methods=get),
        Route("/intake/{entry}", intake.entry, methods=get),
        Route("/intake/{entry}", intake.mend, methods=post),
        Route("/closed", pages.ruled, methods=get),
        Route("/approvers", pages.approvers, methods=get),
        Route("/reviews", reviews.reviews, methods=get),
        Route("/reviews/{key:path}", reviews.review, methods=get),
        Route("/reviews/{key:path}", reviews.answer, methods=post),
        Route("/incidents", reviews.incidents, methods=get),
        Route("/incidents", reviews.close, methods=post),
        Route("/agents", orders.agents, methods=get),
        Route("/agents/{agent}", reports.agent, methods=get),
        Route("/agents/{agent}/pilot", pilots.pilot, methods=get, name="pilot"),
        Route("/agents/{agent}/pilot", pilots.judge, methods=post),
        Route("/agents/{agent}/did", pilots.did, methods=get),
        Route("/agents/{agent}/did", pilots.say, methods=post),
        Route("/agents/{agent}/promote", pilots.promote, methods=get, name="promote"),
        Route("/agents/{agent}/promote", pilots.answer, methods=post),
        Route("/agents/{agent}/alerts", alert_pages.alerts, methods=get, name="alerts"),
        Route("/agents/{agent}/alerts", alert_pages.seen, methods=post),
        Route("/agents/{agent}/value", reports.value, methods=get),
        Route("/agents/{agent}/cases", reports.cases, methods=get),
        Route("/agents/{agent}/report.csv", reports.csv, methods=get),
        Route("/stops", orders.stops, methods=get),
        Route("/stops", orders.order, methods=post),
        Route("/me", mandates.me, methods=get),
        Route("/me", mandates.change, methods=post),
        Route("/sign-in", sign_in.sign_in, methods=get),
        Route("/sign-in/mail", sign_in.mail_me, methods=post),
        Route("/sign-in/link/{token}", sign_in.link, methods=get),
        Route("/sign-in/link/{token}", sign_in.use_link, methods=post),
        Route("/sign-in/provider", sign_in.to_provider, methods=get),
        Route("/sign-in/back", sign_in.from_provider, methods=get),
        Route("/sign-in/dev", sign_in.as_anybody, methods=post),
        Route("/sign-out", sign_in.sign_out, methods=post),
        Route("/health", _health, methods=get),
        Mount("/static", StaticFiles(packages=[("handrail.inbox.web", "static")])),
    ]


def _hosts(site: Site) -> list[str]:
    host = urlsplit(site.base).hostname or ""
    return [f"[{host}]" if ":" in host else host]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _health(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _refused(request: Request, error: HTTPException) -> Response:
    title = _TITLES.get(error.status_code, "That did not work")
    site = site_of(request)
    said = "There is no such page." if error.detail == HTTPStatus.NOT_FOUND.phrase else error.detail
    return site.page(request, "message.html", status=error.status_code, title=title, said=said)


async def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("not available", error=str(error)[:500] or type(error).__name__)
    site, what = site_of(request), "The Temporal server"
    if isinstance(error, LedgerUnavailable):
        what = "The ledger"
    elif isinstance(error, TimeoutError) and await _is_up(site.client):
        what = "A worker, or the ledger,"
    said = f"{what} does not answer. Nothing was sent. Try again in a moment."
    return site.page(request, "message.html", status=503, title="Not now", said=said)


async def _is_up(client: Client) -> bool:
    try:
        return await client.service_client.check_health(timeout=timedelta(seconds=1))
    except RPCError:
        return False


async def _broken(request: Request, error: Exception) -> Response:
    log.error("failed", path=_SECRET.sub(r"\1…", request.url.path), exc_info=error)
    return PlainTextResponse("This page failed. It is logged; try again.", status_code=500)
