"""Tokens that the inbox signs for itself: links, forms, sessions; and which were spent.

A seal has a purpose, so that a token of one kind is never taken for another. A session is a
signed cookie. It gets a new id when somebody signs in, so that an id which another planted is
worth nothing, and its id is spent when they sign out, so that a copy of the cookie is worth
nothing either.

Following a link in a message shows a page and decides nothing, however often it is followed, so
that programs that look into mail do no harm. Whoever has the mail has the link: a policy that
does not want that leaves `mail` out of `accept`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import quote

from itsdangerous import BadData, URLSafeSerializer

from handrail.actions import person
from handrail.exceptions import ConfigurationError, HandrailError
from handrail.oversight import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request

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


class OneTimeTokens:
    """Ids that were spent, each kept until it could not be used anyway."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it if there is none.

        Raises:
            ConfigurationError: if it cannot be used.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, isolation_level=None)
            self._file.execute("pragma journal_mode = wal")
            self._file.execute(
                "create table if not exists spent (id text primary key, until real not null)"
            )
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"{path} cannot be used by the inbox: {error}") from error

    def spend(self, what: str, until: datetime, now: datetime) -> bool:
        """Use it. False if it was used before."""
        self._file.execute("delete from spent where until < ?", (now.timestamp(),))
        done = self._file.execute(
            "insert or ignore into spent values (?, ?)", (what, until.timestamp())
        )
        return done.rowcount == 1

    def spent(self, what: str) -> bool:
        """Whether it was used."""
        found = self._file.execute("select 1 from spent where id = ?", (what,))
        return found.fetchone() is not None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.close()


SESSION_LASTS = timedelta(hours=12)
"""How long somebody stays signed in at most."""

_FORM = "form"
_CHECKED = "checked"


@dataclass(frozen=True)
class FormToken:
    """What a form that came back was made for, and when."""

    made: datetime
    case: str = ""
    gate: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Sessions:
    """The sessions of one inbox."""

    seals: Seals
    once: OneTimeTokens

    def who(self, request: Request, now: datetime) -> str | None:
        """The person who is signed in; None if nobody is."""
        session = request.session
        who: Any = session.get("who")
        since: Any = session.get("at", 0)
        if (
            not isinstance(who, str)
            or now.timestamp() >= float(since) + SESSION_LASTS.total_seconds()
        ):
            return None
        if "how" not in session:
            return None  # begun before it was kept whether anybody checked who they are
        return None if self.once.spent(self.id(request)) else who

    def id(self, request: Request) -> str:
        """The id of this session; a new one where there is none yet."""
        found: Any = request.session.get("sid")
        if not isinstance(found, str):
            found = request.session["sid"] = secrets.token_urlsafe(18)
        return found

    def via(self, request: Request) -> str:
        """By which channel comes what they say: by name if nobody checked who they are."""
        return "inbox" if request.session.get("how") == _CHECKED else BY_NAME

    def sign_in(self, request: Request, who: str, now: datetime, *, by_name: bool) -> None:
        """Begin a session of `who`, under an id that nobody knew before."""
        self.end(request, now)
        how = BY_NAME if by_name else _CHECKED
        begun = int(now.timestamp())
        request.session.update(sid=secrets.token_urlsafe(18), who=who, at=begun, how=how)

    def end(self, request: Request, now: datetime) -> None:
        """End this session for good, wherever copies of its cookie are."""
        self.once.spend(self.id(request), now + SESSION_LASTS, now)
        request.session.clear()

    def token(self, holder: str, now: datetime, **about: str) -> str:
        """What a form carries: that it was made for this `holder`, now, and about what."""
        return self.seals.seal(
            _FORM, now + SESSION_LASTS, holder=holder, at=now.timestamp(), **about
        )

    def form(self, holder: str, token: str, now: datetime) -> FormToken:
        """What a form was made for.

        Raises:
            BadToken: if it was not made for this holder, or too long ago.
        """
        content = self.seals.open(_FORM, token, now)
        if not secrets.compare_digest(str(content.get("holder")), holder):
            raise BadToken("this form was made for somebody else, or before you signed in")
        made = datetime.fromtimestamp(float(content["at"]), now.tzinfo)
        about = {key: str(content.get(key, "")) for key in ("case", "gate", "digest")}
        return FormToken(made, **about)


LINK_LASTS = timedelta(days=14)
"""How long a link in a message works, if its question is open so long."""

_MAIL = "mail"


@dataclass(frozen=True)
class MailLink:
    """Whom a link is for, and which question it shows."""

    person: str
    case: str
    gate: str


def mail_link(
    secret: str, base: str, who: str, case: str, gate: str, *, now: datetime | None = None
) -> str:
    """A link for one person to one question. `base`: the address of the inbox."""
    until = (now or datetime.now(UTC)) + LINK_LASTS
    token = Seals(secret).seal(_MAIL, until, person=person(who), case=case, gate=gate)
    return f"{base}/mail/{token}"


def read_mail(secret: str, token: str, now: datetime) -> MailLink:
    """Whom a link is for.

    Raises:
        BadToken: if it was not made by this inbox, or is too old.
    """
    content = Seals(secret).open(_MAIL, token, now)
    try:
        return MailLink(content["person"], content["case"], content["gate"])
    except KeyError:
        raise BadToken("this link was not made here") from None


def page_link(base: str, case: str, gate: str) -> str:
    """A link for everybody; whoever follows it must sign in."""
    return f"{base}/gates/{quote(case, safe=':')}/{quote(gate, safe='')}"


@dataclass(frozen=True)
class Links:
    """Where links in messages lead."""

    secret: str = field(repr=False)
    base: str
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def mail(self, person: str, case: str, gate: str) -> str:
        """A link for this person alone, which lets them in without signing in."""
        return mail_link(self.secret, self.base, person, case, gate, now=self.clock())

    def page(self, case: str, gate: str) -> str:
        """A link for everybody; whoever follows it must sign in."""
        return page_link(self.base, case, gate)

    def waiting(self) -> str:
        """A link to all that waits for whoever is signed in."""
        return f"{self.base}/"
