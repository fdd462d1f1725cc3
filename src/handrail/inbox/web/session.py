"""Sessions: who is signed in, and the tokens that show a form was made for them.

A session is a signed cookie. It gets a new id when somebody signs in, so that an id which
another planted is worth nothing, and its id is spent when they sign out, so that a copy of
the cookie is worth nothing either.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from handrail.inbox.web.tokens import BadToken

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.inbox.web.once import Once
    from handrail.inbox.web.tokens import Seals

LASTS = timedelta(hours=12)
"""How long somebody stays signed in at most."""

_FORM = "form"


@dataclass(frozen=True)
class Form:
    """What a form that came back was made for, and when."""

    made: datetime
    case: str = ""
    gate: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Sessions:
    """The sessions of one inbox."""

    seals: Seals
    once: Once

    def who(self, request: Request, now: datetime) -> str | None:
        """The person who is signed in; None if nobody is."""
        session = request.session
        who: Any = session.get("who")
        since: Any = session.get("at", 0)
        if not isinstance(who, str) or now.timestamp() >= float(since) + LASTS.total_seconds():
            return None
        return None if self.once.spent(self.id(request)) else who

    def id(self, request: Request) -> str:
        """The id of this session; a new one where there is none yet."""
        found: Any = request.session.get("sid")
        if not isinstance(found, str):
            found = request.session["sid"] = secrets.token_urlsafe(18)
        return found

    def sign_in(self, request: Request, who: str, now: datetime) -> None:
        """Begin a session of `who`, under an id that nobody knew before."""
        self.end(request, now)
        request.session.update(sid=secrets.token_urlsafe(18), who=who, at=int(now.timestamp()))

    def end(self, request: Request, now: datetime) -> None:
        """End this session for good, wherever copies of its cookie are."""
        self.once.spend(self.id(request), now + LASTS, now)
        request.session.clear()

    def token(self, holder: str, now: datetime, **about: str) -> str:
        """What a form carries: that it was made for this `holder`, now, and about what."""
        return self.seals.seal(_FORM, now + LASTS, holder=holder, at=now.timestamp(), **about)

    def form(self, holder: str, token: str, now: datetime) -> Form:
        """What a form was made for.

        Raises:
            BadToken: if it was not made for this holder, or too long ago.
        """
        content = self.seals.open(_FORM, token, now)
        if not secrets.compare_digest(str(content.get("holder")), holder):
            raise BadToken("this form was made for somebody else, or before you signed in")
        made = datetime.fromtimestamp(float(content["at"]), now.tzinfo)
        about = {key: str(content.get(key, "")) for key in ("case", "gate", "digest")}
        return Form(made, **about)
