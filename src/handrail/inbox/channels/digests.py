"""Digests and quiet hours: which messages wait for others, until when, and what was sent.

Of many questions a person gets one message, and in quiet hours none that can wait. What comes
when another did not answer, what nobody can be reached for, and what would be over before it
is read waits for nothing. The digest of a person follows all gates of all agents.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field
from temporalio.common import WorkflowIDConflictPolicy

from handrail.actions import Aware, Wire, person
from handrail.inbox.channels.delivery import (
    Delivery,
    DeliveryAttempt,
    DeliveryLog,
    DeliveryRequest,
    DeliveryStatus,
    MessageRef,
    Notification,
    NotificationKind,
    Short,
)
from handrail.oversight import MESSAGE_QUEUE, NotificationRequest, message_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from temporalio.client import Client

    from handrail.inbox.channels.people import Person
    from handrail.oversight import GateView

DIGEST_WORKFLOW: Final = "Digest"
"""The type of the workflow that gathers what one person is told."""

ADD_SIGNAL: Final = "add"
"""The signal that brings it one more message: a `DigestItem`."""

SENT_SIGNAL: Final = "digested"
"""The signal that says to a gate's messages what became of one: a `DigestReport`."""

LEAST: Final = timedelta(hours=1)
"""So long somebody must still have to answer when a message that waited arrives."""

KEPT: Final = timedelta(days=1)
"""So long it is known what was sent: mail may come back, and a message be brought twice."""

FULL: Final = 1_000
"""Of so many messages none waits any longer."""

_REMEMBERED: Final = 4 * FULL
_AT_ONCE: Final = frozenset({NotificationKind.EARLY, NotificationKind.OWNER})


def held_until(
    someone: Person, due: Notification, view: GateView, now: datetime
) -> datetime | None:
    """Until when a message may wait for others; None if it goes out at once."""
    ends = someone.quiet.until(now) if someone.quiet else None
    if ends is None and someone.digest is None:
        return None
    # `why`: it comes to them because nobody else has answered, or can be reached.
    if due.what in _AT_ONCE or due.why:
        return None
    until = ends or now + (someone.digest or timedelta(0))
    if due.what is NotificationKind.CLOSED:
        return until
    answer_by = _answer_by(view, due.person)
    return None if answer_by is not None and answer_by - until < LEAST else until


def _answer_by(view: GateView, who: str) -> datetime | None:
    """When it is no longer up to somebody, or to nobody at all."""
    turns = [
        stage.until
        for stage in view.stages
        if stage.asked and who in map(person, (*stage.people, *stage.deputies))
    ]
    return min([*turns, *([view.deadline] if view.deadline else [])], default=None)


class DigestItem(Wire):
    """One message that waits. What it says is looked up when it is sent.

    `until`: when it must go out. `within` and `first`: from the `first`-th one within this time
    on they wait; what comes before goes out alone. No `within`: all of them do.
    """

    call: NotificationRequest
    due: Notification
    channel: str
    came: Aware
    until: Aware
    within: timedelta | None = None
    first: int = 1

    @property
    def key(self) -> str:
        """What the message is known by."""
        return self.due.key(self.call.gate)


class DigestSent(Wire):
    """A message that went out. `tag`: the mark of its mail; empty where its gate sent it."""

    key: str
    gate: str
    came: Aware
    at: Aware
    tag: str = ""


class DigestReport(Wire):
    """What became of a message that waited: where it went, or why it could not go there.

    Neither: its gate sends it by itself, now.
    """

    key: str
    ref: MessageRef | None = None
    why: Short = ""


class DigestRow(Wire):
    """One line of a digest. `over`: how it ended; empty while somebody is asked."""

    person: str
    case: str
    gate: str
    says: str
    by: Aware | None = None
    over: Short = ""


class DigestNews(Wire):
    """What there is to say of the messages that waited: those that are still of use, by key.

    `rows`: one a question, the first to expire first, as many as are shown.
    """

    keys: tuple[str, ...] = ()
    rows: tuple[DigestRow, ...] = ()
    total: int = 0


class DigestMessage(Wire):
    """One digest, for one person, by one channel. `key`: what it is known by."""

    person: str
    channel: str
    key: str
    at: Aware
    news: DigestNews


class DigestBook(Wire):
    """What waits for one person, and what went out within a day."""

    waiting: tuple[DigestItem, ...] = ()
    sent: tuple[DigestSent, ...] = ()

    def add(self, item: DigestItem) -> DigestBook:
        """Take one more message. One that was brought before changes nothing."""
        known = {each.key for each in self.waiting} | {each.key for each in self.sent}
        if item.key in known:
            return self
        return self.model_copy(update={"waiting": (*self.waiting, item)})

    def alone(self) -> tuple[DigestItem, ...]:
        """Those that wait for nothing, because there were not many before."""
        came = sorted([*(e.came for e in self.waiting), *(e.came for e in self.sent)])
        return tuple(
            each
            for each in self.waiting
            if each.within is not None
            and sum(each.came - each.within < at <= each.came for at in came) < each.first
        )

    def next(self) -> datetime | None:
        """When something must go out."""
        return min((each.until for each in self.waiting), default=None)

    def due(self, now: datetime) -> bool:
        """Whether all that waits goes out now."""
        at = self.next()
        return at is not None and (at <= now or len(self.waiting) >= FULL)

    def over(self, now: datetime) -> bool:
        """Whether nothing waits, and nothing is to be remembered any more."""
        return not self.waiting and not self.forget(now).sent

    def forget(self, now: datetime) -> DigestBook:
        """Without what was sent long ago."""
        kept = tuple(each for each in self.sent if now - each.at < KEPT)[-_REMEMBERED:]
        return self.model_copy(update={"sent": kept})

    def without(self, items: Iterable[DigestItem], now: datetime, tag: str = "") -> DigestBook:
        """Enter that these went out, or need not go out any more."""
        gone = {each.key: each for each in items}
        sent = (
            DigestSent(key=key, gate=each.call.gate, came=each.came, at=now, tag=tag)
            for key, each in gone.items()
        )
        waiting = tuple(each for each in self.waiting if each.key not in gone)
        return DigestBook(waiting=waiting, sent=(*self.sent, *sent))


class DigestCall(Wire):
    """Whose digest. `carried`: what an earlier run wrote down; nobody else sets it."""

    person: str = Field(min_length=3, max_length=320)
    carried: dict[str, Any] | None = None


def digest_name(who: str) -> str:
    """What the digest of a person is called where messages name their gate."""
    return f"digest-{hashlib.sha256(person(who).encode()).hexdigest()[:24]}"


def reported(log: DeliveryLog, report: DigestReport, now: datetime) -> DeliveryLog:
    """Enter what became of a message that waited. Said again, it changes nothing."""
    if log.view is None:
        return log
    for number, letter in enumerate(log.letters):
        if letter.fate is DeliveryStatus.HELD and letter.due.key(log.view.gate) == report.key:
            return log.with_letter(number, _after(letter, report, now))
    return log


def _after(letter: Delivery, report: DigestReport, now: datetime) -> Delivery:
    *before, last = letter.tries
    if report.ref is not None:
        tried = last.model_copy(update={"ref": report.ref, "at": now})
        return letter.model_copy(
            update={"tries": (*before, tried), "fate": DeliveryStatus.TOLD, "at_once": True}
        )
    # By the same channel, alone; or, if that has failed, by the next one.
    failed = DeliveryAttempt(channel=last.channel, at=now, why=report.why)
    tries = (*before, failed) if report.why else tuple(before)
    return letter.model_copy(update={"tries": tries, "fate": DeliveryStatus.GOING, "at_once": True})


async def hold(
    client: Client, telling: DeliveryRequest, someone: Person, until: datetime
) -> MessageRef:
    """Give a message to the digest of its person. Given twice, it is one."""
    quiet = someone.quiet is not None and someone.quiet.until(telling.at) is not None
    item = DigestItem(
        call=telling.call,
        due=telling.due,
        channel=telling.channel,
        came=telling.at,
        until=until,
        within=None if quiet else someone.digest,
        first=someone.digest_from,
    )
    await client.start_workflow(
        DIGEST_WORKFLOW,
        DigestCall(person=telling.due.person),
        id=message_id(digest_name(telling.due.person)),
        task_queue=MESSAGE_QUEUE,
        start_signal=ADD_SIGNAL,
        start_signal_args=[item],
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    return MessageRef(channel=telling.channel, held=True)
