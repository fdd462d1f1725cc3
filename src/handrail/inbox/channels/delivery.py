"""What people are told of a gate, what became of it, and the models that say so.

The delivery log of a gate is pure and deterministic: `(log, what was seen, time) -> log`. It knows
nothing of Temporal, mail or Slack. Every notification has a key and is entered once; whatever is
seen again changes nothing. A person for whom no channel is left is entered as not reached, and if
that leaves nobody of a role, the next role and the owner of the policy are told early.

HandrailError
├── Undeliverable    it cannot go out by this channel: at once the next one
└── NotNow           it may go out later: try again
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from handrail.actions import Aware, Wire, person
from handrail.exceptions import HandrailError
from handrail.oversight import GateView, NotificationRequest, StageView
from handrail.text import moment_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

AGENT = "agent"
"""To whom a question is put that no person has to answer."""

Short = Annotated[str, AfterValidator(lambda text: text[:500])]
"""Words for people; what is longer is cut off."""


class Undeliverable(HandrailError):
    """A message cannot be delivered by this channel, and trying again is no use."""


class NotNow(HandrailError):
    """A message could not be delivered now. `after`: how long the other side wants to be left."""

    def __init__(self, why: str, after: timedelta | None = None) -> None:
        """Say why, and if the other side said so, when to come back."""
        self.after = after
        super().__init__(why)


class NotificationKind(StrEnum):
    """What a person is told."""

    ASKED = "asked"
    REMINDER = "reminder"
    PASSED_ON = "passed_on"
    """Nobody answered in time: another role is asked now as well."""
    EARLY = "early"
    """Nobody of the role that is asked can be reached: told before it is their turn."""
    OWNER = "owner"
    """The same, to the owner of the policy."""
    QUESTION = "question"
    ANSWER = "answer"
    CLOSED = "closed"


class Notification(Wire):
    """One message that is to go out, once. `n` tells those of one kind apart."""

    what: NotificationKind
    person: str
    n: str = "0"
    role: str = ""
    why: Short = ""

    def key(self, gate: str) -> str:
        """What it is known by: the same in every retry and after every restart."""
        return f"{gate}/{self.person}/{self.what}/{self.n}"


class MessageRef(Wire):
    """Where a message went: `id` is a Message-ID or a Slack `ts`, `room` a Slack channel.

    `tag` is the mark by which mail that comes back is known. `held`: it waits for the person's
    digest or for the end of their quiet hours, and `digests.Digest` says what becomes of it.
    """

    channel: str
    id: str = ""
    room: str = ""
    tag: str = ""
    held: bool = False


class ConsultationSummary(Wire):
    """A question that one person asked another, or the agent; `answer` is empty until it comes."""

    id: str
    by: str
    to: str
    text: Short
    answer: Short = ""
    answered_by: str = ""


class GateOutcome(Wire):
    """How a gate closed, when and by whom. `how` is `gone` when the case cannot be asked.

    `unproven`: what to add to their names, where nobody knows of one that it was they.
    """

    how: str
    at: Aware | None = None
    by: tuple[str, ...] = ()
    unproven: str = ""
    why: Short = ""


class SnapshotRequest(Wire):
    """Which gate to look at, and whose channels must be known beside those of the asked."""

    call: NotificationRequest
    people: tuple[str, ...] = ()


class GateSnapshot(Wire):
    """A gate as it is now: open, ended, or neither when nobody can say.

    `fresh` is false when no worker answered, and what is known is what the case last
    published. `ways`: the channels of each person, by name. `owner`: of the agent's policy.
    `fault`: what is wrong with the people file; those whose entries are faulty are told by mail.
    `silent`: the inbox has no channel at all, and people look into it by themselves. `hook`:
    another program is told.
    """

    view: GateView | None = None
    ended: GateOutcome | None = None
    fresh: bool = True
    questions: tuple[ConsultationSummary, ...] = ()
    fault: Short = ""
    ways: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    owner: str = ""
    silent: bool = False
    hook: bool = False


class DeliveryRequest(Wire):
    """One message by one channel. `root`: the first message of this gate to this person.

    `at_once`: it has waited for its digest already.
    """

    call: NotificationRequest
    due: Notification
    view: GateView
    channel: str
    at: Aware
    root: MessageRef | None = None
    ended: GateOutcome | None = None
    question: ConsultationSummary | None = None
    at_once: bool = False

    @property
    def key(self) -> str:
        """What the message is known by."""
        return self.due.key(self.call.gate)


class LockRequest(Wire):
    """A Slack message that nobody can act on any more."""

    call: NotificationRequest
    view: GateView
    ref: MessageRef
    ended: GateOutcome


class DeliveryStatus(StrEnum):
    """What has become of a message."""

    GOING = "going"
    HELD = "waits for the digest"
    TOLD = "told"
    LOST = "not reached"
    DROPPED = "not needed any more"


class DeliveryAttempt(Wire):
    """One way that was tried. `ref` says where the message went; `why`, why it did not.

    `back`: it went out, and came back. `final`: it was refused for good.
    """

    channel: str
    at: Aware
    ref: MessageRef | None = None
    why: Short = ""
    back: bool = False
    final: bool = False


class Delivery(Wire):
    """One message and every way that was tried for it. `at_once`: it has waited long enough.

    `again`: every channel had failed before, and they are tried once more.
    """

    due: Notification
    fate: DeliveryStatus = DeliveryStatus.GOING
    tries: tuple[DeliveryAttempt, ...] = ()
    at_once: bool = False
    again: bool = False

    @property
    def lacking(self) -> bool:
        """Whether it reached nobody so far, by any channel."""
        going = self.fate is DeliveryStatus.GOING and self.again
        return going or self.fate is DeliveryStatus.LOST

    @property
    def ref(self) -> MessageRef | None:
        """Where it went, unless it came back."""
        if self.fate is not DeliveryStatus.TOLD:
            return None
        return next((each.ref for each in reversed(self.tries) if not each.why), None)


class DeliveryLog(Wire):
    """All messages of one gate, in the order in which they became due.

    `view`: the gate as it was when last seen open. `ways`: by which channels each person is
    told. `reminders`: how many times people were reminded. `hooked`: a program was told.
    """

    letters: tuple[Delivery, ...] = ()
    view: GateView | None = None
    ended: GateOutcome | None = None
    ways: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    questions: tuple[ConsultationSummary, ...] = ()
    owner: str = ""
    fault: Short = ""
    reminders: int = 0
    hooked: bool = False

    def has(self, due: Notification) -> bool:
        """Whether that message was entered."""
        return any(
            (each.due.what, each.due.person, each.due.n) == (due.what, due.person, due.n)
            for each in self.letters
        )

    def tags(self) -> frozenset[str]:
        """The marks of the mails that were sent."""
        return frozenset(each.ref.tag for each in self.letters if each.ref is not None)

    def of(self, address: str, *whats: NotificationKind) -> tuple[Delivery, ...]:
        """The messages to a person, of these kinds if any are named."""
        return tuple(
            each
            for each in self.letters
            if each.due.person == address and (not whats or each.due.what in whats)
        )

    def lost(self, address: str) -> bool:
        """Whether a person could not be told that they are asked, by any channel."""
        return any(
            each.fate is DeliveryStatus.LOST for each in self.of(address, NotificationKind.ASKED)
        )

    def root(self, address: str) -> MessageRef | None:
        """The first message that reached a person: later ones are answers to it."""
        return next((each.ref for each in self.of(address, *_FIRST) if each.ref), None)

    def way(self, letter: Delivery) -> str | None:
        """The next channel to try for a message; None when none is left.

        What follows another message goes the way of that one, if it can.
        """
        address = letter.due.person
        spent = {each.channel for each in letter.tries}
        spent |= {t.channel for each in self.of(address) for t in each.tries if t.back}
        root = self.root(address)
        ways = self.ways.get(address, ("mail",))
        first = [root.channel] if root is not None and root.channel in ways else []
        return next((way for way in (*first, *ways) if way not in spent), None)

    def unreached(self) -> tuple[str, ...]:
        """Who was to be told that they are asked, and could not be."""
        return tuple(dict.fromkeys(e.due.person for e in self.letters if e.lacking))

    def with_letter(self, number: int, letter: Delivery) -> DeliveryLog:
        """The log with one message as it is now."""
        letters = (*self.letters[:number], letter, *self.letters[number + 1 :])
        return self.model_copy(update={"letters": letters})


_FIRST = frozenset(
    {
        NotificationKind.ASKED,
        NotificationKind.EARLY,
        NotificationKind.OWNER,
        NotificationKind.QUESTION,
        NotificationKind.ANSWER,
    }
)


def see(log: DeliveryLog, look: GateSnapshot) -> DeliveryLog:
    """Enter what was seen of the gate, and every message that is due by it.

    What a case published before it fell silent says nothing new once the gate was seen.
    """
    known = {"ways": log.ways | look.ways, "owner": look.owner or log.owner, "fault": look.fault}
    if look.view is None or (log.view is not None and not look.fresh):
        return log.model_copy(update={**known, "ended": look.ended})
    reminding = _reminded(log.view, look.view)
    seen = log.model_copy(
        update={
            **known,
            "view": look.view,
            "questions": look.questions,
            "reminders": log.reminders + reminding,
        }
    )
    due = [*_asked(look.view, log.view), *_passed_on(log, look.view), *_questions(look.questions)]
    due += _reminders(seen, look.view) if reminding else []
    return enter(enter(seen, due), early(enter(seen, due)))


def enter(log: DeliveryLog, due: Iterable[Notification]) -> DeliveryLog:
    """Enter messages that are due. One that was entered before is not entered again."""
    for each in due:
        if not log.has(each):
            log = log.model_copy(update={"letters": (*log.letters, Delivery(due=each))})
    return log


def early(log: DeliveryLog) -> list[Notification]:
    """Whom to tell early, because nobody of a role that is asked can be reached."""
    if log.view is None:
        return []
    due: list[Notification] = []
    for chain in chains(log.view):
        first, following = chain[0], chain[1] if len(chain) > 1 else None
        people = _people(first, log.view)
        if not people or not all(log.lost(each) for each in people):
            continue
        why = f"nobody of {first.role} can be reached"
        if following is not None:
            until = f"it comes to {following.role} at {moment_in_words(first.until, 'minutes')}"
            due += [
                Notification(
                    what=NotificationKind.EARLY,
                    person=each,
                    n=first.role,
                    role=following.role,
                    why=until,
                )
                for each in _people(following, log.view)
            ]
        if log.owner:
            owner = person(log.owner)
            due.append(
                Notification(
                    what=NotificationKind.OWNER,
                    person=owner,
                    n=first.role,
                    role=first.role,
                    why=why,
                )
            )
    return due


def bounced(log: DeliveryLog, tag: str, why: str) -> DeliveryLog:
    """Enter that mail with this tag came back: the first message by it goes another way.

    Later ones repeated or followed it, and are not sent again.
    """
    fate = DeliveryStatus.GOING
    for number, letter in enumerate(log.letters):
        if letter.ref is None or not tag or letter.ref.tag != tag:
            continue
        tries = tuple(
            each.model_copy(update={"why": f"it came back: {why}", "back": True})
            if each.ref is not None and each.ref.tag == tag
            else each
            for each in letter.tries
        )
        log = log.with_letter(number, letter.model_copy(update={"tries": tries, "fate": fate}))
        fate = DeliveryStatus.DROPPED
    return log


def chains(view: GateView) -> list[list[StageView]]:
    """The stages of a gate, by chain: the first of each is asked now."""
    found: list[list[StageView]] = []
    for stage in view.stages:
        if stage.asked or not found:
            found.append([])
        found[-1].append(stage)
    return found


def _people(stage: StageView, view: GateView) -> list[str]:
    """Who of a stage has something to do: not who agreed already, or may not approve."""
    done = {person(p) for p in (*view.given, *view.barred)}
    return [p for p in dict.fromkeys(map(person, stage.people)) if p not in done]


def _asked(view: GateView, before: GateView | None) -> list[Notification]:
    """Everybody who may rule now, each once; whoever stands in for another, too."""
    roles: dict[str, str] = {}
    for stage in view.stages:
        if stage.asked:
            for each in (*stage.people, *stage.deputies):
                roles.setdefault(person(each), stage.role)
    done = {person(p) for p in (*view.given, *view.barred)}
    waiting = ", ".join(view.waiting_for)
    came = "" if before is None or _roles(before) == _roles(view) else _came(before)
    return [
        Notification(
            what=NotificationKind.ASKED, person=each, role=roles.get(each, waiting), why=came
        )
        for each in dict.fromkeys(map(person, view.people))
        if each not in done
    ]


def _came(before: GateView) -> str:
    return f"nobody of {' or '.join(before.waiting_for)} answered in time"


def _passed_on(log: DeliveryLog, view: GateView) -> list[Notification]:
    """A note to the people of roles that are not asked any more."""
    if log.view is None:
        return []
    now = {stage.role: stage for stage in view.stages if stage.asked}
    gone = [s for s in log.view.stages if s.asked and s.role not in now]
    new = ", ".join(role for role in now if role not in _roles(log.view))
    if not new:
        return []
    return [
        Notification(what=NotificationKind.PASSED_ON, person=each, n=new, role=new)
        for stage in gone
        for each in _people(stage, view)
        if log.root(each) is not None
    ]


def _questions(questions: Iterable[ConsultationSummary]) -> list[Notification]:
    due: list[Notification] = []
    for each in questions:
        if each.to != AGENT:
            due.append(
                Notification(what=NotificationKind.QUESTION, person=person(each.to), n=each.id)
            )
        if each.answer:
            due.append(
                Notification(what=NotificationKind.ANSWER, person=person(each.by), n=each.id)
            )
    return due


def _reminders(log: DeliveryLog, view: GateView) -> list[Notification]:
    done = {person(p) for p in (*view.given, *view.barred)}
    owing = {person(p) for s in view.stages if s.asked for p in s.people} - done
    return [
        each.due.model_copy(
            update={"what": NotificationKind.REMINDER, "n": str(log.reminders), "why": ""}
        )
        for each in log.letters
        if each.due.what is NotificationKind.ASKED
        and each.due.person in owing
        and each.fate is not DeliveryStatus.LOST
    ]


def _reminded(before: GateView | None, view: GateView) -> bool:
    """Whether the case has let a moment pass that ended no stage: it was one to remind at.

    Told by what the case shows and not by a clock: nothing else moves the next moment and
    leaves every end where it was.
    """
    if before is None or before.next is None or view.next is None:
        return False
    return view.next > before.next and _ends(before) == _ends(view)


def _ends(view: GateView) -> tuple[tuple[str, datetime], ...]:
    return tuple((stage.role, stage.until) for stage in view.stages)


def _roles(view: GateView | None) -> tuple[str, ...]:
    return tuple(stage.role for stage in view.stages if stage.asked) if view else ()
