"""What every page of the inbox works with, and how a page becomes an answer.

Everything that a template prints is escaped, and every character in it that could disguise
what it says is spelt out: no template can forget it. Only `exact` leaves characters as they
are, for what a form sends back.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, StreamingResponse

from handrail.client import GateReader, Operator, case_url, gate_reader
from handrail.exceptions import CaseError, LedgerUnavailable
from handrail.guardrails import audit_review
from handrail.inbox.web.listing import ListCache
from handrail.inbox.web.tokens import BadToken, Links
from handrail.inbox.web.views import words
from handrail.oversight import BY_NAME, Keyring, unproven_people
from handrail.runtime import TokenFile
from handrail.text import (
    at_least,
    at_most,
    escape_hidden,
    moment_in_words,
    moment_of_json,
    value_in_words,
)

if TYPE_CHECKING:
    from email.message import EmailMessage

    from starlette.datastructures import FormData
    from starlette.requests import Request
    from starlette.responses import Response
    from temporalio.client import Client

    from handrail.client import Signer
    from handrail.inbox.web.directory import PolicyDirectory
    from handrail.inbox.web.oidc import OidcProvider
    from handrail.inbox.web.tokens import FormToken, OneTimeTokens, Seals, Sessions
    from handrail.ledger import Ledger
    from handrail.oversight import SigningKey
    from handrail.runtime import Agent, Settings

log = structlog.get_logger("handrail.inbox")

MOST_FIELDS = 5_000
"""Of one form. An action may have hundreds of fields; what a request may hold in all is less."""

PER_MINUTE = {"sign-in": 10, "address": 3, "rule": 120, "look": 600}
"""How often somebody may do something in a minute: from one address of the network, for one
mail address, as one person."""

_VIA: ContextVar[str] = ContextVar("via", default=BY_NAME)
"""How whoever asks now has signed in: each request runs in a context of its own."""

_FAULT = "This part of the page failed; what became of it is in the log of the inbox."

PART = "<!--part-->"
"""Where in a page stands what is reckoned after its head went out."""

ANSWERS = timedelta(seconds=7)
"""Whoever waits for what others know hears by then that they do not answer."""

Post = Callable[["EmailMessage", str], Any]
"""Hands a message for an address to the mail server."""


Page = Callable[["Request", "Site", str], Awaitable["Response"]]
"""What makes a page of a request, for somebody who is signed in: their address comes last."""


class FormFault(Exception):  # a form that must be filled in again
    """A form cannot be read. `errors`: what is wrong with which field."""

    def __init__(self, said: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(said)
        self.errors = dict(errors or {})


@dataclass
class Site:
    """One inbox: where it is, what it may use, and whom it lets in."""

    settings: Settings
    base: str
    client: Client
    ledger: Ledger
    key: SigningKey
    seals: Seals
    once: OneTimeTokens
    directory: PolicyDirectory
    sessions: Sessions
    provider: OidcProvider | None = None
    post: Post | None = None
    dev: bool = False
    agents: Mapping[str, Agent] = field(default_factory=dict[str, "Agent"])
    """Those that are served here, for the forms of their events; elsewhere none is known."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    waiting: GateReader = field(init=False)
    """What waits, read once for all who look."""
    tokens: TokenFile = field(init=False)
    listed: ListCache = field(default_factory=ListCache)
    _limiter: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage())
    )

    def __post_init__(self) -> None:
        """Begin with nothing read."""
        self.waiting = gate_reader(self.client)
        self.tokens = TokenFile(self.settings.tokens)

    @property
    def https(self) -> bool:
        """Whether people reach it by TLS."""
        return self.base.startswith("https:")

    @property
    def links(self) -> Links:
        """Where links in messages lead."""
        return Links(self.seals.secret, self.base, self.clock)

    async def slow_down(self, what: str, who: str, cost: int = 1) -> None:
        """Count one more of these.

        Raises:
            HTTPException: 429 if there were too many.
        """
        limit = RateLimitItemPerMinute(PER_MINUTE[what])
        if not await self._limiter.hit(limit, what, who, cost=cost):
            raise HTTPException(429, "That was too often. Wait a minute, and try again.")

    def who(self, request: Request) -> str | None:
        """Who is signed in."""
        who = self.sessions.who(request, self.clock())
        _VIA.set(self.sessions.via(request))
        # Whoever is taken out of the policies is out at once, not when their session ends.
        return who if who is not None and self.directory.may_sign_in(who) else None

    def page(  # a page and its status
        self, request: Request, name: str, /, *, status: int = 200, **content: Any
    ) -> HTMLResponse:
        """One page, or part of one."""
        now = self.clock()
        who = content.pop("who", None) or self.who(request)
        common: dict[str, Any] = {"who": who, "now": now, "path": request.url.path, "site": self}
        if who is not None and "leave" not in content:
            common["leave"] = self.token(request)
        text = TEMPLATES.get_template(name).render(common | content)
        return HTMLResponse(text, status)

    def streamed(  # a page, its status, and what takes its time
        self,
        request: Request,
        name: str,
        part: Callable[[], Awaitable[str]],
        /,
        *,
        status: int = 200,
        **content: Any,
    ) -> StreamingResponse:
        """A page whose head goes out before the part is reckoned that stands in for `PART`."""
        whole = bytes(self.page(request, name, **content).body).decode()
        head, there, tail = whole.partition(PART)

        async def parts() -> AsyncIterator[str]:
            yield head
            try:
                yield await part() if there else ""
            except LedgerUnavailable:
                said = "The ledger does not answer. Try again in a moment."
                yield f'<p class="notice fault">{said}</p>'
            # The head is out, so that no page of errors can come: it ends as a page all the same.
            except Exception:
                log.exception("a part of a page failed", page=name)
                yield f'<p class="notice fault">{_FAULT}</p>'
            yield tail

        return StreamingResponse(parts(), status, media_type="text/html; charset=utf-8")

    def operator(self, who: str, via: str | None = None) -> Operator:
        """What somebody may ask and order; the inbox signs it.

        `via`: by which channel they came, if not as the session of this request was begun.
        """
        return self._operator(who, via or _VIA.get(), self.key)

    def by_token(self, who: str, via: str, signer: Signer | None) -> Operator:
        """The same for whoever has a token: the inbox signs nothing for them."""
        return self._operator(who, via, signer)

    def _operator(self, who: str, via: str, signer: SigningKey | Signer | None) -> Operator:
        return Operator(
            self.client,
            self.ledger,
            signer,
            by=who,
            via=via,
            keyring=Keyring(self.settings.keyring),
            directory=self.directory,
            agents=self.agents,
            audit_review=audit_review,
            clock=self.clock,
        )

    async def heard(self, case: str) -> None:
        """Have the list know at once what a case says that somebody has ruled on."""
        with contextlib.suppress(CaseError):
            gates = await self.operator("").case_gates(case)
            if gates is not None:
                self.waiting.told(case, gates)

    def run_url(self, case: str) -> str:
        """The run of a case in Temporal's Web UI."""
        return case_url(self.settings.ui_url, self.client.namespace, case)

    def token(self, request: Request, **about: str) -> str:
        """What a form of whoever is signed in carries."""
        return self.sessions.token(self.sessions.id(request), self.clock(), **about)

    async def received(
        self, request: Request, who: str, holder: str = ""
    ) -> tuple[FormData, FormToken]:
        """A form that came back, and what it was made for: one more thing that `who` does.

        Raises:
            HTTPException: 400 if it is none, 403 if it was not made for this holder or session,
                429 if there were too many.
        """
        given = await self.fields(request)
        token = self.form(given, holder or self.sessions.id(request))
        await self.slow_down("rule", who)
        return given, token

    async def fields(self, request: Request) -> FormData:
        """What a form holds. No files: none is asked for.

        Raises:
            HTTPException: 400 if it is none, or too large a one.
        """
        return await request.form(max_files=0, max_fields=MOST_FIELDS)

    def form(self, given: FormData, holder: str) -> FormToken:
        """What the form was made for that came back.

        Raises:
            HTTPException: 403 if it was not made for this holder.
        """
        try:
            return self.sessions.form(holder, text(given, "token"), self.clock())
        except BadToken as error:
            raise HTTPException(403, f"{error}. Open the page again.") from None


def site_of(request: Request) -> Site:
    """The inbox that serves a request."""
    return cast("Site", request.app.state.site)


def text(given: FormData | Mapping[str, Any], name: str) -> str:
    """One field of a form; empty if it is not there."""
    value: Any = given.get(name, "")
    return value if isinstance(value, str) else ""


def texts(given: FormData) -> dict[str, str]:
    """All fields of a form that are text, the last of each name."""
    return {name: value for name, value in given.multi_items() if isinstance(value, str)}


def to_sign_in(request: Request) -> Response:
    """Send somebody to the sign-in, and remember where they wanted to go."""
    if request.method == "GET":
        query = f"?{request.url.query}" if request.url.query else ""
        # Spelt as in a link: what is escaped in the id of a case stays part of it.
        path = quote(request.scope["path"], safe="/:")
        request.session["next"] = f"{path}{query}"[:1_000]
    return RedirectResponse("/sign-in", 303)


def signed_in(page: Page) -> Callable[[Request], Awaitable[Response]]:
    """Have a page only for who is signed in; send everybody else to the sign-in."""

    @functools.wraps(page)
    async def shown(request: Request) -> Response:
        site = site_of(request)
        who = site.who(request)
        return to_sign_in(request) if who is None else await page(request, site, who)

    return shown


def back_to(request: Request) -> str:
    """Where somebody wanted to go before they signed in: a path of ours, nothing else."""
    wanted: Any = request.session.pop("next", "/")
    ours = isinstance(wanted, str) and wanted.startswith("/") and wanted[1:2] not in {"/", "\\"}
    return wanted if ours else "/"


def sentence(said: object) -> str:
    """What the client says, as a sentence."""
    words = str(said).rstrip(".")
    first = words.partition(" ")[0]
    return f"{words[:1].upper() if first.isalpha() else words[:1]}{words[1:]}."


def seconds(since: datetime, now: datetime) -> float:
    """How long somebody looked, by our own clock."""
    return round(max((now - since) / timedelta(seconds=1), 0.0), 1)


_NUMBER = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_UNITS = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"))


def shown(value: Any) -> Any:
    """A value as it is printed: nothing in it hides."""
    if isinstance(value, Markup) or value is None:
        return "" if value is None else value
    return escape_hidden(str(value))


def exact(value: str) -> Markup:
    """Text as it is, escaped: for the value of a field that is sent back."""
    return escape(value)


def hides(value: str) -> bool:
    """Whether a text has characters that do not show."""
    return escape_hidden(value) != value


def numeric(value: Any) -> bool:
    """Whether a value of an action is a number of 0 or more, or a decimal as text."""
    if isinstance(value, bool):
        return False
    return _NUMBER.fullmatch(str(value)) is not None


def long(value: Any) -> bool:
    """Whether a value is text of several lines."""
    return isinstance(value, str) and "\n" in value


def as_json(value: Any) -> str:
    """A value as JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def left(until: datetime | None, now: datetime) -> str:
    """How long it is until then, in its two largest units."""
    if until is None:
        return "no deadline"
    return f"{span(until - now)} left" if until > now else "time is over"


def span(length: timedelta) -> str:
    """A length of time in its two largest units."""
    parts: list[str] = []
    for unit, name in _UNITS:
        number, length = divmod(length, unit)
        if number:
            parts.append(f"{number} {name}")
    return " ".join(parts[:2]) or "less than a minute"


def counted(number: int, named: str) -> str:
    """How many there are of what is named by its plural."""
    return f"{number:,} {named.removesuffix('s') if number == 1 else named}"


def time(at: datetime | None, words: str = "") -> Markup:
    """A point in time: in UTC, and for scripts to show in the reader's own zone."""
    if at is None:
        return Markup("–")  # noqa: RUF001  # a dash for nothing
    iso = at.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}">{}</time>').format(iso, words or moment_in_words(at))


def said(value: Any, unit: str = "") -> Markup | str:
    """A value of an action or of evidence: a point in time as every other, all else in words."""
    at, words = moment_of_json(value), value_in_words(value, unit)
    return words if at is None else time(at, words)


def holding(value: Any) -> bool:
    """Whether a value is a list of anything but plain values."""
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    return any(isinstance(each, dict | list) for each in listed)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("handrail.inbox.web"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cast("dict[str, Any]", made.filters).update(
        exact=exact,
        plain=value_in_words,
        said=said,
        as_json=as_json,
        words=words,
        left=left,
        span=span,
        counted=counted,
        time=time,
        at_least=at_least,
        at_most=at_most,
    )
    cast("dict[str, Any]", made.globals)["unproven_people"] = unproven_people
    made.tests.update(hiding=hides, numeric=numeric, long=long, holding=holding)
    return made


TEMPLATES = _environment()
