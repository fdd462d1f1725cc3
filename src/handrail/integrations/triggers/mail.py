"""Mail that starts cases: each that comes to an agent's address is one event.

It comes by SMTP to the listener of the inbox, in `handrail serve`. Who sent it is what it says: it
proves nothing, and all its words are text from outside.
"""

from __future__ import annotations

import email
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default as modern
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from handrail.actions import Aware, Event, Wire
from handrail.exceptions import ConfigurationError
from handrail.integrations.triggers.source import EventMapping, EventSource, RawEvent
from handrail.marks import Untrusted

if TYPE_CHECKING:
    from handrail.integrations.triggers.receiver import Receiver
    from handrail.runtime import Agent, Fleet

_PLAIN_ID = re.compile(r"[!-~]{1,150}")


class IncomingMail(Wire):
    """A mail as its mapping sees it. `id`: by its Message-ID, to be the key of its event.

    `files`: the names of what is attached, which is not kept.
    """

    id: str
    to: str
    sender: Untrusted
    subject: Untrusted
    text: Untrusted
    sent: Aware | None = None
    files: tuple[Untrusted, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Mail(EventSource):
    """Cases of mail to an address. `event` makes the event; None: it is not for us."""

    address: str
    event: Callable[[IncomingMail], Event | None]
    source: ClassVar[str] = "mail"

    def __post_init__(self) -> None:
        """See that it is an address.

        Raises:
            ConfigurationError: if it is none.
        """
        super().__post_init__()
        if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", self.address):
            raise ConfigurationError(f"mail {self.name}: {self.address!r} is no address")

    @property
    @override
    def mapping(self) -> EventMapping:
        return self._mapped

    def _mapped(self, given: RawEvent) -> Event | None:
        """The event of a mail, as `received` made it."""
        return self.event(IncomingMail.model_validate_json(given.body))


class MailReceiver:
    """Takes mail to the addresses of agents."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._known = mails_of(receiver.fleet)

    def takes(self, address: str) -> bool:
        """Whether an agent has this address."""
        return address.casefold() in self._known

    async def take(self, address: str, content: bytes) -> None:
        """Start the case of a mail, or keep it.

        Raises:
            LedgerUnavailable: if it can be neither: it must come again.
        """
        agent, by = self._known[address.casefold()]
        await self._receiver.delivery(agent, by, received(content, by.address))


def mails_of(fleet: Fleet) -> dict[str, tuple[Agent, Mail]]:
    """The addresses of a fleet.

    Raises:
        ConfigurationError: if two agents have one address.
    """
    found: dict[str, tuple[Agent, Mail]] = {}
    for agent in fleet.agents.values():
        for each in agent.triggers.values():
            if isinstance(each, Mail):
                _, other = found.setdefault(each.address.casefold(), (agent, each))
                if other is not each:
                    raise ConfigurationError(f"{each.address} is the address of two; change one")
    return found


def received(content: bytes, to: str) -> RawEvent:
    """A mail, with the text of it that people read."""
    message = email.message_from_bytes(content, policy=modern)
    named = _message_id(message)
    digest = hashlib.sha256(named.encode(errors="replace") or content).hexdigest()
    mail = IncomingMail(
        id=named if _PLAIN_ID.fullmatch(named) else digest,
        to=to,
        sender=Untrusted(untrusted=_header(message, "from")),
        subject=Untrusted(untrusted=_header(message, "subject")),
        text=Untrusted(untrusted=_whole(_text(message))),
        sent=_sent(message),
        files=tuple(
            Untrusted(untrusted=_whole(each.get_filename())) for each in _attached(message)
        ),
    )
    return RawEvent(mail.model_dump_json().encode(), {})


def _header(message: EmailMessage, name: str) -> str:
    try:
        return _whole(message[name])
    # The parser of headers raises anything of what is no header.
    except Exception:  # noqa: BLE001
        return ""


def _message_id(message: EmailMessage) -> str:
    """As it stands: a parser keeps the beginning of one that is not by the book, as of another."""
    found = (str(value) for name, value in message.raw_items() if name.casefold() == "message-id")
    raw = _whole(next(found, ""))
    known = re.search(r"<([^<>]+)>", raw)
    return known[1] if known else raw.strip()


def _text(message: EmailMessage) -> str:
    body = message.get_body(("plain", "html"))
    try:
        return "" if body is None else str(body.get_content())
    # An encoding that nobody knows, or bytes that are none of it.
    except (LookupError, ValueError, KeyError):
        return str(body.get_payload()) if body is not None else ""


def _attached(message: EmailMessage) -> list[EmailMessage]:
    try:
        return list(message.iter_attachments())
    # It says that it has parts, and has none.
    except (AttributeError, TypeError, KeyError, ValueError):
        return []


def _sent(message: EmailMessage) -> Any:
    try:
        at = parsedate_to_datetime(_header(message, "date"))
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo is not None else None


def _whole(text: object) -> str:
    """Text without what no JSON holds: halves of characters, as wrong encodings leave them."""
    return str(text or "").encode(errors="replace").decode()
