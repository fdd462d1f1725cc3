"""Links in messages: each lets one person see one question, and rule on it once.

Following a link shows the page and decides nothing, however often it is followed, so that
programs that look into mail do no harm. Whoever has the mail has the link: a policy that does
not want that leaves `mail` out of `accept`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from handrail.actions import person as spelling
from handrail.inbox.web.tokens import BadToken, Seals

if TYPE_CHECKING:
    from collections.abc import Callable

LASTS = timedelta(days=14)
"""How long a link in a message works, if its question is open so long."""

_MAIL = "mail"


@dataclass(frozen=True)
class MailLink:
    """Whom a link is for, and which question it shows."""

    person: str
    case: str
    gate: str


def mail_link(
    secret: str, base: str, person: str, case: str, gate: str, *, now: datetime | None = None
) -> str:
    """A link for one person to one question. `base`: the address of the inbox."""
    until = (now or datetime.now(UTC)) + LASTS
    token = Seals(secret).seal(_MAIL, until, person=spelling(person), case=case, gate=gate)
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
