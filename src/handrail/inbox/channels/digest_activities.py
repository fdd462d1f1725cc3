"""What the digest of a person does to the world: it looks how its questions stand, and sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from temporalio import activity

from handrail.client import is_shown
from handrail.inbox.channels.content import ended_words, subject
from handrail.inbox.channels.delivery import (
    MessageRef,
    NotificationKind,
    Undeliverable,
)
from handrail.inbox.channels.digests import (
    DigestItem,
    DigestMessage,
    DigestNews,
    DigestRow,
)
from handrail.inbox.channels.mail import CHANNEL as MAIL
from handrail.inbox.channels.mail import Mailer
from handrail.inbox.channels.mail_digest import digest_lines, digest_title
from handrail.inbox.channels.sending import also, failed, send
from handrail.text import one_line

if TYPE_CHECKING:
    from handrail.inbox.channels.activities import InboxActivities
    from handrail.oversight import GateView

MOST: Final = 50
"""Questions that one digest shows; the rest it counts."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class DigestActivities:
    """The activities of digests, with what those of single messages have."""

    inbox: InboxActivities

    def all(self) -> list[Callable[..., Any]]:
        """What the worker runs."""
        return [self.look, self.tell]

    @activity.defn(name="digest.look")
    async def look(self, items: tuple[DigestItem, ...]) -> DigestNews:
        """See which of these questions are still of use to say, and what they say."""
        keys: list[str] = []
        rows: dict[str, DigestRow] = {}
        for item in items:
            activity.heartbeat()
            row = await self._row(item)
            if row is not None:
                keys.append(item.key)
                # That it is over is the last that there is to say of a question.
                if item.call.gate not in rows or row.over:
                    rows[item.call.gate] = row
        found = sorted(rows.values(), key=lambda row: (bool(row.over), row.by or _NEVER, row.case))
        return DigestNews(keys=tuple(keys), rows=tuple(found[:MOST]), total=len(found))

    async def _row(self, item: DigestItem) -> DigestRow | None:
        """What a question says now; None if it is over, and that need not be said."""
        case, gate = item.call.case, item.call.gate
        view, ended, seen = await self.inbox.see(case, gate)
        if item.due.what is NotificationKind.CLOSED and ended is not None:
            title = next((e.title for e in seen.closed if e.gate == gate), "") if seen else ""
            says = one_line(f"{title} ({case})".strip(), 150)
            over = ended_words(ended)
            return DigestRow(person=item.due.person, case=case, gate=gate, says=says, over=over)
        if ended is not None:
            return None
        return _open_row(item, view)

    @activity.defn(name="digest.tell")
    async def tell(self, message: DigestMessage) -> MessageRef:
        """Send one digest by one channel.

        Raises:
            ApplicationError: if it could not be sent: to be tried again, or not.
        """
        async with failed():
            return await self._tell(message)

    async def _tell(self, message: DigestMessage) -> MessageRef:
        people, _ = self.inbox.listed()
        someone, who, links = people.of(message.person), message.person, self.inbox.links
        if any(row.person != who for row in message.news.rows):
            raise Undeliverable(f"what is to be shown is not for {one_line(who, 100)}")
        if message.channel == MAIL:
            mailer = Mailer.required(self.inbox.mailer)
            return await mailer.digest(message, someone.mail or who, links)
        text = "\n".join([*digest_lines(message.news), links.waiting()])
        await send(also(someone, who, message.channel), digest_title(message.news), text)
        return MessageRef(channel=message.channel)


def _open_row(item: DigestItem, view: GateView | None) -> DigestRow | None:
    """A question that is open, or of which nobody can say that it is not."""
    case, gate, who = item.call.case, item.call.gate, item.due.person
    if view is None:
        return DigestRow(person=who, case=case, gate=gate, says=one_line(case, 150))
    if not is_shown(view):
        return None
    return DigestRow(person=who, case=case, gate=gate, says=subject(view), by=view.deadline)
