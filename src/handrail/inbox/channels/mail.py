"""Mail: one message to one person, in text and HTML, and what became of it.

A retry carries the same Message-ID, so that mail programs show one message when a first
delivery succeeded and its record was lost. Links in it are all GETs: what follows them
decides nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
from dataclasses import dataclass, field
from datetime import UTC
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

import aiosmtplib

from handrail.exceptions import ConfigurationError
from handrail.inbox.channels import mail_page
from handrail.inbox.channels.content import CHANGES, note
from handrail.inbox.channels.delivery import MessageRef, NotificationKind, NotNow, Undeliverable
from handrail.inbox.channels.digests import digest_name
from handrail.inbox.channels.mail_digest import digest_html, digest_text, digest_title
from handrail.runtime import SmtpServer, mail_address
from handrail.text import one_line

if TYPE_CHECKING:
    from datetime import datetime

    from handrail.inbox.channels.content import MessageContent, MessageLinks
    from handrail.inbox.channels.delivery import DeliveryRequest
    from handrail.inbox.channels.digests import DigestMessage
    from handrail.runtime import Settings

CHANNEL: Final = "mail"

_PERMANENT = 500


@dataclass(frozen=True)
class MailAlert:
    """An alert as mail. `key` and `kind` make its Message-ID."""

    subject: str
    text: str
    at: datetime
    key: str
    kind: str


@dataclass(frozen=True)
class Mailer:
    """Sends mail from `sender`. `secret` and `bounces`: where mail that comes back is heard of."""

    server: SmtpServer
    sender: str
    secret: bytes = field(default=b"", repr=False)
    bounces: str = ""

    @classmethod
    def of(cls, settings: Settings, secret: str) -> Mailer | None:
        """What the settings say of mail; None where none is set up. `secret`: the inbox's.

        Raises:
            ConfigurationError: if only half of it is set.
        """
        if settings.smtp_url is None and not settings.mail_from:
            return None
        if settings.smtp_url is None or not settings.mail_from:
            raise ConfigurationError(
                "set both HANDRAIL_SMTP_URL and HANDRAIL_MAIL_FROM, or neither"
            )
        try:
            sender = mailbox(settings.mail_from).addr_spec
        except Undeliverable as error:
            raise ConfigurationError(f"HANDRAIL_MAIL_FROM: {error}") from error
        return cls(
            server=SmtpServer.of(settings.smtp_url.get_secret_value(), "HANDRAIL_SMTP_URL"),
            sender=sender,
            # Not the secret itself, which signs people in.
            secret=hashlib.sha256(f"handrail bounces\n{secret}".encode()).digest(),
            bounces=(settings.bounce_domain or _domain(sender)) if settings.bounce_port else "",
        )

    @staticmethod
    def required(mailer: Mailer | None) -> Mailer:
        """The mailer, if one is set.

        Raises:
            Undeliverable: if none is.
        """
        if mailer is None:
            raise Undeliverable("no mail server is set: HANDRAIL_SMTP_URL and HANDRAIL_MAIL_FROM")
        return mailer

    async def tell(self, telling: DeliveryRequest, to: str, links: MessageLinks) -> MessageRef:
        """Send one message.

        Raises:
            Undeliverable: if the server refuses the address or the message for good.
            NotNow: if it is to be tried again.
        """
        person, gate = telling.due.person, telling.call.gate
        tag = tag_of(self.secret, gate, person) if self.bounces else ""
        message = compose(telling, to, self.sender, links)
        path = return_path(gate, tag, self.bounces) if tag else self.sender
        await self.deliver(message, path, to)
        return MessageRef(channel=CHANNEL, id=str(message["Message-ID"]), tag=tag)

    async def digest(self, message: DigestMessage, to: str, links: MessageLinks) -> MessageRef:
        """Send one digest.

        Raises:
            Undeliverable: if the server refuses the address or the message for good.
            NotNow: if it is to be tried again.
        """
        tag = tag_of(self.secret, message.key, message.person) if self.bounces else ""
        mail = compose_digest(message, to, self.sender, links)
        path = return_path(digest_name(message.person), tag, self.bounces) if tag else self.sender
        await self.deliver(mail, path, to)
        return MessageRef(channel=CHANNEL, id=str(mail["Message-ID"]), tag=tag)

    async def deliver(self, message: EmailMessage, path: str, to: str) -> None:
        """Hand a message to the server; `path` is where it comes back to.

        Raises:
            Undeliverable: if the server refuses the address or the message for good.
            NotNow: if it is to be tried again.
        """
        try:
            async with self.server.connection() as client:
                await client.send_message(message, sender=path, recipients=[mailbox(to).addr_spec])
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _fault(error) from error
        except ValueError as error:  # of what no server is asked
            raise Undeliverable(f"no mail can go to {one_line(to, 100)}: {error}") from error


def compose(telling: DeliveryRequest, to: str, sender: str, links: MessageLinks) -> EmailMessage:
    """The message, ready to be sent. A retry differs in its links at most."""
    said = note(telling)
    link = _link(telling, links)
    threaded = telling.root is not None and telling.root.channel == CHANNEL
    title = f"Re: {said.subject}" if threaded else said.subject
    message = _headed(sender, to, title, telling.at, message_id(telling.key, sender))
    if telling.root is not None and threaded:
        message["In-Reply-To"] = telling.root.id
        message["References"] = telling.root.id
    _fill(message, sender, (_text(said, link), _html(said, link)), telling.key)
    return message


def compose_digest(
    digest: DigestMessage, to: str, sender: str, links: MessageLinks
) -> EmailMessage:
    """The mail of many questions. A retry differs in its links at most."""
    title, named = digest_title(digest.news), message_id(digest.key, sender, "digest")
    message = _headed(sender, to, title, digest.at, named)
    parts = digest_text(digest.news, links), digest_html(digest.news, links)
    _fill(message, sender, parts, digest.key)
    return message


def _fill(message: EmailMessage, sender: str, parts: tuple[str, str], key: str) -> None:
    """Put in what is read: as text and as HTML."""
    message["List-Id"] = f"Questions of agents <handrail.{_domain(sender)}>"
    message["X-Auto-Response-Suppress"] = "All"
    text, html = parts
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    # Else the boundary between the two parts is another one at each retry.
    message.set_boundary(_hashed(f"{key}/boundary"))


def compose_alert(alert: MailAlert, sender: str, to: str, links: MessageLinks) -> EmailMessage:
    """The mail of an alert, which nobody can answer."""
    named = message_id(alert.key, sender, alert.kind)
    message = _headed(sender, to, alert.subject, alert.at, named)
    message.set_content(alert.text)
    message.add_alternative(_alert_html(alert, links.waiting()), subtype="html")
    message.set_boundary(_hashed(f"{alert.key}/{alert.kind}/boundary"))
    return message


def _alert_html(alert: MailAlert, inbox: str) -> str:
    """Its paragraphs, and a button for the page of the inbox that the last of them names."""
    first, *rest = filter(None, alert.text.splitlines())
    page = _ADDRESS.search(rest[-1]) if rest else None
    open_ = page is not None and page[0].startswith(inbox.rstrip("/") + "/")
    body = [mail_page.words(rest[:1]), mail_page.words(rest[1:-1]), mail_page.asides(rest[1:][-1:])]
    if page is not None and open_:
        body.insert(1, mail_page.button("Open the page", page[0]))
    foot = "You get it because you own a policy. Nothing is decided by this mail."
    before = rest[0] if rest else first
    return mail_page.whole_page(alert.subject, before, body, kind=first, foot=foot)


_ADDRESS = re.compile(r"https?://\S+")


def _headed(sender: str, to: str, title: str, at: datetime, named: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = mailbox(sender, "Handrail")
    message["To"] = mailbox(to)
    message["Subject"] = title
    message["Date"] = format_datetime(at.astimezone(UTC))
    message["Message-ID"] = named
    message["Auto-Submitted"] = "auto-generated"
    return message


def mailbox(address: str, name: str = "") -> Address:
    """An address as headers and mail servers take it: its domain in ASCII, as DNS has it.

    What stands before its @ may be of any script, if the server says SMTPUTF8.

    Raises:
        Undeliverable: if it is none.
    """
    try:
        return mail_address(address, name)
    except (ValueError, MessageError, IndexError) as error:
        raise Undeliverable(f"no mail can go to {one_line(address, 100)}: {error}") from error


def message_id(key: str, sender: str, kind: str = "handrail") -> str:
    """The Message-ID of the message with that key: always the same one."""
    return f"<{_hashed(key)}.{kind}@{_domain(sender)}>"


def tag_of(secret: bytes, gate: str, person: str) -> str:
    """The mark of mail to this person about this gate."""
    return hmac.new(secret, f"handrail bounce\n{gate}\n{person}".encode(), "sha256").hexdigest()[
        :16
    ]


def return_path(gate: str, tag: str, domain: str) -> str:
    """The address that mail comes back to."""
    return f"b-{gate}-{tag}@{domain}"


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2] or "localhost"


def _link(telling: DeliveryRequest, links: MessageLinks) -> str:
    """Only who may rule is let in by the link alone."""
    due, call = telling.due, telling.call
    if due.what in {NotificationKind.OWNER, NotificationKind.EARLY}:
        return links.page(call.case, call.gate)
    return links.mail(due.person, call.case, call.gate)


def _text(said: MessageContent, link: str) -> str:
    parts = ["\n".join(said.opening)]
    changes = [(CHANGES, said.beside)] if said.changes else []
    for title, rows in (*changes, *said.tables):
        cells = (f"  {name}: {_continued(given)}" for name, given in rows)
        parts.append("\n".join([title, *cells]))
    parts.append(f"{_call(said)}: {link}")
    parts += ["\n".join(said.closing)] if said.closing else []
    return "\n\n".join(parts) + "\n"


def _call(said: MessageContent) -> str:
    """What the one link is called. It leads to a page that shows, where somebody rules."""
    return "Read and decide" if said.rule else "Look at it"


def _continued(given: str) -> str:
    """Further lines of a value, marked so that none passes for a row of its own."""
    return given.replace("\n", "\n    | ")


def _html(said: MessageContent, link: str) -> str:
    first, *rest = said.closing or ("",)
    body = [
        mail_page.words(said.opening),
        mail_page.button(_call(said), link),
        *([mail_page.beside(CHANGES, said.was, said.changes)] if said.changes else []),
        *(mail_page.table(title, rows) for title, rows in said.tables),
        mail_page.words([first] if first else []),
        mail_page.asides(rest),
    ]
    before = " ".join(each for each in (*said.opening, first) if each)
    foot = "Opening the link decides nothing. It was made for you: do not pass it on."
    kind = "This question is over" if said.over else "An agent asks"
    return mail_page.whole_page(said.subject, before, body, kind=kind, foot=foot)


def _fault(error: Exception) -> Undeliverable | NotNow:
    """Whether a mail server's error is for good. The only place where that is judged."""
    refused = error.recipients[0] if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else error
    why = one_line(_said(refused), 300)
    final = (
        aiosmtplib.SMTPRecipientRefused,
        aiosmtplib.SMTPDataError,
        aiosmtplib.SMTPSenderRefused,
    )
    if isinstance(refused, final) and refused.code >= _PERMANENT:
        return Undeliverable(f"the mail server refuses it: {why}")
    if isinstance(refused, aiosmtplib.SMTPNotSupported):
        return Undeliverable(f"the mail server cannot take it: {why}")
    return NotNow(f"the mail server does not take it now: {why}")


def _said(error: Exception) -> str:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {error.message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason}"
    return str(error) or type(error).__name__
