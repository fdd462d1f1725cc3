"""Signing in: by a provider, by a link that is mailed and works once, on one machine by name."""

from __future__ import annotations

import secrets
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING, Any

import structlog
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from handrail.actions import person
from handrail.exceptions import HandrailError
from handrail.inbox.channels.mail import mailbox
from handrail.inbox.web.oidc import NotSignedIn
from handrail.inbox.web.site import Post, Site, back_to, site_of, text
from handrail.inbox.web.tokens import BadToken

if TYPE_CHECKING:
    from starlette.datastructures import FormData
    from starlette.requests import Request
    from starlette.responses import Response


LINK_LASTS = timedelta(minutes=15)
"""How long a mailed link works."""

_LINK = "sign-in"
_LONGEST = 200

log = structlog.get_logger("handrail.inbox")


async def sign_in(request: Request) -> Response:
    """The ways to sign in."""
    return _page(request)


def _page(request: Request, status: int = 200, **content: Any) -> Response:
    site = site_of(request)
    shown: dict[str, Any] = {"sent": "", "fault": "", "address": ""} | content
    return site.page(
        request,
        "sign_in.html",
        status=status,
        people=site.directory.everybody() if site.dev else [],
        token=site.token(request),
        **shown,
    )


async def _given(request: Request, site: Site) -> FormData:
    """A sign-in form that came back, if not too often.

    Raises:
        HTTPException: 403 if it is not ours, 429 if there were too many.
    """
    await site.slow_down("sign-in", _from(request))
    given = await site.fields(request)
    site.form(given, site.sessions.id(request))
    return given


def _from(request: Request) -> str:
    return request.client.host if request.client else "?"


async def mail_me(request: Request) -> Response:
    """Mail somebody a link. The answer is the same whether they may sign in or not."""
    site = site_of(request)
    if site.post is None:
        raise HTTPException(404, "This inbox sends no mail.")
    given = await _given(request, site)
    address = person(text(given, "address"))
    if "@" not in address or len(address) > _LONGEST or not address.isprintable():
        return _page(request, 422, fault="Write your mail address.", address=address)
    await site.slow_down("address", address)
    answer = _page(request, sent=address)
    # After the answer, which so takes no longer for an address that is known.
    answer.background = BackgroundTask(_mail, site, site.post, address)
    return answer


async def _mail(site: Site, post: Post, address: str) -> None:
    if not site.directory.may_sign_in(address):
        log.info("no policy and no people file names who asked for a link", address=address)
        return
    until = site.clock() + LINK_LASTS
    token = site.seals.seal(_LINK, until, who=address, once=secrets.token_urlsafe(18))
    try:
        message = _message(site, address, f"{site.base}/sign-in/link/{token}")
        await post(message, address)
    except (HandrailError, ValueError) as error:
        log.warning("a sign-in link could not be mailed", address=address, error=str(error))


def _message(site: Site, address: str, link: str) -> EmailMessage:
    sender = mailbox(site.settings.mail_from).addr_spec
    message = EmailMessage()
    message["From"] = mailbox(sender, "Handrail")
    message["To"] = mailbox(address)
    message["Subject"] = "Your link to the inbox"
    message["Date"] = format_datetime(site.clock())
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    minutes = LINK_LASTS // timedelta(minutes=1)
    message.set_content(
        f"Somebody asked to sign in to {site.base} as you.\n\n"
        f"If it was you, open this link within {minutes} minutes, and press the button there:\n\n"
        f"{link}\n\nIt works once. If it was not you, do nothing.\n"
    )
    return message


async def link(request: Request) -> Response:
    """What a mailed link shows: a button. Programs that follow links press none."""
    site = site_of(request)
    who, _ = _read_link(request, site)
    token = site.token(request)
    return site.page(request, "link.html", address=who, token=token)


async def use_link(request: Request) -> Response:
    """Sign in by a mailed link, once."""
    site = site_of(request)
    await _given(request, site)
    who, once = _read_link(request, site)
    now = site.clock()
    if not site.once.spend(f"link:{once}", now + LINK_LASTS, now):
        raise HTTPException(403, "This link was used already. Ask for a new one.")
    return _signed_in(request, site, who)


def _read_link(request: Request, site: Site) -> tuple[str, str]:
    try:
        content = site.seals.open(_LINK, request.path_params["token"], site.clock())
    except BadToken as error:
        raise HTTPException(403, f"{error}. Ask for a new one.") from None
    if site.once.spent(f"link:{content['once']}"):
        raise HTTPException(403, "This link was used already. Ask for a new one.")
    return content["who"], content["once"]


async def to_provider(request: Request) -> Response:
    """Send somebody to the provider."""
    site = site_of(request)
    if site.provider is None:
        raise HTTPException(404, "This inbox has no sign-in provider.")
    await site.slow_down("sign-in", _from(request))
    try:
        return await site.provider.begin(request, f"{site.base}/sign-in/back")
    except NotSignedIn as error:
        return _page(request, 502, fault=f"{error}.")


async def from_provider(request: Request) -> Response:
    """Take back whom the provider signed in."""
    site = site_of(request)
    if site.provider is None:
        raise HTTPException(404, "This inbox has no sign-in provider.")
    await site.slow_down("sign-in", _from(request))
    try:
        who = await site.provider.end(request)
    except NotSignedIn as error:
        log.info("not signed in", error=str(error))
        return _page(request, 403, fault=f"{error}. Try again.")
    return _signed_in(request, site, who)


async def as_anybody(request: Request) -> Response:
    """Sign in by a name alone: on one machine, for whoever tries things out."""
    site = site_of(request)
    if not site.dev:
        raise HTTPException(404, "Not found.")
    given = await _given(request, site)
    return _signed_in(request, site, person(text(given, "address")), by_name=True)


def _signed_in(request: Request, site: Site, who: str, *, by_name: bool = False) -> Response:
    if not site.directory.may_sign_in(who):
        log.info("no policy and no people file names who wanted to sign in", who=who)
        return _page(
            request,
            403,
            fault=f"{who} is named by no policy here. Ask the owner of the policy to add you.",
        )
    wanted = back_to(request)
    site.sessions.sign_in(request, who, site.clock(), by_name=by_name)
    log.info("signed in", who=who, by_name=by_name)
    return RedirectResponse(wanted, 303)


async def sign_out(request: Request) -> Response:
    """End the session, and every copy of its cookie."""
    site = site_of(request)
    given = await site.fields(request)
    site.form(given, site.sessions.id(request))
    site.sessions.end(request, site.clock())
    return RedirectResponse("/sign-in", 303)
