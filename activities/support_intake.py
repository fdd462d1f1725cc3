"""How what comes in becomes a message: by the shop's webhook, and by mail."""

from __future__ import annotations

import hashlib

from activities.support_facts import Message
from handrail import Untrusted
from handrail.integrations.triggers import IncomingMail, RawEvent

LONGEST = 4_000
"""Characters of a message that are looked at: who writes more is read by people anyway."""


def of_shop(came: RawEvent) -> Message | None:
    """The message of the shop's contact form; it is signed in whose name it comes."""
    said = came.json()
    if said["type"] != "message.created":
        return None
    text = Untrusted(untrusted=str(said["text"])[:LONGEST])
    return Message(number=said["number"], channel="shop", account=said["account"], text=text)


def of_mail(mail: IncomingMail) -> Message | None:
    """The message of a mail; who sent it is what it says. Notes of absence are not for us."""
    if mail.subject.text.lower().startswith(("out of office", "automatic reply", "undelivered")):
        return None
    number = f"mail-{hashlib.sha256(mail.id.encode()).hexdigest()[:24]}"
    text = Untrusted(untrusted=f"{mail.subject.text}\n\n{mail.text.text}"[:LONGEST])
    return Message(number=number, channel="mail", sender=mail.sender, text=text)
