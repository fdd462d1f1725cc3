"""The web application: its paths, and what stands before each of them."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from temporalio.service import RPCError

from handrail.exceptions import LedgerUnavailable
from handrail.inbox.web import mandates, orders, pages, reviews, rulings, sign_in
from handrail.inbox.web.middleware import Bounded, Headed, SameOrigin
from handrail.inbox.web.session import LASTS
from handrail.inbox.web.site import site_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from handrail.inbox.web.site import Site

log = structlog.get_logger("handrail.inbox")

_TITLES = {403: "Not so", 404: "Not here", 405: "Not so", 429: "Too often", 503: "Not now"}

_SECRET = re.compile(r"^((?:/now)?/mail/|/sign-in/link/).*", re.DOTALL)
"""The path of a link that lets in whoever has it: in no log."""


def build(site: Site, signed: Sequence[Route] = ()) -> Starlette:
    """The application of one inbox. `signed`: what other programs call, which prove themselves."""
    # `__Host-`: no other host, and no page without TLS, can set a cookie of that name.
    cookie = "__Host-handrail" if site.https else "handrail"
    app = Starlette(
        routes=[*signed, *_routes()],
        middleware=[
            Middleware(Headed, https=site.https),
            Middleware(TrustedHostMiddleware, allowed_hosts=_hosts(site), www_redirect=False),
            Middleware(Bounded),
            Middleware(
                SameOrigin, origin=site.base, signed=frozenset(each.path for each in signed)
            ),
            Middleware(
                SessionMiddleware,
                secret_key=site.seals.secret,
                session_cookie=cookie,
                max_age=int(LASTS.total_seconds()),
                same_site="lax",
                https_only=site.https,
            ),
        ],
        exception_handlers={
            HTTPException: _refused,
            RPCError: _unavailable,
            LedgerUnavailable: _unavailable,
            Exception: _broken,
        },
    )
    app.state.site = site
    return app


def _routes() -> list[Route | Mount]:
    get, post = ["GET"], ["POST"]
    question = "/gates/{case:path}/{gate}"
    return [
        Route("/", pages.waiting, methods=get),
        Route("/now", pages.waiting_now, methods=get),
        Route("/bulk", rulings.decide_many, methods=post),
        Route("/now" + question, pages.question_now, methods=get),
        Route(question, pages.question, methods=get),
        Route(question, rulings.decide, methods=post),
        Route("/mail/{token}", pages.question_by_mail, methods=get),
        Route("/mail/{token}", rulings.decide_by_mail, methods=post),
        Route("/now/mail/{token}", pages.question_now_by_mail, methods=get),
        Route("/closed", pages.ruled, methods=get),
        Route("/approvers", pages.approvers, methods=get),
        Route("/reviews", reviews.reviews, methods=get),
        Route("/reviews/{key:path}", reviews.review, methods=get),
        Route("/reviews/{key:path}", reviews.answer, methods=post),
        Route("/incidents", reviews.incidents, methods=get),
        Route("/incidents", reviews.close, methods=post),
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
    return [host]


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


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for that
    title = _TITLES.get(error.status_code, "That did not work")
    site = site_of(request)
    said = error.detail
    return site.page(request, "message.html", status=error.status_code, title=title, said=said)


async def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("not available", error=str(error)[:500])
    what = "ledger" if isinstance(error, LedgerUnavailable) else "Temporal server"
    said = f"The {what} does not answer. Nothing was sent. Try again in a moment."
    site = site_of(request)
    return site.page(request, "message.html", status=503, title="Not now", said=said)


async def _broken(request: Request, error: Exception) -> Response:
    log.error("failed", path=_SECRET.sub(r"\1…", request.url.path), exc_info=error)
    return PlainTextResponse("This page failed. It is logged; try again.", status_code=500)
