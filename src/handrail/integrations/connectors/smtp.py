"""An e-mail as a step: handed to a mail server, under a Message-ID made of the key.

    mail = SMTP("MAIL_URL", sender="Shop <shop@example.com>")

    send_offer = mail.write("send_offer", SendOffer)

SMTP takes no key and cannot be asked: where the answer to a whole message is lost, nobody knows
whether it went out, and people are asked. The Message-ID is the same in every attempt, so whoever
has the sent mail (a folder, an archive, an API) can look for it: give `find`, and `settles`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import policy
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any, TypeVar

import aiosmtplib

from handrail.actions import Action, Effect
from handrail.agent import Write, secret, write
from handrail.exceptions import Final, NotDone
from handrail.integrations.connectors.declare import as_function, require_fields
from handrail.integrations.connectors.http import REASON, Unanswered
from handrail.runtime import SmtpServer, mail_address
from handrail.text import one_line

A = TypeVar("A", bound=Action)

_TIMEOUT = timedelta(seconds=90)
_PERMANENT = 500


@dataclass(frozen=True)
class SMTP:
    """Mail from one `sender`.

    `server`: the secret that is its URL (`smtp://user:password@host:587`), or a URL without any.
    """

    server: str
    sender: str

    def write(
        self,
        name: str,
        action: type[A],
        *,
        to: str = "to",
        subject: str = "subject",
        text: str = "text",
        replies_to: str = "replies_to",
        **options: Any,
    ) -> Write[A, str]:
        """A write that sends a mail of an action's fields, and returns its Message-ID.

        `to`: an address, or several; one that the server refuses keeps the mail from all of them.
        `replies_to`: the field with the Message-ID that is answered, where the action has one.
        `options`: as of `handrail.write`, such as `find` and `settles`.

        Raises:
            StepError: if the action has no such fields.
        """
        require_fields(name, action, to, subject, text)
        plain = "://" in self.server

        async def step(act: Any, effect: Effect) -> str:
            people: Any = getattr(act, to)
            message = self._composed(
                [people] if isinstance(people, str) else [*people],
                str(getattr(act, subject)),
                str(getattr(act, text)),
                getattr(act, replies_to, None) or "",
                effect,
            )
            url = self.server if plain else secret(self.server).get_secret_value()
            await _send(SmtpServer.of(url, self.server), message)
            return str(message["Message-ID"])

        doc = (action.__doc__ or name).strip()
        taken = {"action": (action, ...), "effect": (Effect, ...)}
        fn = as_function(step, name, doc, taken, str)
        given: dict[str, Any] = {"timeout": _TIMEOUT} | options
        made: Write[A, str] = write(secrets=() if plain else (self.server,), **given)(fn)
        return made

    def message_id(self, effect: Effect) -> str:
        """The Message-ID of the mail of an effect: by it a `find` looks for it."""
        return effect.message_id(parseaddr(self.sender)[1].rpartition("@")[2] or "localhost")

    def _composed(
        self, to: Sequence[str], subject: str, text: str, root: str, effect: Effect
    ) -> EmailMessage:
        message = EmailMessage(policy.SMTP.clone(cte_type="7bit"))
        shown, sender = parseaddr(self.sender)
        try:
            message["From"] = mail_address(sender, shown)
            message["To"] = [mail_address(each) for each in to]
            message["Subject"] = subject
            message["Date"] = format_datetime(datetime.now(UTC))
            message["Message-ID"] = self.message_id(effect)
            message["Auto-Submitted"] = "auto-generated"
            if root:
                message["In-Reply-To"] = message["References"] = root
        except (ValueError, MessageError, IndexError) as error:
            why = one_line(str(error), REASON)
            raise Final(f"this is no mail: {why}; nothing was sent") from None
        plain = all(each.addr_spec.isascii() for each in message["To"].addresses)
        if not plain or not to or any(not each.isprintable() for each in (subject, root)):
            raise Final("a mail goes to addresses in ASCII, with headers of one line; not sent")
        message.set_content(text)
        return message


async def _send(server: SmtpServer, message: EmailMessage) -> None:
    """Hand a message over. Until the server has it whole, nothing was sent.

    Raises:
        Final: if it is refused for good.
        NotDone: if it was not taken, and may be tried again.
        Unanswered: if nobody knows.
    """
    people = [each.addr_spec for each in message["To"].addresses]
    sender = message["From"].addresses[0].addr_spec
    whole, sending, sent = message.as_bytes(), False, False
    try:
        async with server.connection() as client:
            await client.mail(sender)
            for each in people:
                await client.rcpt(each)
            sending = True
            await client.data(whole)
            sent = True
    except (aiosmtplib.SMTPException, OSError) as error:
        if sent:
            return  # the server has it, however it says good-bye
        raise _fault(error, sending=sending) from error


def _fault(error: Exception, *, sending: bool) -> Exception:
    refused = isinstance(error, aiosmtplib.SMTPResponseException)
    why = one_line(f"{type(error).__name__}: {error}", REASON)
    if refused and error.code >= _PERMANENT:
        return Final(f"the mail server refuses it: {why}; nothing was sent")
    if sending and not refused:
        return Unanswered(f"the mail server did not say whether it takes it: {why}")
    return NotDone(f"the mail server does not take it now: {why}")
